//! The newest records, from footers where they exist: what a start needs, without reading bodies.
use super::Sequence;
use super::catalog::{Segment, Shelf};
use super::reader::{Next, Reader};
use super::scan::{At, Window};
use super::segment::{self, HEAD};
use super::storage::{Access, patiently};
use std::io;
use std::sync::Arc;
use std::time::Duration;

/// Takes sequence, tag and head of a record.
pub(super) type Each<'a> = &'a mut dyn FnMut(Sequence, &[u8], &[u8]);

/// See [`super::Journal::recent`]. Holds one segment's footer at a time. What cannot be read is left out: it is no reason not to start.
pub(super) fn recent(shelf: &Arc<Shelf>, limit: usize, prefix: usize, each: Each<'_>) {
    let (segments, mut skip) = newest(shelf, limit as u64);
    for segment in segments {
        let indexed = prefix <= HEAD && segment.trailer.is_some() && !segment.damaged;
        let footer = if indexed {
            from_footer(shelf, &segment, skip, prefix, each)
        } else {
            Ok(false)
        };
        let read = match footer {
            Ok(true) => Ok(()),
            _ => from_records(shelf, &segment, skip, prefix, each),
        };
        if let Err(error) = read {
            let path = shelf.dir.join(&segment.name);
            let what = format!(
                "{}: its newest records cannot be read ({error}); a delivery repeated from them is not recognized",
                path.display()
            );
            shelf.observer.warning(&what);
        }
        skip = 0;
    }
}

/// The segments that hold the newest `limit` records, in order, and how many records of the first to leave out.
fn newest(shelf: &Shelf, limit: u64) -> (Vec<Segment>, u64) {
    let catalog = shelf.catalog.lock();
    let (mut segments, mut records) = (Vec::new(), 0);
    for segment in catalog.segments.values().rev() {
        if records >= limit {
            break;
        }
        records += segment.records;
        segments.push(segment.clone());
    }
    segments.reverse();
    (segments, records.saturating_sub(limit))
}

/// Whether the footer was good.
fn from_footer(
    shelf: &Shelf,
    segment: &Segment,
    skip: u64,
    prefix: usize,
    each: Each<'_>,
) -> io::Result<bool> {
    let path = shelf.dir.join(&segment.name);
    let file = match patiently(|| shelf.storage.open(&path, Access::Read)) {
        // Deleted since: older than what is wanted.
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(true),
        opened => opened?,
    };
    let mut window = Window::patient(file);
    let At::Good(footer) = window.frame(segment.header.salt, segment.end, segment.bytes)? else {
        shelf.report_damage(segment.header, segment.end);
        return Ok(false);
    };
    let entries = segment::entries(window.payload(segment.end, &footer));
    for entry in entries.skip(usize::try_from(skip).unwrap_or(usize::MAX)) {
        each(
            entry.sequence,
            entry.tag,
            entry.head.get(..prefix).unwrap_or(entry.head),
        );
    }
    Ok(true)
}

fn from_records(
    shelf: &Arc<Shelf>,
    segment: &Segment,
    mut skip: u64,
    prefix: usize,
    each: Each<'_>,
) -> io::Result<()> {
    let mut reader = Reader::patient(Arc::clone(shelf), segment.header.base);
    while let Next::Record(_) | Next::Missing { .. } = {
        let next = reader.next(Duration::ZERO)?;
        match &next {
            Next::Record(stored) if stored.sequence > segment.last => return Ok(()),
            Next::Missing { from, .. } if *from > segment.last => return Ok(()),
            Next::Record(_) if skip > 0 => skip -= 1,
            Next::Record(stored) => {
                let head = stored.body.get(..prefix).unwrap_or(stored.body);
                each(stored.sequence, stored.tag, head);
            }
            _ => {}
        }
        next
    } {}
    Ok(())
}
