//! What one request may cost before the bridge has its body: a connection's bytes are metered where they leave the socket.
//!
//! **Guarantee.** Reading a request takes at most about [`Limit::for_bodies`] nanoseconds of a worker's CPU time, whatever its bytes are and
//! however they are cut. Limits on sizes do not achieve that, because the same body can come in pieces that each cost something: a head one
//! byte at a time, each of which has the whole head parsed again; chunks, and TLS records, of one byte; chunk extensions and trailers, which
//! belong to no body and need not end. A connection whose request has cost more than that is closed.
//!
//! The charges are rough costs, chosen too high rather than too low. A body of the largest size takes a quarter of what is allowed, and so does
//! a head of a few thousand single bytes.

use super::connection::Connection;
use std::cell::Cell;
use std::rc::Rc;

/// A read that brings something: system calls, waking the task, looking for the end of a head.
const READ: u64 = 8_000;

/// A byte on the wire, also one that belongs to no body; a TLS record of one byte takes 23 of them, and costs 500 ns.
const BYTE: u64 = 25;

/// A piece of a body, such as a chunk.
const PIECE: u64 = 150;

/// A byte of an incomplete head, which is parsed anew with every read.
const PARSED_AGAIN: u64 = 1;

/// What a request may cost however small bodies are.
const HEAD: u64 = 10_000_000;

/// What a request may cost for each byte that a body may have: a body of the largest size, and the rest of a larger one, which is read and
/// thrown away (see `body`).
const FOR_EACH: u64 = 90;

/// What the requests of a listener may cost.
#[derive(Debug, Clone, Copy)]
pub struct Limit(u64);

impl Limit {
    /// For bodies of so many bytes at most.
    pub(super) fn for_bodies(most: usize) -> Self {
        Self(HEAD + FOR_EACH * most as u64)
    }
}

/// What the request at hand has cost, and whether its head is complete. Shared by a connection's stream and its requests.
pub(super) struct Meter {
    limit: Limit,
    spent: Cell<u64>,
    bytes: Cell<u64>,
    in_head: Cell<bool>,
}

impl Meter {
    pub(super) fn new(limit: Limit) -> Rc<Self> {
        Rc::new(Self {
            limit,
            spent: Cell::new(0),
            bytes: Cell::new(0),
            in_head: Cell::new(true),
        })
    }

    /// The head of a request is complete, and its body follows; or (`in_head`) the request is over, and another one may follow.
    fn restart(&self, in_head: bool) {
        self.spent.set(0);
        self.bytes.set(0);
        self.in_head.set(in_head);
    }

    /// Something was read; false if that is more than may be.
    pub(super) fn read(&self, bytes: usize) -> bool {
        let bytes = bytes as u64;
        let so_far = self.bytes.get() + bytes;
        self.bytes.set(so_far);
        let again = if self.in_head.get() {
            so_far * PARSED_AGAIN
        } else {
            0
        };
        self.spend(READ + bytes * BYTE + again)
    }

    fn spend(&self, cost: u64) -> bool {
        let spent = self.spent.get() + cost;
        self.spent.set(spent);
        spent <= self.limit.0
    }
}

/// A request on a metered connection, from its head to its answer.
pub(super) struct Metered(Option<Rc<Meter>>);

/// From here on the body of a connection's request is metered.
pub(super) fn metered(connection: Option<&Rc<Connection>>) -> Metered {
    let meter = connection.map(|connection| Rc::clone(connection.meter()));
    if let Some(meter) = &meter {
        meter.restart(false);
    }
    Metered(meter)
}

impl Metered {
    /// A piece of the body has come; false if that is more than may be.
    pub(super) fn piece(&self) -> bool {
        self.0.as_ref().is_none_or(|meter| meter.spend(PIECE))
    }
}

impl Drop for Metered {
    fn drop(&mut self) {
        if let Some(meter) = &self.0 {
            meter.restart(true);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BODY: usize = 512 << 10;

    /// How many reads of so many bytes a request may take.
    fn reads(in_head: bool, bytes: usize) -> usize {
        let meter = Meter::new(Limit::for_bodies(BODY));
        meter.restart(in_head);
        (0..10 << 20).take_while(|_| meter.read(bytes)).count()
    }

    #[test]
    fn the_largest_body_is_read_in_packets_of_any_network_and_a_larger_one_is_drained() {
        assert!(reads(false, 536) * 536 > 2 * BODY);
        assert!(reads(false, 8192) * 8192 > 4 * BODY);
    }

    #[test]
    fn single_bytes_are_read_as_long_as_a_slow_sender_may_need_them() {
        assert!((5_000..10_000).contains(&reads(true, 1)));
        assert!((6_000..8_000).contains(&reads(false, 1)));
    }

    #[test]
    fn a_request_that_is_over_costs_the_next_one_nothing() {
        let meter = Meter::new(Limit::for_bodies(BODY));
        for _ in 0..100 {
            assert!((0..5_000).all(|_| meter.read(1)));
            drop(Metered(Some(Rc::clone(&meter))));
        }
    }
}
