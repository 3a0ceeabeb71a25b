//! Implements an open file of the simulated filesystem: reads, writes and syncs.

use super::{Operation, SECTOR, World, numbered};
use icr_journal::storage::{Identity, StorageFile};
use std::io;
use std::sync::{Arc, Mutex, MutexGuard};

pub(super) struct SimFile {
    pub(super) world: Arc<Mutex<World>>,
    pub(super) file: usize,
    pub(super) epoch: u64,
}

impl SimFile {
    fn world(&self) -> io::Result<MutexGuard<'_, World>> {
        let world = self.world.lock().unwrap();
        if world.epoch == self.epoch {
            Ok(world)
        } else {
            Err(io::Error::other("opened before the power cut"))
        }
    }
}

impl StorageFile for SimFile {
    fn read_at(&self, buffer: &mut [u8], position: u64) -> io::Result<usize> {
        let mut world = self.world()?;
        world.check(Operation::Read)?;
        let asked = position..position + buffer.len() as u64;
        let met = world.unreadable.iter().any(|(file, bad)| {
            *file == self.file && bad.start < asked.end && asked.start < bad.end
        });
        let falters = match world
            .faltering
            .get_mut(&self.file)
            .filter(|times| **times > 0)
        {
            Some(times) => {
                *times -= 1;
                true
            }
            None => false,
        };
        if met || falters {
            return Err(io::Error::from_raw_os_error(libc::EIO));
        }
        let data = &world.files[self.file].data;
        let rest = data.get(position as usize..).unwrap_or_default();
        let length = rest.len().min(buffer.len());
        buffer[..length].copy_from_slice(&rest[..length]);
        Ok(length)
    }

    fn write_at(&self, bytes: &[u8], position: u64) -> io::Result<()> {
        let mut world = self.world()?;
        if world.off {
            return Err(io::Error::other("no power"));
        }
        let result = world.check(Operation::Write);
        let mut length = bytes.len();
        if result.is_err() {
            // A failing write may have written anything.
            length = (world.draw() % (length as u64 + 1)) as usize;
        }
        let (start, end) = (position as usize, position as usize + length);
        let growth = end.saturating_sub(world.files[self.file].data.len());
        let sectors = start / SECTOR..end.div_ceil(SECTOR);
        let more = match &world.files[self.file].taken {
            Some(taken) => {
                sectors
                    .clone()
                    .filter(|sector| !taken.contains(sector))
                    .count()
                    * SECTOR
            }
            None => growth,
        };
        if more > 0 {
            world.room_for(more as u64)?;
        }
        if let Some(taken) = &mut world.files[self.file].taken {
            taken.extend(sectors);
        }
        let file = &mut world.files[self.file];
        if growth > 0 {
            file.data.resize(end, 0);
        }
        file.data[start..end].copy_from_slice(&bytes[..length]);
        if length > 0 {
            let sectors = start / SECTOR..=(end - 1) / SECTOR;
            file.last_write = sectors.clone().collect();
            file.dirty.extend(sectors);
        }
        result
    }

    fn sync_data(&self) -> io::Result<()> {
        let mut world = self.world()?;
        if world.off {
            return Err(io::Error::other("no power"));
        }
        let result = world.check(Operation::Sync);
        if world.off {
            return result;
        }
        let mut file = std::mem::take(&mut world.files[self.file]);
        if result.is_err() {
            let dirty = std::mem::take(&mut file.dirty);
            let length = file.durable.len().max(file.data.len());
            file.durable.resize(length, 0);
            for sector in dirty {
                let range = sector * SECTOR..((sector + 1) * SECTOR).min(file.data.len());
                if world.draw().is_multiple_of(2) && !range.is_empty() {
                    file.durable[range.clone()].copy_from_slice(&file.data[range]);
                }
            }
        } else {
            file.durable.resize(file.data.len(), 0);
            for sector in std::mem::take(&mut file.dirty) {
                if world.turns_read_only && !file.safe.contains(&sector) {
                    continue;
                }
                file.safe.insert(sector);
                let range = sector * SECTOR..((sector + 1) * SECTOR).min(file.data.len());
                if !range.is_empty() {
                    file.durable[range.clone()].copy_from_slice(&file.data[range]);
                }
            }
        }
        file.last_write.clear();
        world.files[self.file] = file;
        result
    }

    fn confirm(&self) -> io::Result<()> {
        match self.world()?.turns_read_only {
            true => Err(io::Error::from_raw_os_error(libc::EROFS)),
            false => Ok(()),
        }
    }

    fn identity(&self) -> io::Result<Identity> {
        Ok(numbered(self.file as u64))
    }

    fn length(&self) -> io::Result<u64> {
        let mut world = self.world()?;
        world.check(Operation::Read)?;
        Ok(world.files[self.file].data.len() as u64)
    }

    fn set_length(&self, bytes: u64) -> io::Result<()> {
        let mut world = self.world()?;
        world.check(Operation::Write)?;
        let file = &mut world.files[self.file];
        file.data.resize(bytes as usize, 0);
        if let Some(taken) = &mut file.taken {
            taken.split_off(&(bytes as usize).div_ceil(SECTOR));
        }
        Ok(())
    }

    fn extend(&self, bytes: u64) -> io::Result<()> {
        let mut world = self.world()?;
        world.check(Operation::Write)?;
        let file = &world.files[self.file];
        let more = bytes.saturating_sub(file.data.len() as u64);
        if file.taken.is_none() {
            world.room_for(more)?;
        }
        world.files[self.file].data.resize(bytes as usize, 0);
        Ok(())
    }
}
