//! Disks that fail, and disks that are full.
mod cursor;
mod full;
mod reading;
mod writing;

use super::harness::options;
use icr_journal::Options;

fn no_spares() -> Options {
    Options {
        spare_segments: 0,
        ..options()
    }
}
