//! The journal's hold on its folder: that it is reached by descriptor, locked, and still what a process that starts now would find.
//!
//! Files are deleted, folders renamed and volumes detached under processes that run, and an open descriptor goes on taking writes and
//! syncs without an error. What is stored there would be acknowledged and then found by nobody. Hence:
//! - All that the journal does in its folder goes through the folder's descriptor ([`Storage::bind`]). A folder that another process
//!   puts in its place is never written.
//! - Folder and lock file are compared by device and inode with what their paths lead to, once a second and whenever a segment is
//!   opened. While the path leads elsewhere nothing is accepted ([`AppendError::Displaced`]). Once it leads to the folder again, the
//!   journal goes on by itself.
//! - Two locks are held: one on the lock file and, where the filesystem has that, one on the folder itself. The second one keeps other
//!   processes out though the lock file is deleted, and then the lock file is made and locked again.
//! - If another process may have worked in the folder meanwhile, nothing is written there until a restart: the segments on disk may no
//!   longer be those that this process knows.
use super::catalog::{Shelf, make_way};
use super::storage::{Binding, Identity, Lock, Storage, Wanted, is_foreign};
use super::{AppendError, Observer, OpenError};
use parking_lot::Mutex;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// The lock file's name.
pub(super) const LOCK: &str = "lock";
/// How often opening is tried while somebody moves the folder or its lock at the same moment.
const ATTEMPTS: usize = 3;
/// Between two lines about the same loss.
const SELDOM: Duration = Duration::from_secs(60);

pub(super) struct Claim {
    dir: PathBuf,
    storage: Arc<dyn Storage>,
    folder: Identity,
    /// Whether `storage` reaches the folder whatever its name.
    bound: bool,
    /// As of the last check.
    ours: AtomicBool,
    state: Mutex<State>,
}

struct State {
    /// `None` once they were given back.
    locks: Option<Locks>,
    loss: Option<(Loss, Instant)>,
}

struct Locks {
    file: Box<dyn Lock>,
    folder: Option<Box<dyn Lock>>,
}

/// Why the folder is not this process's to write.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Loss {
    /// Its path leads elsewhere, or nowhere.
    Folder,
    /// The lock file is gone and cannot be made again.
    Lock,
    /// Another process has the lock file, or may have had it. There is no way back.
    Taken,
}

impl Claim {
    /// Opens and locks the folder, creating it where it is missing. With an `observer`, what has the lock file's name and is no file gets
    /// another one.
    pub fn take(
        storage: &Arc<dyn Storage>,
        dir: &Path,
        observer: Option<&dyn Observer>,
    ) -> Result<Self, OpenError> {
        let path = dir.join(LOCK);
        let failed = |path: &Path, source: io::Error| match source.kind() {
            io::ErrorKind::WouldBlock => OpenError::Locked {
                path: dir.join(LOCK),
            },
            _ => OpenError::Io {
                path: path.to_owned(),
                source,
            },
        };
        storage
            .create_dir(dir)
            .map_err(|error| failed(dir, error))?;
        for _ in 0..ATTEMPTS {
            let Binding {
                folder,
                storage: bound,
            } = storage.bind(dir).map_err(|error| failed(dir, error))?;
            let is_bound = bound.is_some();
            let storage = bound.unwrap_or_else(|| Arc::clone(storage));
            // The folder first: whoever holds that keeps others from the lock file too.
            let folder_lock = match storage.lock_folder(dir) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    return Err(failed(dir, error));
                }
                locked => locked.ok(),
            };
            let file =
                lock_file(&*storage, &path, observer).map_err(|error| failed(&path, error))?;
            let claim = Self {
                dir: dir.to_owned(),
                storage,
                folder,
                bound: is_bound,
                ours: AtomicBool::new(true),
                state: Mutex::new(State {
                    locks: Some(Locks {
                        file,
                        folder: folder_lock,
                    }),
                    loss: None,
                }),
            };
            if claim.look() == Found::InPlace {
                return Ok(claim);
            }
        }
        let moving = "the folder or its lock is being replaced at this moment; start again";
        Err(failed(dir, io::Error::other(moving)))
    }

    /// The storage that reaches this folder and no other.
    pub fn storage(&self) -> &Arc<dyn Storage> {
        &self.storage
    }

    /// Whether the last check found folder and lock in place.
    pub fn is_ours(&self) -> bool {
        self.ours.load(Ordering::Relaxed)
    }

    /// Whether what is missing in the folder is missing, and not merely where the path does not lead any more.
    pub fn can_tell(&self) -> bool {
        self.bound || self.is_ours()
    }

    /// Fails where what is written could meet what another process writes.
    pub fn may_write(&self) -> io::Result<()> {
        let state = self.state.lock();
        match state.loss {
            _ if state.locks.is_none() => Err(io::Error::other("the journal is closed")),
            Some((Loss::Taken, _)) => Err(io::Error::other("another process has the journal")),
            Some(_) if !self.bound => Err(io::Error::other("the journal's folder is not in place")),
            _ => Ok(()),
        }
    }

    /// Gives the locks back: after that another process may be writing these files.
    pub fn release(&self) {
        self.state.lock().locks = None;
    }

    /// Compares names with what is open, and says what changed.
    pub fn check(&self, observer: &dyn Observer) -> Result<(), AppendError> {
        let found = self.look();
        let mut state = self.state.lock();
        let before = state.loss.map(|(loss, _)| loss);
        let loss = match found {
            _ if before == Some(Loss::Taken) => before,
            Found::InPlace => None,
            Found::Elsewhere => Some(Loss::Folder),
            Found::LockGone | Found::LockReplaced => {
                self.lock_again(&mut state, found, observer).err()
            }
        };
        self.ours.store(loss.is_none(), Ordering::Relaxed);
        match loss {
            Some(loss) => {
                let told = state
                    .loss
                    .filter(|(before, at)| *before == loss && at.elapsed() < SELDOM);
                if told.is_none() {
                    state.loss = Some((loss, Instant::now()));
                    drop(state);
                    self.tell(loss, observer);
                }
                Err(AppendError::Displaced)
            }
            None => {
                if state.loss.take().is_some() {
                    drop(state);
                    let dir = self.dir.display();
                    observer.warning(&format!("{dir}: the journal's folder and lock are in place again; deliveries are accepted"));
                }
                Ok(())
            }
        }
    }

    fn look(&self) -> Found {
        // Where a name cannot be looked up (no right to, no answer), nothing is known to have changed.
        match self.storage.named(&self.dir.join(".")) {
            Ok(found) if found != Some(self.folder) => return Found::Elsewhere,
            Ok(_) => {}
            Err(_) => return Found::InPlace,
        }
        let locked = self
            .state
            .lock()
            .locks
            .as_ref()
            .map(|locks| locks.file.identity());
        match (self.storage.named(&self.dir.join(LOCK)), locked) {
            (Ok(found), Some(locked)) if found == Some(locked) => Found::InPlace,
            (Ok(None), Some(_)) => Found::LockGone,
            (Ok(Some(_)), Some(_)) => Found::LockReplaced,
            _ => Found::InPlace,
        }
    }

    /// The lock file was deleted or replaced. A process that found it gone would have made it anew; with the folder locked none did.
    fn lock_again(
        &self,
        state: &mut State,
        found: Found,
        observer: &dyn Observer,
    ) -> Result<(), Loss> {
        let path = self.dir.join(LOCK);
        let Some(locks) = &mut state.locks else {
            return Ok(());
        };
        if self
            .storage
            .named(&path)
            .is_ok_and(|now| now == Some(locks.file.identity()))
        {
            // Another thread was faster.
            return Ok(());
        }
        if found == Found::LockReplaced && locks.folder.is_none() {
            return Err(Loss::Taken);
        }
        match lock_file(&*self.storage, &path, Some(observer)) {
            Ok(file) => {
                locks.file = file;
                observer.warning(&format!(
                    "{}: the lock file was deleted or replaced; it has been locked again, and nothing is lost. Find out who did it: nobody but the bridge should change this folder",
                    path.display()
                ));
                Ok(())
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Err(Loss::Taken),
            Err(_) if locks.folder.is_some() => Ok(()),
            Err(_) => Err(Loss::Lock),
        }
    }

    fn tell(&self, loss: Loss, observer: &dyn Observer) {
        let (dir, lock) = (self.dir.display(), self.dir.join(LOCK));
        let lock = lock.display();
        observer.warning(&match loss {
            Loss::Folder => format!(
                "{dir}: this path no longer leads to the folder that the bridge has open: it was renamed, deleted, replaced, unmounted or mounted over. Deliveries are refused with 503. \
                 Move the folder back or mount the volume again, and the bridge goes on by itself. Accepted deliveries are still published from the open files: restart only when journal_pending_deliveries is 0"
            ),
            Loss::Lock => format!(
                "{lock}: the lock file is gone and cannot be made again. Deliveries are refused with 503 until it can: make the folder writable"
            ),
            Loss::Taken => format!(
                "{lock}: the lock file was replaced, and another process has written in this folder or may have. Deliveries are refused with 503, and this process writes nothing there any more. \
                 Stop all other bridges on {dir}, then restart this one"
            ),
        });
    }
}

/// Locks the lock file.
fn lock_file(
    storage: &dyn Storage,
    path: &Path,
    observer: Option<&dyn Observer>,
) -> io::Result<Box<dyn Lock>> {
    match storage.lock(path) {
        Err(error)
            if is_foreign(&error)
                && observer.is_some_and(|it| make_way(storage, path, Wanted::File, it)) =>
        {
            storage.lock(path)
        }
        locked => locked,
    }
}

/// What the names lead to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Found {
    InPlace,
    Elsewhere,
    LockGone,
    LockReplaced,
}

impl Shelf {
    /// Whether a file may be taken for gone because it is not found.
    pub fn can_tell(&self) -> bool {
        self.claim.as_ref().is_none_or(|claim| claim.can_tell())
    }
}
