//! The control socket: how a command has the running bridge do something that only the process that writes the journal can do.
//!
//! It is `control.sock` in the journal's folder, a Unix domain socket with mode 0600: who may read the journal may ask, nobody else. It
//! is bound while the journal's lock is held, replaces what a crash has left there, and is removed before the lock is given back.
//! **Its absence keeps nothing from being served**: where it cannot be bound the bridge warns and goes on without.
//!
//! # The protocol, version 1
//! A connection carries one request. Lines are JSON in UTF-8 and end in `\n`; the request has at most 1 MiB. `→` is the client's, `←` the
//! bridge's.
//!
//! | line | |
//! |---|---|
//! | `→ {"version":1,"verb":{"<verb>":{…}}}` | first and only; must be whole within 5 s |
//! | `← {"progress":{"done":3,"total":12,"note":"…"}}` | any number, some five a second at most; `total` and `note` may be `null` |
//! | `← {"result":{…}}` | the last line: the verb has come to its end; its fields are the verb's own |
//! | `← {"failure":{"kind":"busy","message":"…"}}` | the last line: it has not; kinds are those of [`protocol::FailureKind`] |
//!
//! A client that closes its sending side, or sends anything more, **cancels**: the verb ends at the next good moment and answers with a
//! result that says how far it came. So it does when the bridge leaves. Verbs and their fields stand in [`protocol::Verb`]; a newer
//! version of the protocol, or a verb that is not known, is a `failure` of kind `unsupported`.
//!
//! # What a client cannot do
//! Neither a slow nor a hostile client costs more than a bounded buffer, for a bounded time: connections are few, lines are bounded,
//! progress that is not read is dropped rather than kept, and who does not read for 5 s is hung up on. Verbs work on threads of
//! their own, apart from those that receive and publish.

pub mod address;
pub mod client;
pub mod drain;
pub mod protocol;
pub mod server;
pub mod verbs;

pub use crate::work;
pub use protocol::{Failure, FailureKind, Verb};
pub use server::Server;
pub use verbs::Services;
