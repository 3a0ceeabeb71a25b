//! What the consumer keeps.

use super::event::Event;
use bigdecimal::BigDecimal;
use rdkafka::message::Message;
use rusqlite::{Connection, OptionalExtension, Transaction, params};
use std::error::Error;
use std::str::FromStr;

const TRANSACTION_EVENTS: &[&str] = &["warehouseTransaction", "organizationTransaction"];
const STATES: &[&str] = &["installed", "uninstalled", "suspended", "unsuspended"];
const OTHER_LIFECYCLE_EVENTS: &[&str] = &["newPermissionsAccepted"];

pub struct Store(Connection);

impl Store {
    pub fn open(path: &str) -> Result<Self, rusqlite::Error> {
        Ok(Self(Connection::open(path)?))
    }

    /// Stores the effect of an event and that it was processed: both or neither.
    pub fn apply(&mut self, event: &Event) -> Result<(), Box<dyn Error>> {
        let name = event.data.event.as_str();
        if ![TRANSACTION_EVENTS, STATES, OTHER_LIFECYCLE_EVENTS]
            .concat()
            .contains(&name)
        {
            // There will be more; those that we don't know are none of our business.
            return Ok(());
        }
        let database = self.0.transaction()?;
        if is_new(&database, event)? {
            effect(&database, event)?;
        }
        Ok(database.commit()?)
    }

    /// Keeps a record that could not be processed.
    pub fn set_aside(&self, record: &impl Message, reason: &str) -> Result<(), rusqlite::Error> {
        let key = (record.topic(), record.partition(), record.offset());
        self.0.execute(
            "INSERT OR IGNORE INTO set_aside VALUES (?, ?, ?, ?, ?)",
            params![key.0, key.1, key.2, reason, record.payload()],
        )?;
        Ok(())
    }
}

/// Enters the event among those that were processed; false where it was there already.
fn is_new(database: &Transaction<'_>, event: &Event) -> Result<bool, rusqlite::Error> {
    if database.execute("INSERT OR IGNORE INTO processed VALUES (?)", [&event.id])? == 0 {
        return Ok(false);
    }
    // Not for lifecycle events: suspended, unsuspended, suspended are three, of which two may have the same fingerprint.
    if !TRANSACTION_EVENTS.contains(&event.data.event.as_str()) {
        return Ok(true);
    }
    let sql = "INSERT OR IGNORE INTO processed_transaction_events VALUES (?, ?)";
    Ok(database.execute(sql, [&event.source, &event.fingerprint])? > 0)
}

fn effect(database: &Transaction<'_>, event: &Event) -> Result<(), Box<dyn Error>> {
    let name = event.data.event.as_str();
    let installation = event
        .data
        .installation
        .as_ref()
        .ok_or("an event without installation")?;
    let organization = event
        .data
        .organization
        .as_ref()
        .ok_or("an event without organization")?;
    let mut processed = BigDecimal::from(0);
    if TRANSACTION_EVENTS.contains(&name) {
        let transaction = event
            .data
            .transaction
            .as_ref()
            .ok_or("a transaction event without transaction")?;
        let status = transaction.status.as_deref().unwrap_or_default();
        if let Some(amount) = transaction
            .amount
            .as_deref()
            .filter(|_| status == "processed")
        {
            processed = BigDecimal::from_str(amount)?;
        }
        let rank = match status {
            "pending_queue" => 0,
            "processed" | "failed" => 2,
            _ => 1,
        };
        // Events come in any order: what is pending never replaces what is final, and of equals the later one counts.
        database.execute(
            "INSERT INTO transactions VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
             ON CONFLICT DO UPDATE SET type = excluded.type, amount = excluded.amount, status = excluded.status,
                 rank = excluded.rank, ce_id = excluded.ce_id
             WHERE (excluded.rank, excluded.ce_id) > (rank, ce_id)",
            params![
                event.source,
                transaction.id,
                transaction.credit_id.as_deref().unwrap_or_default(),
                installation.id,
                organization.id,
                transaction.kind.as_deref().unwrap_or_default(),
                transaction.amount,
                status,
                rank,
                event.id
            ],
        )?;
    } else if STATES.contains(&name) {
        database.execute(
            "INSERT INTO installations VALUES (?, ?, ?, ?, ?)
             ON CONFLICT DO UPDATE SET state = excluded.state, ce_id = excluded.ce_id WHERE excluded.ce_id > ce_id",
            params![event.source, installation.id, organization.id, name, event.id],
        )?;
    }
    let key = params![event.source, organization.id, name];
    let sql = "SELECT processed FROM totals WHERE (source, organization, event) = (?, ?, ?)";
    let before: Option<String> = database.query_row(sql, key, |row| row.get(0)).optional()?;
    if let Some(before) = before {
        processed += BigDecimal::from_str(&before)?;
    }
    database.execute(
        "INSERT INTO totals VALUES (?, ?, ?, 1, ?)
         ON CONFLICT DO UPDATE SET events = events + 1, processed = excluded.processed",
        params![
            event.source,
            organization.id,
            name,
            processed.to_plain_string()
        ],
    )?;
    Ok(())
}
