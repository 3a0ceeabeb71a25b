//! What `journal verify` checks, and what `journal repair` therefore has to put right.
use super::catalog::Shelf;
use super::load::{Folder, Loaded, Verdict};
use super::memo::{self, Memo};
use super::scan::{self, At, Bad, Extent, Scan, Tail, Window};
use super::segment::{self, TRAILER, Trailer};
use super::storage::{Access, patiently};
use super::view::{Finding, Verification};
use super::{Progress, Sequence, cursor, held, outcomes};
use std::io;

/// Checks a folder that was loaded.
pub(super) fn verify(
    shelf: &Shelf,
    folder: &Folder,
    gaps: &[(Sequence, Sequence)],
) -> io::Result<Verification> {
    let mut found = Verification {
        segments: folder.segments.len(),
        ..Verification::default()
    };
    check_cursor(folder, &mut found);
    for loaded in &folder.segments {
        let checked = check(shelf, loaded, folder.synced())?;
        found.records += checked.records;
        found.damage.extend(checked.damage);
        found.remarks.extend(checked.remarks);
    }
    for name in &folder.strays {
        found.damage.push(Finding {
            file: name.clone(),
            position: None,
            what: "no segment of this journal, and in the place of none; it costs no record".into(),
        });
    }
    for (from, to) in gaps {
        found.damage.push(Finding {
            file: segment::name(*from),
            position: None,
            what: format!("missing: the records {from} to {to} are in no segment"),
        });
    }
    let progress = folder.cursor.best.map(|slot| slot.progress);
    check_held(shelf, progress, &mut found)?;
    for name in &folder.unbelievable {
        found.remarks.push(Finding {
            file: name.clone(),
            position: None,
            what: "this number is none that the journal gives; the file is not used".into(),
        });
    }
    for (base, _) in &folder.outcomes {
        if let Ok(Some(position)) = outcomes::check(&*shelf.storage, &shelf.dir, *base) {
            found.remarks.push(Finding {
                file: outcomes::name(*base),
                position: Some(position),
                what: "outcomes from here on cannot be read; no record is lost by that".into(),
            });
        }
    }
    if let (_, Some(trouble)) = Memo::open(&*shelf.storage, &shelf.dir) {
        found.remarks.push(Finding {
            file: memo::NAME.into(),
            position: None,
            what: format!("{trouble}; no record is lost by that"),
        });
    }
    Ok(found)
}

fn check_cursor(folder: &Folder, found: &mut Verification) {
    let finding = |what: &str| Finding {
        file: cursor::NAME.into(),
        position: None,
        what: what.into(),
    };
    let read = &folder.cursor;
    if read.best.is_none() && (read.bad > 0 || !folder.segments.is_empty()) {
        found.damage.push(finding(
            "lost: publishing starts again at the first record there is",
        ));
    } else if read.bad > 0 {
        found
            .damage
            .push(finding("one of two slots is damaged; the other one counts"));
    }
}

fn check_held(
    shelf: &Shelf,
    progress: Option<Progress>,
    found: &mut Verification,
) -> io::Result<()> {
    let mut copies = held::Held::open(&*shelf.storage, &shelf.dir)?;
    for name in copies.judge(progress) {
        found.remarks.push(Finding {
            file: format!("{}/{name}", held::NAME),
            position: None,
            what: "this is no copy of a held record; it is not used".into(),
        });
    }
    for sequence in copies.up_to(Sequence::MAX) {
        match copies.read(&*shelf.storage, sequence) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => found.damage.push(Finding {
                file: format!("{}/{sequence:020}", held::NAME),
                position: None,
                what: format!("the held record {sequence} cannot be read: {error}"),
            }),
            _ => {}
        }
    }
    Ok(())
}

/// What is known of one segment after reading all of it.
#[derive(Debug, Default)]
pub(super) struct Checked {
    pub records: u64,
    pub damage: Vec<Finding>,
    pub remarks: Vec<Finding>,
}

/// Checks one segment.
pub(super) fn check(shelf: &Shelf, loaded: &Loaded, synced: Sequence) -> io::Result<Checked> {
    let mut checked = Checked::default();
    let mut report = Report {
        file: &loaded.name,
        checked: &mut checked,
    };
    if let Some(why) = &loaded.unopened {
        report.damage(
            0,
            format!("cannot be opened: {why}; nothing is lost by that alone"),
        );
        return Ok(checked);
    }
    if loaded.header.is_none() {
        report.damage(
            0,
            "neither copy of the header is good: nothing in it can be read".into(),
        );
        return Ok(checked);
    }
    if loaded.copies < 2 {
        report.damage(
            0,
            "one of two copies of the header is damaged; it costs nothing".into(),
        );
    }
    match (&loaded.trailer, &loaded.scan) {
        (Some(trailer), _) => sealed(shelf, loaded, trailer, &mut report)?,
        (None, Some(scan)) => unsealed(loaded, scan, &mut report),
        (None, None) => {}
    }
    if checked.damage.is_empty() && loaded.verdict(synced) == Verdict::Damaged {
        Report {
            file: &loaded.name,
            checked: &mut checked,
        }
        .damage(0, "set aside as damaged".into());
    }
    Ok(checked)
}

struct Report<'a> {
    file: &'a str,
    checked: &'a mut Checked,
}

impl Report<'_> {
    fn finding(&self, position: u64, what: String) -> Finding {
        Finding {
            file: self.file.to_owned(),
            position: Some(position),
            what,
        }
    }

    fn damage(&mut self, position: u64, what: String) {
        let finding = self.finding(position, what);
        self.checked.damage.push(finding);
    }

    fn remark(&mut self, position: u64, what: String) {
        let finding = self.finding(position, what);
        self.checked.remarks.push(finding);
    }

    fn frames(&mut self, scan: &Scan) {
        self.checked.records += scan.entries.count;
        for bad in &scan.bad {
            let cost = lost(bad.from, bad.to);
            self.damage(bad.position, format!("bad bytes up to {}; {cost}", bad.end));
        }
    }
}

fn lost(from: Sequence, to: Sequence) -> String {
    match to.checked_sub(from) {
        None => "no record is lost".into(),
        Some(0) => format!("the record {from} is lost"),
        Some(_) => format!("the records {from} to {to} are lost"),
    }
}

/// Everything before the trailer was synced: what is bad is damage.
fn sealed(
    shelf: &Shelf,
    loaded: &Loaded,
    trailer: &Trailer,
    report: &mut Report,
) -> io::Result<()> {
    let salt = loaded.header.map_or(0, |header| header.salt);
    let path = shelf.dir.join(&loaded.name);
    let file = patiently(|| shelf.storage.open(&path, Access::Read))?;
    let extent = Extent {
        salt,
        base: loaded.base,
        size: trailer.footer,
        limit: loaded.limit,
        synced: true,
    };
    let mut scan = scan::scan(file.clone(), extent)?;
    if scan.end < trailer.footer && scan.entries.last < trailer.last.min(loaded.limit - 1) {
        scan.bad.push(Bad {
            position: scan.end,
            end: trailer.footer,
            from: scan.entries.last.max(loaded.base.saturating_sub(1)) + 1,
            to: trailer.last,
        });
    }
    report.frames(&scan);
    let mut window = Window::patient(file);
    let end = trailer.bytes - TRAILER;
    let good = match window.frame(salt, trailer.footer, end)? {
        At::Good(footer) => {
            !scan.bad.is_empty() || window.payload(trailer.footer, &footer) == scan.entries.bytes
        }
        _ => false,
    };
    if !good {
        report.damage(
            trailer.footer,
            "the footer is damaged; no record is lost".into(),
        );
    }
    Ok(())
}

fn unsealed(loaded: &Loaded, scan: &Scan, report: &mut Report) {
    report.frames(scan);
    let last = loaded.last();
    if loaded.is_truncated() {
        report.damage(
            scan.end,
            format!("truncated; the records after {last} are lost, if there were any"),
        );
    } else if loaded.limit != Sequence::MAX && last + 1 < loaded.limit {
        report.damage(scan.end, lost(last + 1, loaded.limit - 1));
    } else if scan.tail == Tail::Torn {
        report.remark(
            scan.end,
            "a torn tail, never acknowledged; it is cut at the next start".into(),
        );
    }
    report.remark(scan.end, "not sealed: in use, or left so by a crash".into());
}
