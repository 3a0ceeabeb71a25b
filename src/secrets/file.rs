//! A secret file: one look at it, and reading it.
//!
//! **Guarantees.** Symbolic links are followed. Only a regular file is read: a folder, a pipe or a device is refused and never
//! waited for. No more than [`MAX_BYTES`] are read. No error says anything of the contents, nor the path: somebody may have typed
//! the secret itself where its file belongs.

use crate::domain::signature::{SecretSet, secret_lines};
use std::fs::{File, Metadata, OpenOptions};
use std::io::{self, Read};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::Path;

/// Room for hundreds of secrets; what is larger was named by mistake.
pub const MAX_BYTES: u64 = 64 << 10;

/// What a path leads to at a moment. While two looks are equal, nothing has changed between them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Look {
    /// Something is there.
    Found(Stamp),
    /// Nothing can be found; the system's error number.
    Nothing(i32),
}

/// Which file it is, and as of when. A rewrite changes times or size, a rename over it or a swapped link the file itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stamp {
    device: u64,
    inode: u64,
    bytes: u64,
    /// Seconds and nanoseconds.
    modified: (i64, i64),
    /// Of contents or attributes: also of its rights.
    changed: (i64, i64),
}

/// Why a file gives no secrets.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SecretFileError {
    /// It is not there, or must not be read.
    #[error("the file cannot be read: {}", io::Error::from_raw_os_error(*code))]
    Unreadable {
        /// The system's error number.
        code: i32,
    },
    /// A folder, a pipe, a device.
    #[error("this is no regular file but a folder, a pipe or a device; name a file")]
    NotAFile,
    /// Certainly not what was meant.
    #[error("the file is larger than 64 KiB; it cannot be the one that is meant")]
    TooLarge,
    /// It holds no secret.
    #[error("the file is empty; write one secret a line, the current one first")]
    Empty,
}

/// What a secret file holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SecretFile {
    /// Its secrets, the current one first.
    pub secrets: SecretSet,
    /// What looks like a mistake about one of them, in words for an operator.
    pub doubt: Option<String>,
}

/// Looks at a path, links followed.
pub fn look(path: &Path) -> Look {
    match std::fs::metadata(path) {
        Ok(metadata) => Look::Found(Stamp::of(&metadata)),
        Err(error) => Look::Nothing(code(&error)),
    }
}

/// Reads a secret file: one secret a line, the current one first.
pub fn read(path: &Path) -> Result<SecretFile, SecretFileError> {
    parse(&contents(path)?)
}

fn parse(contents: &[u8]) -> Result<SecretFile, SecretFileError> {
    let secrets = SecretSet::from_file(contents).map_err(|_| SecretFileError::Empty)?;
    let doubt = (1..)
        .zip(secret_lines(contents))
        .find_map(|(number, secret)| Some(format!("its secret {number} {}", doubt(secret)?)));
    Ok(SecretFile { secrets, doubt })
}

/// What is probably not as typed at ICR. It is taken as it stands all the same.
pub fn doubt(secret: &[u8]) -> Option<&'static str> {
    let edge = |byte: Option<&u8>| byte.is_some_and(u8::is_ascii_whitespace);
    let quoted =
        |quote: u8| secret.len() > 1 && secret.starts_with(&[quote]) && secret.ends_with(&[quote]);
    if std::str::from_utf8(secret).is_err() {
        Some("is not UTF-8, which a secret typed at ICR always is")
    } else if secret.starts_with("\u{feff}".as_bytes()) {
        Some("begins with a byte order mark, which counts as a part of it")
    } else if edge(secret.first()) || edge(secret.last()) {
        Some("begins or ends with white space, which counts as a part of it")
    } else if quoted(b'"') || quoted(b'\'') {
        Some("stands in quotation marks, which count as a part of it")
    } else {
        None
    }
}

/// The bytes of a small file that is somebody's to keep secret.
///
/// # Errors
/// All but [`SecretFileError::Empty`].
pub fn contents(path: &Path) -> Result<Vec<u8>, SecretFileError> {
    let unreadable = |error: io::Error| SecretFileError::Unreadable { code: code(&error) };
    // Looked at before it is opened: opening a device may already do something.
    if !std::fs::metadata(path).map_err(unreadable)?.is_file() {
        return Err(SecretFileError::NotAFile);
    }
    // Without waiting: it may have become a pipe since.
    let mut options = OpenOptions::new();
    options.read(true).custom_flags(libc::O_NONBLOCK);
    let file: File = options.open(path).map_err(unreadable)?;
    if !file.metadata().map_err(unreadable)?.is_file() {
        return Err(SecretFileError::NotAFile);
    }
    let mut contents = Vec::new();
    file.take(MAX_BYTES + 1)
        .read_to_end(&mut contents)
        .map_err(unreadable)?;
    if contents.len() as u64 > MAX_BYTES {
        return Err(SecretFileError::TooLarge);
    }
    Ok(contents)
}

fn code(error: &io::Error) -> i32 {
    error.raw_os_error().unwrap_or(libc::EIO)
}

impl Stamp {
    fn of(metadata: &Metadata) -> Self {
        Self {
            device: metadata.dev(),
            inode: metadata.ino(),
            bytes: metadata.size(),
            modified: (metadata.mtime(), metadata.mtime_nsec()),
            changed: (metadata.ctime(), metadata.ctime_nsec()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_that_was_hardly_meant_so_is_told_and_taken_as_it_stands() {
        for (secret, said) in [
            (&b"s "[..], "white space"),
            (b"\ts", "white space"),
            (b"s\r\r", "white space"),
            (b"\"s\"", "quotation marks"),
            (b"'s'", "quotation marks"),
            (b"\xef\xbb\xbfs", "byte order mark"),
            (b"\xff\xfes\0", "not UTF-8"),
        ] {
            let file = [b"good\n", secret, b"\n"].concat();
            let read = parse(&file).unwrap();
            assert_eq!(read.secrets, SecretSet::from_file(&file).unwrap());
            let doubt = read.doubt.unwrap();
            assert!(
                doubt.starts_with("its secret 2 ") && doubt.contains(said),
                "{secret:?}: {doubt}"
            );
        }
        for secret in ["a b", "\"", "'a", "Þetta er leyndarmál", "x"] {
            assert_eq!(doubt(secret.as_bytes()), None, "{secret}");
        }
    }
}
