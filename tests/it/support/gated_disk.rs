//! The real disk, with a gate before `fdatasync` of segments that a test opens and shuts, and a count of what is read.

use icr_bridge::journal::storage::{
    Access, Binding, Disk, Entry, Identity, Lock, Storage, StorageFile, Wanted,
};
use std::io;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex};

/// A handle on the disk; clones share one gate.
#[derive(Clone, Default)]
pub struct GatedDisk(Arc<Gate>);

#[derive(Default)]
struct Gate {
    state: Mutex<State>,
    changed: Condvar,
    read: AtomicU64,
}

#[derive(Default)]
struct State {
    shut: bool,
    failing: bool,
    waiting: usize,
}

impl GatedDisk {
    fn change(&self, change: impl FnOnce(&mut State)) {
        change(&mut self.0.state.lock().unwrap());
        self.0.changed.notify_all();
    }

    /// From now on syncs wait.
    pub fn shut(&self) {
        self.change(|state| state.shut = true);
    }

    pub fn open_gate(&self) {
        self.change(|state| state.shut = false);
    }

    /// From now on syncs fail, or do not any more; also those that wait, once the gate is opened.
    pub fn fail(&self, failing: bool) {
        self.change(|state| state.failing = failing);
    }

    /// How many syncs wait at the gate.
    pub fn waiting(&self) -> usize {
        self.0.state.lock().unwrap().waiting
    }

    /// How many bytes have been read of any file.
    pub fn bytes_read(&self) -> u64 {
        self.0.read.load(Ordering::Relaxed)
    }

    fn gated(&self, path: &Path, file: Arc<dyn StorageFile>) -> Arc<dyn StorageFile> {
        Arc::new(GatedFile {
            file,
            gate: Arc::clone(&self.0),
            segment: is_segment(path),
        })
    }
}

impl Gate {
    fn pass(&self) -> io::Result<()> {
        let mut state = self.state.lock().unwrap();
        state.waiting += 1;
        while state.shut {
            state = self.changed.wait(state).unwrap();
        }
        state.waiting -= 1;
        if state.failing {
            return Err(io::Error::from_raw_os_error(libc::EIO));
        }
        Ok(())
    }
}

struct GatedFile {
    file: Arc<dyn StorageFile>,
    gate: Arc<Gate>,
    segment: bool,
}

/// A segment, or what becomes one by its renaming.
fn is_segment(path: &Path) -> bool {
    let name = path.file_name().unwrap().to_str().unwrap();
    name.ends_with(".log") || name.starts_with("spare-")
}

impl StorageFile for GatedFile {
    fn read_at(&self, buffer: &mut [u8], position: u64) -> io::Result<usize> {
        let length = self.file.read_at(buffer, position)?;
        self.gate.read.fetch_add(length as u64, Ordering::Relaxed);
        Ok(length)
    }

    fn write_at(&self, bytes: &[u8], position: u64) -> io::Result<()> {
        self.file.write_at(bytes, position)
    }

    fn sync_data(&self) -> io::Result<()> {
        if self.segment {
            self.gate.pass()?;
        }
        self.file.sync_data()
    }

    fn confirm(&self) -> io::Result<()> {
        self.file.confirm()
    }

    fn identity(&self) -> io::Result<Identity> {
        self.file.identity()
    }

    fn length(&self) -> io::Result<u64> {
        self.file.length()
    }

    fn set_length(&self, bytes: u64) -> io::Result<()> {
        self.file.set_length(bytes)
    }

    fn extend(&self, bytes: u64) -> io::Result<()> {
        self.file.extend(bytes)
    }
}

impl Storage for GatedDisk {
    fn create_dir(&self, dir: &Path) -> io::Result<()> {
        Disk.create_dir(dir)
    }

    fn list(&self, dir: &Path) -> io::Result<Vec<Entry>> {
        Disk.list(dir)
    }

    fn list_foreign(&self, dir: &Path) -> io::Result<Vec<String>> {
        Disk.list_foreign(dir)
    }

    fn displace(&self, path: &Path, wanted: Wanted) -> io::Result<Option<String>> {
        Disk.displace(path, wanted)
    }

    fn shortcomings(&self, dir: &Path) -> Vec<String> {
        Disk.shortcomings(dir)
    }

    fn create(&self, path: &Path, bytes: u64) -> io::Result<Arc<dyn StorageFile>> {
        Ok(self.gated(path, Disk.create(path, bytes)?))
    }

    fn open(&self, path: &Path, access: Access) -> io::Result<Arc<dyn StorageFile>> {
        Ok(self.gated(path, Disk.open(path, access)?))
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        Disk.rename(from, to)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        Disk.remove(path)
    }

    fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        Disk.sync_dir(dir)
    }

    fn free_bytes(&self, dir: &Path) -> io::Result<u64> {
        Disk.free_bytes(dir)
    }

    fn lock(&self, path: &Path) -> io::Result<Box<dyn Lock>> {
        Disk.lock(path)
    }

    fn lock_folder(&self, dir: &Path) -> io::Result<Box<dyn Lock>> {
        Disk.lock_folder(dir)
    }

    /// By name alone, as where there is no `/proc`: through the gate.
    fn bind(&self, dir: &Path) -> io::Result<Binding> {
        let folder = Disk.bind(dir)?.folder;
        Ok(Binding {
            folder,
            storage: None,
        })
    }

    fn named(&self, path: &Path) -> io::Result<Option<Identity>> {
        Disk.named(path)
    }

    fn now_millis(&self) -> u64 {
        Disk.now_millis()
    }

    fn random(&self) -> u64 {
        Disk.random()
    }
}
