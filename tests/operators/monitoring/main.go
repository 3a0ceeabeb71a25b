// Reads custom resources of the Prometheus operator, a JSON array, strictly: a field that its API does not know is an error.
package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"log"
	"os"

	monitoring "github.com/prometheus-operator/prometheus-operator/pkg/apis/monitoring/v1"
)

func main() {
	var resources []json.RawMessage
	if err := json.NewDecoder(os.Stdin).Decode(&resources); err != nil {
		log.Fatal(err)
	}
	for _, resource := range resources {
		if err := check(resource); err != nil {
			log.Fatal(err)
		}
	}
}

func check(resource []byte) error {
	var head struct {
		Kind string `json:"kind"`
	}
	if err := json.Unmarshal(resource, &head); err != nil {
		return err
	}
	kinds := map[string]any{
		"ServiceMonitor": &monitoring.ServiceMonitor{},
		"PrometheusRule": &monitoring.PrometheusRule{},
	}
	into, known := kinds[head.Kind]
	if !known {
		return fmt.Errorf("%s: not one of the operator's kinds that are used here", head.Kind)
	}
	decoder := json.NewDecoder(bytes.NewReader(resource))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(into); err != nil {
		return fmt.Errorf("%s: %w", head.Kind, err)
	}
	return nil
}
