//! Publishing from disks that fail.
use super::rig::*;
use super::stop;
use icr_bridge::journal::storage::{
    Access, Binding, Disk, Entry, Identity, Lock, Storage, StorageFile, Wanted,
};
use icr_bridge::publisher::FailureReason;
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// The real disk, with a sector of each segment that cannot be read once it is said where.
#[derive(Clone, Default)]
struct BadSector(Arc<AtomicU64>);

const SECTOR: u64 = 512;

struct BadFile {
    file: Arc<dyn StorageFile>,
    at: Option<Arc<AtomicU64>>,
}

impl BadSector {
    /// Segments, and what becomes one: readers use the writer's own descriptors.
    fn bad(&self, path: &Path, file: Arc<dyn StorageFile>) -> Arc<dyn StorageFile> {
        let name = path.file_name().unwrap().to_str().unwrap();
        let is_segment = name.ends_with(".log") || name.starts_with("spare-");
        Arc::new(BadFile {
            file,
            at: is_segment.then(|| Arc::clone(&self.0)),
        })
    }
}

impl Storage for BadSector {
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
        Ok(self.bad(path, Disk.create(path, bytes)?))
    }
    fn open(&self, path: &Path, access: Access) -> io::Result<Arc<dyn StorageFile>> {
        Ok(self.bad(path, Disk.open(path, access)?))
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

impl StorageFile for BadFile {
    fn read_at(&self, buffer: &mut [u8], position: u64) -> io::Result<usize> {
        let bad = self.at.as_ref().map_or(0, |at| at.load(Ordering::SeqCst));
        if bad > 0 && position < bad + SECTOR && bad < position + buffer.len() as u64 {
            return Err(io::Error::from_raw_os_error(libc::EIO));
        }
        self.file.read_at(buffer, position)
    }
    fn write_at(&self, bytes: &[u8], position: u64) -> io::Result<()> {
        self.file.write_at(bytes, position)
    }
    fn sync_data(&self) -> io::Result<()> {
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

#[test]
fn a_sector_that_cannot_be_read_costs_what_stood_there_and_stops_nothing() {
    let kafka = kafka();
    let disk = BadSector::default();
    let rig = Rig::on(Arc::new(disk.clone()), kafka.bootstrap_servers());
    rig.deliveries(0, 200, 300);
    disk.0.store(40_960, Ordering::SeqCst);
    let publisher = rig.start();
    eventually("the cursor is at the end", || rig.cursor() == 200);
    stop(publisher);
    let told = rig.seen.told();
    assert!(told.failures.contains(&FailureReason::Journal), "{told:?}");
    assert!((1..20).contains(&told.lost), "{told:?}");
    assert_eq!(told.published + told.lost, 200, "{told:?}");
    let ledger = rig.journal.ledger();
    assert_eq!(
        (ledger.published, ledger.unaccounted),
        (told.published, told.lost as i64)
    );
    let records = read(kafka.bootstrap_servers(), MAIN, told.published as usize);
    assert_in_order(&records);
}
