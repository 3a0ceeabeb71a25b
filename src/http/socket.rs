//! What the system knows of a socket and no library asks it.
//!
//! All of it is called for sockets that are open and ours: a connection's descriptor lives as long as the connection's data, from
//! which it is taken, and on the same thread; a listener's is borrowed from the listener.

use std::os::fd::RawFd;
use std::time::Duration;

/// Ends a connection in both directions: its other end sees that it is closed, and so does whoever serves it here.
pub(super) fn shut(socket: RawFd) {
    // SAFETY: takes nothing but numbers; the descriptor is open, see above.
    unsafe { libc::shutdown(socket, libc::SHUT_RDWR) };
}

/// What a connection's other end has not taken yet is dropped when it is closed, and the other end told so; else the system would keep
/// it, and go on offering it, for minutes.
pub(super) fn forget_unsent(socket: RawFd) {
    let at_once = libc::linger {
        l_onoff: 1,
        l_linger: 0,
    };
    // SAFETY: the pointer and the length are those of `at_once`, which outlives the call. Should it fail, the system drops it later.
    unsafe {
        libc::setsockopt(
            socket,
            libc::SOL_SOCKET,
            libc::SO_LINGER,
            std::ptr::from_ref(&at_once).cast(),
            size_of::<libc::linger>() as libc::socklen_t,
        )
    };
}

/// Whether something waits in a connection's socket, or in a listener's queue.
pub(super) fn has_input(socket: RawFd) -> bool {
    let mut poll = libc::pollfd {
        fd: socket,
        events: libc::POLLIN,
        revents: 0,
    };
    // SAFETY: one structure, which outlives the call; it does not wait.
    let ready = unsafe { libc::poll(&mut poll, 1, 0) };
    ready > 0 && poll.revents & libc::POLLIN != 0
}

/// How long ago the last byte came over a connection; `None` where the system does not tell.
#[cfg(target_os = "linux")]
pub(super) fn silence(socket: RawFd) -> Option<Duration> {
    // SAFETY: a structure of integers, for which zero is a value.
    let mut info: libc::tcp_info = unsafe { std::mem::zeroed() };
    let mut length = libc::socklen_t::try_from(size_of::<libc::tcp_info>()).ok()?;
    // SAFETY: the pointer and the length are those of `info`, which outlives the call.
    let failed = unsafe {
        libc::getsockopt(
            socket,
            libc::IPPROTO_TCP,
            libc::TCP_INFO,
            std::ptr::from_mut(&mut info).cast(),
            &mut length,
        )
    };
    (failed == 0).then(|| Duration::from_millis(u64::from(info.tcpi_last_data_recv)))
}

/// How long ago the last byte came over a connection; `None` where the system does not tell.
#[cfg(not(target_os = "linux"))]
pub(super) fn silence(_socket: RawFd) -> Option<Duration> {
    None
}

/// Has the system let go of all further attempts to connect to a listener, without a word; those that it has begun to answer still
/// get through. Who tries now tries again a second later, as TCP does of itself, and finds the next process or a closed door.
///
/// A closing listener resets what waits in its queue. With this, the queue can be emptied first, for good.
#[cfg(target_os = "linux")]
pub(super) fn ignore_newcomers(listener: &socket2::Socket) -> std::io::Result<()> {
    use socket2::SockFilter;
    const LOAD_BYTE: u16 = (libc::BPF_LD | libc::BPF_B | libc::BPF_ABS) as u16;
    const AND: u16 = (libc::BPF_ALU | libc::BPF_AND | libc::BPF_K) as u16;
    const JUMP_IF_EQUAL: u16 = (libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K) as u16;
    const RETURN: u16 = (libc::BPF_RET | libc::BPF_K) as u16;
    const FLAGS_OF_TCP_HEADER: u32 = 13;
    const SYN: u32 = 0x02;
    const ACK: u32 = 0x10;
    let nothing = SockFilter::new(RETURN, 0, 0, 0);
    let all_of_it = SockFilter::new(RETURN, 0, 0, u32::MAX);
    listener.attach_filter(&[
        SockFilter::new(LOAD_BYTE, 0, 0, FLAGS_OF_TCP_HEADER),
        SockFilter::new(AND, 0, 0, SYN | ACK),
        SockFilter::new(JUMP_IF_EQUAL, 0, 1, SYN),
        nothing,
        all_of_it,
    ])
}

/// As above; this system cannot.
#[cfg(not(target_os = "linux"))]
pub(super) fn ignore_newcomers(_listener: &socket2::Socket) -> std::io::Result<()> {
    Err(std::io::ErrorKind::Unsupported.into())
}
