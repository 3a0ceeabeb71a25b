//! Closes connections that bring nothing. actix limits the time of a connection's first head only: after one request, a client
//! could hold its place for ever with a single byte, and a handful of such clients would close the door.
//!
//! Each worker looks after its own connections once a second: one that has had no request under way for longer than an idle
//! connection is kept and a head may take together is shut down.

use std::any::Any;
use std::cell::{Cell, RefCell};
use std::os::fd::{AsRawFd, RawFd};
use std::rc::{Rc, Weak};
use std::time::{Duration, Instant};

use actix_web::HttpRequest;
use actix_web::dev::Extensions;
use actix_web::rt::net::TcpStream;

/// Between two looks.
const EVERY: Duration = Duration::from_secs(1);

thread_local! {
    static CONNECTIONS: RefCell<Vec<Weak<Connection>>> = const { RefCell::new(Vec::new()) };
    static LOOKED_AFTER: Cell<bool> = const { Cell::new(false) };
}

/// A connection of this worker. Lives in the connection's own data: it ends with the connection, on the same thread.
struct Connection {
    socket: RawFd,
    requests: Cell<usize>,
    idle_since: Cell<Instant>,
}

/// A request under way on a connection.
pub(super) struct Busy(Option<Rc<Connection>>);

impl Drop for Busy {
    fn drop(&mut self) {
        if let Some(connection) = &self.0 {
            connection
                .requests
                .set(connection.requests.get().saturating_sub(1));
            connection.idle_since.set(Instant::now());
        }
    }
}

/// Notes a new connection; `limit` is the longest time without a request.
pub(super) fn connected(io: &dyn Any, data: &mut Extensions, limit: Duration) {
    let Some(stream) = io.downcast_ref::<TcpStream>() else {
        return;
    };
    let connection = Rc::new(Connection {
        socket: stream.as_raw_fd(),
        requests: Cell::new(0),
        idle_since: Cell::new(Instant::now()),
    });
    CONNECTIONS.with_borrow_mut(|all| all.push(Rc::downgrade(&connection)));
    data.insert(connection);
    if !LOOKED_AFTER.replace(true) {
        actix_web::rt::spawn(look_after(limit));
    }
}

/// Marks the request's connection as busy until the guard is dropped.
pub(super) fn busy(request: &HttpRequest) -> Busy {
    let connection = request.conn_data::<Rc<Connection>>().map(Rc::clone);
    if let Some(connection) = &connection {
        connection.requests.set(connection.requests.get() + 1);
    }
    Busy(connection)
}

async fn look_after(limit: Duration) {
    loop {
        tokio::time::sleep(EVERY).await;
        CONNECTIONS.with_borrow_mut(|all| {
            all.retain(|connection| connection.upgrade().is_some_and(|open| keep(&open, limit)))
        });
    }
}

/// Whether to go on looking after it: not once it was shut down.
fn keep(connection: &Connection, limit: Duration) -> bool {
    if connection.requests.get() > 0 || connection.idle_since.get().elapsed() <= limit {
        return true;
    }
    // SAFETY: the descriptor is open and this connection's: its data, of which `connection` is a part, is dropped together with
    // the socket, on this thread, which is busy here.
    unsafe { libc::shutdown(connection.socket, libc::SHUT_RDWR) };
    false
}
