//! Where no filesystem can be mounted: the journal alone, on the `Storage` fault model of the integration tests.

use crate::harness::load::Deliveries;
use crate::harness::stage::Stage;
use crate::harness::table::Row;
use crate::support::sim_storage::SimStorage;
use icr_bridge::journal::reader::Next;
use icr_bridge::journal::{Append, Journal, Observer, Options, Sequence};
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

struct Silent;

impl Observer for Silent {}

/// Plays the fault so, and says so.
pub fn run(stage: &mut Stage, why: &str) {
    stage.note(format!(
        "{why}; so only the journal was tried, on a model of a disk, without HTTP and Kafka: `published` is what can be read back"
    ));
    let storage = SimStorage::new(stage.random(u64::MAX));
    let deliveries = Deliveries::new(1);
    let mut row = Row::default();
    let mut stored = BTreeMap::new();
    for _ in stage.rounds(20, 400) {
        let journal = open(&storage);
        storage.light_fuse(10 + stage.random(400) as u32);
        while !storage.is_off() {
            let batch: Vec<_> = (0..=stage.random(20))
                .map(|_| {
                    row.sent += 1;
                    let body = deliveries.request(row.sent).body;
                    (append(&journal, body.clone()), body)
                })
                .collect();
            for (done, body) in batch {
                match done.recv().unwrap() {
                    Some(sequence) => {
                        row.accepted += 1;
                        stored.insert(sequence, body);
                    }
                    None => *row.others.entry("power off".to_owned()).or_default() += 1,
                }
            }
        }
        drop(journal);
        storage.power_on(stage.random(u64::MAX));
    }
    let found = read(&open(&storage));
    row.published = found.len() as u64;
    let is_lost = |(sequence, body): &(&Sequence, &Vec<u8>)| found.get(sequence) != Some(body);
    row.lost = stored.iter().filter(is_lost).count() as u64;
    stage.modelled(row);
}

fn open(storage: &SimStorage) -> Journal {
    let options = Options {
        dir: PathBuf::from("/journal"),
        segment_bytes: 256 << 10,
        spare_segments: 1,
        queue: 4096,
        retention_age: Duration::from_secs(3600),
        retention_bytes: 1 << 40,
        low_water_bytes: 0,
    };
    Journal::open(Arc::new(storage.clone()), options, Arc::new(Silent)).unwrap()
}

/// Queues a record; the sequence follows once it is safe, nothing where it is not.
fn append(journal: &Journal, bytes: Vec<u8>) -> Receiver<Option<Sequence>> {
    let (sender, receiver) = channel();
    let refused = sender.clone();
    let append = Append {
        tag_length: 0,
        bytes,
        done: Box::new(move |result| sender.send(result.ok()).unwrap_or_default()),
    };
    if journal.append(append).is_err() {
        refused.send(None).unwrap();
    }
    receiver
}

fn read(journal: &Journal) -> BTreeMap<Sequence, Vec<u8>> {
    let mut reader = journal.reader(1);
    let mut found = BTreeMap::new();
    while let Next::Record(stored) = reader.next(Duration::ZERO).unwrap() {
        found.insert(stored.sequence, stored.body.to_vec());
    }
    found
}
