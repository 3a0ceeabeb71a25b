//! The watch over the bridge's own parts: none of them ends unnoticed.
//!
//! **Guarantee.** When a thread or task ends whose work nobody else does, the process ends with a sentence that says which one it was,
//! and with exit code 1, so that a service manager can start it again: a process that accepts connections and answers none, or that
//! stores and never publishes, helps nobody. A start that does not come to its end is a failed start. What was answered 202 is on disk.
//!
//! | part | when it has ended | then |
//! |---|---|---|
//! | ingress: server, accepting thread, workers | nobody is answered, or fewer and fewer are | the process ends |
//! | admin listener: the same | nobody knows how the bridge is, and probes fail | the process ends |
//! | journal: writer, housekeeping | nothing is stored; nothing is deleted, and the disk fills up | the process ends |
//! | publisher | nothing is published | the process ends |
//! | watches over secret files, certificate and key | a rotation would lose every delivery after it | the process ends |
//! | ring of rejected deliveries, its judge | rejected deliveries are not kept, or not judged again | an error in the log |
//! | control socket, log writer, held-retry, replay | a convenience is missing, or begins anew by itself | nothing |
//!
//! A panic on a request's way ends that request, and nothing else.

use std::any::Any;
use std::panic;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio::sync::watch;

/// Between two looks at the parts that do not report their end themselves.
const EVERY: Duration = Duration::from_secs(2);

/// The name that actix gives to the thread that accepts connections. It ends by a panic only, which the server never hears of.
const ACCEPTING: &str = "actix-server acceptor";

static ACCEPTING_PANICKED: AtomicBool = AtomicBool::new(false);

/// A part that is watched.
pub struct Part<'a> {
    /// What it is, for the log.
    pub name: &'static str,
    /// Whether the bridge can do without it.
    pub spare: bool,
    /// Whether it has ended.
    pub ended: Box<dyn Fn() -> bool + 'a>,
}

impl<'a> Part<'a> {
    /// One that the bridge cannot do without.
    pub fn essential(name: &'static str, ended: impl Fn() -> bool + 'a) -> Self {
        let ended = Box::new(ended);
        Self {
            name,
            spare: false,
            ended,
        }
    }

    /// One that it can do without.
    pub fn spare(name: &'static str, ended: impl Fn() -> bool + 'a) -> Self {
        let spare = true;
        Self {
            spare,
            ..Self::essential(name, ended)
        }
    }
}

/// Waits until a part has ended that the bridge cannot do without; says which.
pub async fn first_ended(mut parts: Vec<Part<'_>>) -> String {
    loop {
        tokio::time::sleep(EVERY).await;
        if ACCEPTING_PANICKED.load(Ordering::Acquire) {
            return "the thread that accepts connections has panicked".to_owned();
        }
        if let Some(part) = parts.iter().find(|part| !part.spare && (part.ended)()) {
            return format!("{} has ended, though nobody stopped it", part.name);
        }
        parts.retain(|part| {
            let ended = (part.ended)();
            if ended {
                tracing::error!(
                    "{} has ended, though nobody stopped it; deliveries are taken as before, and a restart of the bridge brings it back",
                    part.name
                );
            }
            !ended
        });
    }
}

/// Notes panics of threads that cannot be watched otherwise. For the process's beginning.
pub fn listen_for_panics() {
    let usual = panic::take_hook();
    panic::set_hook(Box::new(move |information| {
        usual(information);
        if std::thread::current().name() == Some(ACCEPTING) {
            ACCEPTING_PANICKED.store(true, Ordering::Release);
        }
    }));
}

/// Tells of its thread's end, when it lies in a place that ends with the thread.
pub(crate) struct LastWords {
    what: &'static str,
    told: watch::Sender<Option<String>>,
}

impl LastWords {
    /// For a thread that does `what`, to be told to whoever listens to `told`.
    pub(crate) fn new(what: &'static str, told: watch::Sender<Option<String>>) -> Self {
        Self { what, told }
    }
}

impl Drop for LastWords {
    fn drop(&mut self) {
        let what = self.what;
        self.told.send_modify(|told| {
            told.get_or_insert_with(|| format!("a worker thread of the {what} listener has ended"));
        });
    }
}

/// What a panic said.
pub(crate) fn said(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<&str>().copied();
    text.or_else(|| panic.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("a panic without a word")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_spare_part_s_end_is_survived_and_an_essential_one_s_is_named() {
        let spare = Part::spare("the spare part", || true);
        let essential = Part::essential("the essential part", || true);
        let why = first_ended(vec![spare, essential]).await;
        assert_eq!(
            why,
            "the essential part has ended, though nobody stopped it"
        );
        let alone = vec![Part::spare("the spare part", || true)];
        let none = tokio::time::timeout(EVERY * 2, first_ended(alone)).await;
        assert!(none.is_err(), "{none:?}");
    }
}
