//! The ring of an open journal: in its folder, under its lock, and never in its way.

use super::{FOLDER, Options, Ring, Space, blocks};
use crate::journal::storage::{Disk, Storage};
use crate::journal::{self, AppendError, Journal};
use crate::metrics::RingMetrics;
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

/// Rejected deliveries are kept as long as published ones, but at least for a week: so long may a wrong secret go unnoticed.
const LEAST: Duration = Duration::from_hours(7 * 24);

/// Starts the ring of a journal that was opened with these options, for so many bytes. `None` for 0: then none is kept, and what was kept
/// is deleted.
///
/// # Errors
/// The ring's thread cannot be started.
pub fn beside(
    journal: &Journal,
    options: &journal::Options,
    bytes: u64,
    metrics: RingMetrics,
) -> io::Result<Option<Arc<Ring>>> {
    if bytes == 0 {
        clear(&Disk, &options.dir);
        return Ok(None);
    }
    let options = Options {
        journal: options.dir.clone(),
        capacity: bytes,
        keep_for: options.retention_age.max(LEAST),
    };
    let storage = journal.storage();
    let journal = journal.clone();
    let space = move || {
        let status = journal.status();
        Space {
            in_place: journal.is_in_place(),
            may_grow: !status.low_water,
            starving: status.storable == Err(AppendError::DiskFull),
        }
    };
    let ring = Ring::start(storage, options, space, metrics)?;
    Ok(Some(Arc::new(ring)))
}

/// Removes what an earlier ring has left, for one that is switched off.
fn clear(storage: &dyn Storage, journal: &Path) {
    let dir = journal.join(FOLDER);
    let removed = match storage.remove(&dir.join(blocks::NAME)) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return,
        removed => removed.and_then(|()| storage.sync_dir(&dir)),
    };
    match removed {
        Ok(()) => tracing::info!(
            "the rejected deliveries that were kept are deleted: ICR_BRIDGE_REJECTED_RING_BYTES is 0"
        ),
        Err(error) => tracing::warn!(
            "{}: the rejected deliveries that were kept cannot be deleted: {error}",
            dir.display()
        ),
    }
}
