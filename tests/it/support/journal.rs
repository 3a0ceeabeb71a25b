//! What a journal's files hold, read beside or after a bridge.

use icr_bridge::domain::delivery::Delivery;
use icr_bridge::journal::reader::Next;
use icr_bridge::journal::storage::Disk;
use icr_bridge::journal::view::View;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

/// The ids of all deliveries, in the order of their sequences.
pub fn ids(dir: &Path) -> Vec<String> {
    let view = View::open(Arc::new(Disk), dir).unwrap();
    let mut reader = view.reader(1).unwrap();
    let mut ids = Vec::new();
    loop {
        match reader.next(Duration::ZERO).unwrap() {
            Next::Record(stored) => ids.push(Delivery::decode(stored.body).unwrap().id.to_string()),
            Next::Closed | Next::Idle => return ids,
            missing => panic!("{missing:?}"),
        }
    }
}
