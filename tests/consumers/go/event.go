package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/twmb/franz-go/pkg/kgo"
)

const dataSchema = "urn:icr-bridge:event:1"

// Event is a CloudEvent of icr-bridge, as far as this program needs it.
type Event struct {
	ID          string `json:"id"`
	Source      string `json:"source"`
	DataSchema  string `json:"dataschema"`
	Fingerprint string `json:"fingerprint"`
	Data        Data   `json:"data"`
}

// Data is the record's value. Each field that the contract names is of its one type; whatever else stands there is left alone.
type Data struct {
	Event        string       `json:"event"`
	Organization *Identified  `json:"organization"`
	Installation *Identified  `json:"installation"`
	Transaction  *Transaction `json:"transaction"`
}

// Identified is an object with an id.
type Identified struct {
	ID string `json:"id"`
}

// Transaction as ICR says it.
type Transaction struct {
	ID       string  `json:"id"`
	CreditID string  `json:"creditId"` // Empty where it is null, as the two below.
	Type     string  `json:"type"`
	Status   string  `json:"status"`
	Amount   *string `json:"amount"` // A decimal in plain notation: never a float.
}

// parse reads a record in either of CloudEvents' content modes.
func parse(record *kgo.Record) (*Event, error) {
	headers := map[string]string{}
	for _, header := range record.Headers {
		headers[header.Key] = string(header.Value)
	}
	event := &Event{
		ID:          headers["ce_id"],
		Source:      headers["ce_source"],
		DataSchema:  headers["ce_dataschema"],
		Fingerprint: headers["ce_fingerprint"],
	}
	into := any(&event.Data)
	if strings.HasPrefix(headers["content-type"], "application/cloudevents+json") {
		into = event
	}
	if err := json.Unmarshal(record.Value, into); err != nil {
		return nil, fmt.Errorf("the value: %w", err)
	}
	if event.ID == "" {
		return nil, errors.New("this is no CloudEvent")
	}
	return event, nil
}
