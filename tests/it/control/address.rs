//! Where the control socket is.

use icr_bridge::control::address::{NAME, bind, connect, mark, remove};
use std::io::{self, Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

/// Under which the socket is made.
const NEW: &str = "control.sock.new";

fn talk(dir: &Path) {
    let listener = bind(dir).unwrap();
    let mut near = connect(dir).unwrap();
    let (mut far, _) = listener.accept().unwrap();
    near.write_all(b"word").unwrap();
    let mut heard = [0; 4];
    far.read_exact(&mut heard).unwrap();
    assert_eq!(&heard, b"word");
    let mode = std::fs::metadata(dir.join(NAME))
        .unwrap()
        .permissions()
        .mode();
    assert_eq!(mode & 0o777, 0o600);
    assert!(!dir.join(NEW).exists());
}

#[test]
fn what_a_crash_has_left_is_replaced() {
    let dir = tempfile::tempdir().unwrap();
    drop(bind(dir.path()).unwrap());
    let refused = connect(dir.path()).unwrap_err().kind();
    assert_eq!(refused, io::ErrorKind::ConnectionRefused);
    std::fs::write(dir.path().join(NEW), "half made").unwrap();
    talk(dir.path());
    remove(dir.path(), Some((0, 0)));
    assert!(dir.path().join(NAME).exists(), "another's socket stays");
    remove(dir.path(), mark(dir.path()));
    let gone = connect(dir.path()).unwrap_err().kind();
    assert_eq!(gone, io::ErrorKind::NotFound);
}

#[cfg(target_os = "linux")]
#[test]
fn a_folder_deeper_than_a_sockets_path_may_be_is_reached_too() {
    let dir = tempfile::tempdir().unwrap();
    let deep = dir.path().join("d".repeat(200)).join("e".repeat(200));
    std::fs::create_dir_all(&deep).unwrap();
    talk(&deep);
}
