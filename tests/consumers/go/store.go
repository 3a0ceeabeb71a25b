package main

import (
	"database/sql"
	"errors"

	_ "github.com/ncruces/go-sqlite3/driver"
	"github.com/shopspring/decimal"
	"github.com/twmb/franz-go/pkg/kgo"
)

var (
	transactionEvents    = map[string]bool{"warehouseTransaction": true, "organizationTransaction": true}
	states               = map[string]bool{"installed": true, "uninstalled": true, "suspended": true, "unsuspended": true}
	otherLifecycleEvents = map[string]bool{"newPermissionsAccepted": true}
	ranks                = map[string]int{"pending_queue": 0, "processed": 2, "failed": 2}
)

// Store is the database.
type Store struct{ *sql.DB }

func open(path string) (*Store, error) {
	database, err := sql.Open("sqlite3", "file:"+path)
	if err != nil {
		return nil, err
	}
	database.SetMaxOpenConns(1)
	return &Store{database}, database.Ping()
}

// Apply stores the effect of an event and that it was processed, both or neither.
func (store *Store) Apply(event *Event) error {
	name := event.Data.Event
	if !transactionEvents[name] && !states[name] && !otherLifecycleEvents[name] {
		return nil // There will be more; those that we don't know are none of our business.
	}
	tx, err := store.Begin()
	if err != nil {
		return err
	}
	defer tx.Rollback()
	isNew, err := enter(tx, event)
	if err != nil || !isNew {
		return errors.Join(err, tx.Commit())
	}
	if err := apply(tx, event); err != nil {
		return err
	}
	return tx.Commit()
}

// enter puts the event among those that were processed; false where it was there already.
func enter(tx *sql.Tx, event *Event) (bool, error) {
	isNew, err := changes(tx, "INSERT OR IGNORE INTO processed VALUES (?)", event.ID)
	// Not for lifecycle events: suspended, unsuspended, suspended are three, of which two may have the same fingerprint.
	if err != nil || !isNew || !transactionEvents[event.Data.Event] {
		return isNew, err
	}
	return changes(tx, "INSERT OR IGNORE INTO processed_transaction_events VALUES (?, ?)", event.Source, event.Fingerprint)
}

func changes(tx *sql.Tx, statement string, values ...any) (bool, error) {
	result, err := tx.Exec(statement, values...)
	if err != nil {
		return false, err
	}
	count, err := result.RowsAffected()
	return count > 0, err
}

func apply(tx *sql.Tx, event *Event) error {
	data, amount := event.Data, decimal.Zero
	if data.Organization == nil || data.Installation == nil {
		return errors.New("an event without organization or installation")
	}
	switch {
	case transactionEvents[data.Event]:
		transaction := data.Transaction
		if transaction == nil {
			return errors.New("a transaction event without transaction")
		}
		if transaction.Amount != nil && transaction.Status == "processed" {
			var err error
			if amount, err = decimal.NewFromString(*transaction.Amount); err != nil {
				return err
			}
		}
		rank, known := ranks[transaction.Status]
		if !known {
			rank = 1
		}
		// Events come in any order: what is pending never replaces what is final, and of equals the later one counts.
		_, err := tx.Exec(`
			INSERT INTO transactions VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
			ON CONFLICT DO UPDATE SET type = excluded.type, amount = excluded.amount, status = excluded.status,
				rank = excluded.rank, ce_id = excluded.ce_id
			WHERE (excluded.rank, excluded.ce_id) > (rank, ce_id)`,
			event.Source, transaction.ID, transaction.CreditID, data.Installation.ID, data.Organization.ID,
			transaction.Type, transaction.Amount, transaction.Status, rank, event.ID)
		if err != nil {
			return err
		}
	case states[data.Event]:
		_, err := tx.Exec(`
			INSERT INTO installations VALUES (?, ?, ?, ?, ?)
			ON CONFLICT DO UPDATE SET state = excluded.state, ce_id = excluded.ce_id WHERE excluded.ce_id > ce_id`,
			event.Source, data.Installation.ID, data.Organization.ID, data.Event, event.ID)
		if err != nil {
			return err
		}
	}
	return add(tx, event, amount)
}

// add counts the event, and adds up the amounts exactly.
func add(tx *sql.Tx, event *Event, amount decimal.Decimal) error {
	key := []any{event.Source, event.Data.Organization.ID, event.Data.Event}
	var total string
	row := tx.QueryRow("SELECT processed FROM totals WHERE (source, organization, event) = (?, ?, ?)", key...)
	switch err := row.Scan(&total); {
	case err == nil:
		before, err := decimal.NewFromString(total)
		if err != nil {
			return err
		}
		amount = amount.Add(before)
	case !errors.Is(err, sql.ErrNoRows):
		return err
	}
	_, err := tx.Exec(`
		INSERT INTO totals VALUES (?, ?, ?, 1, ?)
		ON CONFLICT DO UPDATE SET events = events + 1, processed = excluded.processed`, append(key, amount.String())...)
	return err
}

// SetAside keeps a record that could not be processed.
func (store *Store) SetAside(record *kgo.Record, reason error) error {
	_, err := store.Exec("INSERT OR IGNORE INTO set_aside VALUES (?, ?, ?, ?, ?)",
		record.Topic, record.Partition, record.Offset, reason.Error(), record.Value)
	return err
}
