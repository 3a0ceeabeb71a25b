//! Runs work at a low priority, on a thread of its own.
//!
//! A replay reads, normalizes and compresses as fast as it may; where processors are few, that would keep those waiting who receive and
//! publish. On Linux each thread has a priority of its own, and hands it on to the threads that it starts, the producer's included.
//! Elsewhere it runs like any other.

use std::io;
use std::panic::resume_unwind;

/// A tenth of the processor time that an ordinary thread gets beside it. Less would let it be interrupted for long, also while it holds a
/// lock that others want.
#[cfg(target_os = "linux")]
const LOW: libc::c_int = 10;

/// Does `work` while others leave it processor time, and waits for it.
///
/// # Errors
/// Where the system gives no thread.
pub(super) fn in_the_background<T: Send>(work: impl FnOnce() -> T + Send) -> io::Result<T> {
    std::thread::scope(|scope| {
        let thread = std::thread::Builder::new()
            .name("replay".to_owned())
            .spawn_scoped(scope, || {
                lower();
                work()
            })?;
        thread.join().or_else(|panic| resume_unwind(panic))
    })
}

#[cfg(target_os = "linux")]
fn lower() {
    // SAFETY: a plain system call. 0 is the calling thread. Should it fail, the work is merely not as considerate.
    unsafe {
        libc::setpriority(libc::PRIO_PROCESS, 0, LOW);
    }
}

#[cfg(not(target_os = "linux"))]
fn lower() {}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    fn priority() -> i32 {
        // SAFETY: a plain system call.
        unsafe { libc::getpriority(libc::PRIO_PROCESS, 0) }
    }

    #[test]
    fn the_work_and_what_it_starts_have_a_low_priority_and_the_caller_keeps_its_own() {
        let before = priority();
        let (own, started) = in_the_background(|| {
            let started = std::thread::spawn(priority).join().unwrap();
            (priority(), started)
        })
        .unwrap();
        assert_eq!((own, started), (LOW, LOW));
        assert_eq!(priority(), before);
    }
}
