//! These methods cut the power and turn it on again, which decides which unsynced writes and names survive.

use super::{SECTOR, SimStorage};
use std::path::Path;

impl SimStorage {
    /// Whether a sync has reached each sector of a file.
    pub fn is_synced(&self, path: &Path) -> bool {
        let world = self.world();
        let file = &world.files[world.names[path]];
        file.safe.len() == file.data.len().div_ceil(SECTOR)
    }

    /// The power goes after so many more mutating operations.
    pub fn light_fuse(&self, operations: u32) {
        self.world().fuse = Some(operations);
    }

    pub fn is_off(&self) -> bool {
        self.world().off
    }

    /// Everything fails from now on, until [`SimStorage::power_on`].
    pub fn power_off(&self) {
        self.world().off = true;
    }

    /// What a power cut leaves; `seed` decides.
    pub fn power_on(&self, seed: u64) {
        let mut world = self.world();
        world.random ^= seed.wrapping_mul(0x9E37_79B9_7F4A_7C15);
        let keep = match world.pending.len() as u64 {
            0 => 0,
            count => world.draw() % (count + 1),
        };
        let pending = std::mem::take(&mut world.pending);
        for operation in pending.into_iter().take(keep as usize) {
            operation.apply(&mut world.durable_names);
        }
        world.names = world.durable_names.clone();
        // Sometimes everything is lost, sometimes almost nothing.
        let odds = world.draw() % 5;
        for index in 0..world.files.len() {
            let mut file = world.files[index].clone();
            let length = if world.draw().is_multiple_of(2) {
                file.data.len()
            } else {
                file.durable.len()
            };
            let mut kept = file.durable.clone();
            kept.resize(length, 0);
            let torn = file.last_write.iter().next_back().copied();
            for &sector in &file.dirty {
                let start = sector * SECTOR;
                let mut end = (start + SECTOR).min(file.data.len()).min(kept.len());
                if torn == Some(sector) && world.draw().is_multiple_of(2) {
                    end = end.min(start + (world.draw() % SECTOR as u64) as usize);
                } else if world.draw() % 4 >= odds {
                    continue;
                }
                if start < end {
                    kept[start..end].copy_from_slice(&file.data[start..end]);
                }
            }
            file.data.clone_from(&kept);
            file.durable = kept;
            file.dirty.clear();
            file.last_write.clear();
            world.files[index] = file;
        }
        world.locked.clear();
        world.failing.clear();
        world.fuse = None;
        world.capacity = None;
        world.off = false;
        world.turns_read_only = false;
        world.epoch += 1;
    }
}
