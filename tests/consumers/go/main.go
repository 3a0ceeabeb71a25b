// A consumer of icr-bridge's records: franz-go and SQLite.
//
//	consumer BOOTSTRAP TOPIC GROUP DATABASE
//
// The database has the tables of schema.sql. Ends at SIGINT or SIGTERM.
package main

import (
	"context"
	"log"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
)

func main() {
	bootstrap, topic, group, path := os.Args[1], os.Args[2], os.Args[3], os.Args[4]
	store, err := open(path)
	if err != nil {
		log.Fatal(err)
	}
	defer store.Close()
	client, err := kgo.NewClient(
		kgo.SeedBrokers(strings.Split(bootstrap, ",")...),
		kgo.ConsumerGroup(group),
		kgo.ConsumeTopics(topic),
		kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()),
		kgo.DisableAutoCommit(),
		// After this time the others take over what a consumer had that has crashed.
		kgo.SessionTimeout(10*time.Second),
		// No partition is taken away between processing and commit.
		kgo.BlockRebalanceOnPoll(),
	)
	if err != nil {
		log.Fatal(err)
	}
	defer client.CloseAllowingRebalance()
	running, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	for running.Err() == nil {
		fetches := client.PollRecords(running, 100)
		fetches.EachError(func(topic string, partition int32, err error) {
			if running.Err() == nil {
				log.Printf("%s/%d: %v", topic, partition, err)
			}
		})
		records := fetches.Records()
		for _, record := range records {
			if err := process(store, record); err != nil {
				log.Fatal(err)
			}
		}
		// Only now: what is repeated after a crash is recognised, what is skipped would be lost.
		if err := client.CommitRecords(context.Background(), records...); err != nil {
			log.Fatal(err)
		}
		client.AllowRebalance()
	}
}

// process takes one record: its effect in one database transaction, or the record set aside. An error ends the program.
func process(store *Store, record *kgo.Record) error {
	event, err := parse(record)
	if err == nil {
		if event.DataSchema != dataSchema {
			log.Fatalf("%q is a version of the data that this program does not know", event.DataSchema)
		}
		err = store.Apply(event)
	}
	if err != nil {
		return store.SetAside(record, err)
	}
	return nil
}
