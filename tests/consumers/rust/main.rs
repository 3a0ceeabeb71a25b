//! A consumer of icr-bridge's records: rdkafka and SQLite.
//!
//! ```text
//! consumer BOOTSTRAP TOPIC GROUP DATABASE
//! ```
//!
//! The database has the tables of `schema.sql`. Ends at SIGTERM.

mod event;
mod store;

use event::Event;
use rdkafka::ClientConfig;
use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer};
use rdkafka::message::BorrowedMessage;
use std::error::Error;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use store::Store;

const DATASCHEMA: &str = "urn:icr-bridge:event:1";

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [bootstrap, topic, group, path] = arguments.as_slice() else {
        return Err("usage: consumer BOOTSTRAP TOPIC GROUP DATABASE".into());
    };
    let mut store = Store::open(path)?;
    let consumer: BaseConsumer = ClientConfig::new()
        .set("bootstrap.servers", bootstrap)
        .set("group.id", group)
        .set("auto.offset.reset", "earliest")
        .set("enable.auto.commit", "false")
        // After this time the others take over what a consumer had that has crashed.
        .set("session.timeout.ms", "10000")
        .create()?;
    consumer.subscribe(&[topic])?;
    let stopped = Arc::new(AtomicBool::new(false));
    signal_hook::flag::register(signal_hook::consts::SIGTERM, Arc::clone(&stopped))?;
    while !stopped.load(Ordering::Relaxed) {
        let mut last = None;
        // What is there is taken together, and committed together.
        let mut wait = Duration::from_millis(500);
        for _ in 0..100 {
            let Some(polled) = consumer.poll(wait) else {
                break;
            };
            wait = Duration::ZERO;
            match polled {
                Ok(message) => {
                    process(&mut store, &message)?;
                    last = Some(message);
                }
                Err(error) => eprintln!("{error}"),
            }
        }
        if last.is_some() {
            // Only now: what is repeated after a crash is recognised, what is skipped would be lost.
            consumer.commit_consumer_state(CommitMode::Sync)?;
        }
    }
    Ok(())
}

/// One record: its effect in one database transaction, or the record set aside. An error ends the program.
fn process(store: &mut Store, message: &BorrowedMessage<'_>) -> Result<(), Box<dyn Error>> {
    let applied = match Event::parse(message) {
        Ok(event) if event.dataschema != DATASCHEMA => {
            let version = event.dataschema;
            return Err(format!(
                "{version:?} is a version of the data that this program does not know"
            )
            .into());
        }
        Ok(event) => store.apply(&event),
        Err(error) => Err(error),
    };
    if let Err(reason) = applied {
        store.set_aside(message, &reason.to_string())?;
    }
    Ok(())
}
