//! A filesystem of a fault's own: ext4, or another one, in a file, over a loop device. It can be filled, and ext4 can be cut off from its
//! power, and become read-only.
//!
//! Wants root and loop devices; where either is missing [`Volume::new`] says so, and the fault must do something else or be skipped.

use crate::support::eventually::within;
use std::fs::File;
use std::io::{self, Write};
use std::os::fd::AsRawFd;
use std::path::{Path, PathBuf};
use std::process::Command;

/// `EXT4_IOC_SHUTDOWN`: `_IOR('X', 125, __u32)`.
const SHUTDOWN: libc::Ioctl = 0x8004_587d_u32 as libc::Ioctl;
/// `EXT4_GOING_FLAGS_NOLOGFLUSH`: what is in the journal of the filesystem and not on the disk is gone, as in a power cut.
const NO_LOG_FLUSH: u32 = 2;

/// A mounted filesystem; unmounted and gone when dropped.
pub struct Volume {
    image: PathBuf,
    mounted_on: PathBuf,
    kind: &'static str,
    options: String,
}

impl Volume {
    /// Makes one of so many MiB in `folder`, and mounts it with these options beside `loop`.
    ///
    /// # Errors
    /// Why this machine does not allow it.
    pub fn new(folder: &Path, mebibytes: u64, options: &str) -> Result<Self, String> {
        // No space is kept back for root, whom the bridge may run as.
        Self::make(folder, mebibytes, options, "ext4", &["-q", "-F", "-m", "0"])
    }

    /// The same of another kind, made by its `mkfs` with these arguments.
    ///
    /// # Errors
    /// Why this machine does not allow it.
    pub fn make(
        folder: &Path,
        mebibytes: u64,
        options: &str,
        kind: &'static str,
        arguments: &[&str],
    ) -> Result<Self, String> {
        let volume = Self {
            image: folder.join("volume.img"),
            mounted_on: folder.join("volume"),
            kind,
            options: format!("loop,{options}"),
        };
        let image = File::create(&volume.image).map_err(|error| error.to_string())?;
        image
            .set_len(mebibytes << 20)
            .map_err(|error| error.to_string())?;
        std::fs::create_dir(&volume.mounted_on).map_err(|error| error.to_string())?;
        let made = run(Command::new(format!("mkfs.{kind}"))
            .args(arguments)
            .arg(&volume.image));
        let mounted = made.and_then(|()| volume.mount());
        mounted.map(|()| volume).map_err(|why| {
            format!("no filesystem of its own (that takes root and loop devices): {why}")
        })
    }

    /// The folder that it is mounted on.
    pub fn path(&self) -> &Path {
        &self.mounted_on
    }

    /// Cuts the power: from now on nothing reaches the disk, and what was not synced is lost with the next [`Volume::remount`].
    pub fn cut_power(&self) {
        let root = File::open(&self.mounted_on).unwrap();
        // SAFETY: the request reads four bytes, which outlive it.
        let done = unsafe { libc::ioctl(root.as_raw_fd(), SHUTDOWN, &NO_LOG_FLUSH) };
        assert_eq!(done, 0, "{}", io::Error::last_os_error());
    }

    /// What the kernel does at an error of the filesystem, if mounted with `errors=remount-ro`: nothing can be written any more, not even to files
    /// that are open.
    pub fn become_read_only(&self) {
        let device = loop_device(&self.image);
        std::fs::write(format!("/sys/fs/ext4/{device}/trigger_fs_error"), "1").unwrap();
    }

    /// Unmounts, checks and mounts it again, as a start of the machine does. Nothing may have files open there.
    pub fn remount(&self) {
        within(
            super::stage::PATIENCE,
            "the filesystem is unmounted",
            || run(Command::new("umount").arg(&self.mounted_on)).ok(),
        );
        // 1: errors were corrected.
        let checked = Command::new("e2fsck")
            .arg("-p")
            .arg(&self.image)
            .output()
            .unwrap();
        assert!(matches!(checked.status.code(), Some(0 | 1)), "{checked:?}");
        self.mount().unwrap();
    }

    /// Takes it from its folder, though files are open there.
    pub fn detach(&self) {
        run(Command::new("umount").arg("--lazy").arg(&self.mounted_on)).unwrap();
    }

    /// The end of [`Volume::detach`].
    pub fn attach(&self) {
        self.mount().unwrap();
    }

    /// Fills it to the last byte with a file that is none of the bridge's.
    pub fn fill(&self) {
        self.fill_but(0);
    }

    /// Fills it but for so many bytes. What is there of an earlier filling stays.
    pub fn fill_but(&self, bytes: u64) {
        let mut options = File::options();
        let mut filler = options
            .create(true)
            .append(true)
            .open(self.filler())
            .unwrap();
        // By halves of what is free, down to a block.
        let mut step = 1 << 20;
        while step >= 1024 {
            let wanted = bytes + step as u64;
            let full = self.free() < wanted || filler.write_all(&vec![b'x'; step]).is_err();
            if full || filler.sync_data().is_err() {
                step /= 2;
            }
        }
    }

    /// Takes away what [`Volume::fill`] has put there.
    pub fn empty(&self) {
        std::fs::remove_file(self.filler()).unwrap();
    }

    /// Free bytes.
    pub fn free(&self) -> u64 {
        let path = self.mounted_on.to_str().unwrap();
        let path = std::ffi::CString::new(path).unwrap();
        let mut found = std::mem::MaybeUninit::<libc::statvfs>::zeroed();
        // SAFETY: `path` ends in NUL, `found` is writable memory of the right type, zeroed at first; both outlive the call.
        let found = unsafe {
            assert_eq!(libc::statvfs(path.as_ptr(), found.as_mut_ptr()), 0);
            found.assume_init()
        };
        found.f_bavail * found.f_frsize
    }

    /// Makes files until there is no inode left. They are nobody's, and stay until [`Volume::free_inodes`].
    pub fn use_up_inodes(&self) {
        let folder = self.mounted_on.join("many");
        std::fs::create_dir(&folder).unwrap();
        let mut made = (0..).map(|number| File::create(folder.join(format!("{number}"))));
        let error = made.find_map(Result::err).unwrap();
        assert_eq!(error.kind(), io::ErrorKind::StorageFull);
    }

    /// Removes what [`Volume::use_up_inodes`] has made.
    pub fn free_inodes(&self) {
        std::fs::remove_dir_all(self.mounted_on.join("many")).unwrap();
    }

    fn filler(&self) -> PathBuf {
        self.mounted_on.join("filler")
    }

    fn mount(&self) -> Result<(), String> {
        run(Command::new("mount")
            .args(["-t", self.kind, "-o", &self.options])
            .arg(&self.image)
            .arg(&self.mounted_on))
    }
}

impl Drop for Volume {
    fn drop(&mut self) {
        // Lazily: a bridge that a failed fault left behind is still there. The loop device goes with the mount.
        let _ = run(Command::new("umount").arg("--lazy").arg(&self.mounted_on));
    }
}

/// `loop7` and the like.
fn loop_device(image: &Path) -> String {
    let found = Command::new("losetup")
        .arg("-j")
        .arg(image)
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&found.stdout).into_owned();
    let device = text.split(':').next().unwrap().trim_start_matches("/dev/");
    assert!(device.starts_with("loop"), "{found:?}");
    device.to_owned()
}

fn run(command: &mut Command) -> Result<(), String> {
    let output = command
        .output()
        .map_err(|error| format!("{}: {error}", command.get_program().to_string_lossy()))?;
    if output.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&output.stderr);
    Err(said
        .trim()
        .lines()
        .next()
        .unwrap_or("no reason given")
        .to_owned())
}
