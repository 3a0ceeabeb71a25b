//! Reading one secret file.

use icr_bridge::domain::signature::SecretSet;
use icr_bridge::secrets::file::{Look, SecretFileError, look, read};
use std::fs::File;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

fn folder() -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("secret");
    (folder, path)
}

#[test]
fn a_file_is_read_through_links() {
    let (folder, path) = folder();
    std::fs::write(folder.path().join("a"), "new\nold\n").unwrap();
    symlink("a", folder.path().join("b")).unwrap();
    symlink("b", &path).unwrap();
    let read = read(&path).unwrap();
    assert_eq!(read.secrets, SecretSet::from_file(b"new\nold").unwrap());
    assert_eq!(read.doubt, None);
}

#[test]
fn what_is_no_secret_file_is_refused_and_said_so() {
    let (folder, path) = folder();
    let missing = SecretFileError::Unreadable { code: libc::ENOENT };
    assert_eq!(read(&path), Err(missing));
    assert_eq!(read(folder.path()), Err(SecretFileError::NotAFile));
    assert_eq!(read(Path::new("/dev/null")), Err(SecretFileError::NotAFile));
    for empty in ["", "\n", "\r\n\n\r\n"] {
        std::fs::write(&path, empty).unwrap();
        assert_eq!(read(&path), Err(SecretFileError::Empty), "{empty:?}");
    }
    assert!(missing.to_string().contains("No such file or directory"));
}

#[test]
fn a_pipe_is_refused_without_waiting_for_its_writer() {
    let (_folder, path) = folder();
    let name = std::ffi::CString::new(path.to_str().unwrap()).unwrap();
    // SAFETY: a path that ends in NUL, and lives until the call is over.
    assert_eq!(unsafe { libc::mkfifo(name.as_ptr(), 0o600) }, 0);
    assert_eq!(read(&path), Err(SecretFileError::NotAFile));
}

#[test]
fn a_file_of_64_kib_is_read_and_a_larger_one_is_not() {
    let (_folder, path) = folder();
    std::fs::write(&path, vec![b'x'; 64 << 10]).unwrap();
    assert!(read(&path).is_ok());
    std::fs::write(&path, vec![b'x'; (64 << 10) + 1]).unwrap();
    assert_eq!(read(&path), Err(SecretFileError::TooLarge));
    // Never mind how large: sparse, 1 TiB.
    File::create(&path).unwrap().set_len(1 << 40).unwrap();
    assert_eq!(read(&path), Err(SecretFileError::TooLarge));
}

#[test]
fn every_way_to_change_a_file_shows() {
    let (folder, path) = folder();
    let other = folder.path().join("other");
    let mut looks = vec![look(&path)];
    let mut changed = |how: &str| {
        let now = look(&path);
        assert!(!looks.contains(&now), "{how}: {now:?}");
        assert_eq!(look(&path), now, "{how}");
        looks.push(now);
    };
    std::fs::write(&path, "a").unwrap();
    changed("created");
    std::fs::write(&path, "ab").unwrap();
    changed("rewritten");
    std::fs::write(&other, "cd").unwrap();
    std::fs::rename(&other, &path).unwrap();
    changed("renamed over");
    std::fs::remove_file(&path).unwrap();
    std::fs::create_dir(folder.path().join("1")).unwrap();
    std::fs::create_dir(folder.path().join("2")).unwrap();
    std::fs::write(folder.path().join("1/secret"), "ef").unwrap();
    std::fs::write(folder.path().join("2/secret"), "gh").unwrap();
    symlink("1", folder.path().join("..data")).unwrap();
    symlink("..data/secret", &path).unwrap();
    changed("a link");
    symlink("2", folder.path().join("..next")).unwrap();
    std::fs::rename(folder.path().join("..next"), folder.path().join("..data")).unwrap();
    changed("a link on the way swapped");
    std::fs::remove_file(folder.path().join("2/secret")).unwrap();
    assert_eq!(
        look(&path),
        Look::Nothing(libc::ENOENT),
        "deleted behind the link"
    );
}
