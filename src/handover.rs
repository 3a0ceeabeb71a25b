//! Listening sockets that the service manager hands over: systemd's socket activation (sd_listen_fds(3)).
//!
//! The service manager binds the socket and keeps it open whichever process serves it. While one process leaves and the next one
//! starts, new connections wait in the socket's queue: a restart refuses nobody.
//!
//! `LISTEN_FDS` is the number of sockets, from file descriptor 3 on; `LISTEN_PID` the process that they are for; `LISTEN_FDNAMES` their
//! names, separated by colons. The one called `admin` is the admin listener, the other one the ingress, whatever it is called.

use crate::config::{Problem, Variables};
use socket2::{Domain, Socket, Type};
use std::net::TcpListener;
use std::os::fd::{FromRawFd, OwnedFd, RawFd};

/// The first descriptor that is handed over (`SD_LISTEN_FDS_START`).
const FIRST: RawFd = 3;

/// The name of the admin listener's socket.
const ADMIN: &str = "admin";

/// What was handed over.
#[derive(Debug, Default)]
pub struct HandedOver {
    /// For deliveries.
    pub ingress: Option<TcpListener>,
    /// For operators.
    pub admin: Option<TcpListener>,
}

/// What a socket is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Role {
    Ingress,
    Admin,
}

/// Takes the sockets that the variables name over.
///
/// # Errors
/// A variable that cannot be understood, or a descriptor that is no listening TCP socket: nothing is guessed, for a bridge that
/// listened elsewhere than it was told to would miss deliveries.
///
/// # Safety
/// To be called once, before the process opens files of its own: the descriptors become this value's.
pub unsafe fn take(variables: &Variables) -> Result<HandedOver, Problem> {
    let mut handed_over = HandedOver::default();
    for (descriptor, role) in roles(variables, std::process::id())? {
        // SAFETY: the caller's promise; an integer that is no open descriptor is told from one by `listener`, which looks first.
        let listener = unsafe { listener(descriptor) }.map_err(|what| Problem {
            variable: "LISTEN_FDS".to_owned(),
            message: format!(
                "file descriptor {descriptor} {what}; hand over TCP sockets that listen (systemd: ListenStream= in a .socket unit with Accept=no)"
            ),
        })?;
        match role {
            Role::Ingress => handed_over.ingress = Some(listener),
            Role::Admin => handed_over.admin = Some(listener),
        }
    }
    Ok(handed_over)
}

/// Which descriptors are for this process, and for what.
fn roles(variables: &Variables, process: u32) -> Result<Vec<(RawFd, Role)>, Problem> {
    let variable = |wanted: &str| {
        variables
            .iter()
            .find(|(name, _)| name == wanted)
            .map(|(_, value)| value.to_string_lossy().into_owned())
    };
    let problem = |name: &str, message: String| Problem {
        variable: name.to_owned(),
        message,
    };
    let (Some(count), Some(receiver)) = (variable("LISTEN_FDS"), variable("LISTEN_PID")) else {
        return Ok(Vec::new());
    };
    let receiver: u32 = receiver.parse().map_err(|_| {
        let message = format!("`{receiver}` is no process id");
        problem("LISTEN_PID", message)
    })?;
    if receiver != process {
        tracing::warn!(
            "LISTEN_FDS={count} is for process {receiver}, not for this one ({process}): no socket is taken over"
        );
        return Ok(Vec::new());
    }
    let count: usize = count.parse().map_err(|_| {
        let message = format!("`{count}` is no number of sockets");
        problem("LISTEN_FDS", message)
    })?;
    let names = match variable("LISTEN_FDNAMES") {
        Some(names) => names.split(':').map(str::to_owned).collect(),
        None => vec![String::new(); count],
    };
    if count > 0 && names.len() != count {
        let message = format!("has {} names for LISTEN_FDS={count} sockets", names.len());
        return Err(problem("LISTEN_FDNAMES", message));
    }
    let roles: Vec<(RawFd, Role)> = (FIRST..)
        .zip(names)
        .take(count)
        .map(|(descriptor, name)| {
            let role = if name == ADMIN {
                Role::Admin
            } else {
                Role::Ingress
            };
            (descriptor, role)
        })
        .collect();
    for (role, what) in [
        (Role::Ingress, "the ingress"),
        (Role::Admin, "the admin listener"),
    ] {
        let sockets = roles.iter().filter(|(_, other)| *other == role).count();
        if sockets > 1 {
            let message = format!(
                "hands over {sockets} sockets for {what}, which takes one; the admin listener's is told by its name, {ADMIN} (systemd: FileDescriptorName={ADMIN})"
            );
            return Err(problem("LISTEN_FDS", message));
        }
    }
    Ok(roles)
}

/// The descriptor as a listener, or what it is instead.
///
/// # Safety
/// If it is open, it is nobody else's.
unsafe fn listener(descriptor: RawFd) -> Result<TcpListener, &'static str> {
    // SAFETY: takes numbers only, and fails on a descriptor that is not open.
    if unsafe { libc::fcntl(descriptor, libc::F_SETFD, libc::FD_CLOEXEC) } == -1 {
        return Err("is not open");
    }
    // SAFETY: it is open, and nobody else's by the caller's promise.
    let socket = Socket::from(unsafe { OwnedFd::from_raw_fd(descriptor) });
    match socket.r#type() {
        Err(_) => return Err("is no socket"),
        Ok(Type::STREAM) => {}
        Ok(_) => return Err("is no TCP socket"),
    }
    let address = socket.local_addr().map_err(|_| "has no address")?;
    if !matches!(address.domain(), Domain::IPV4 | Domain::IPV6) {
        return Err("is no TCP socket");
    }
    if !listens(&socket) {
        return Err("does not listen");
    }
    Ok(TcpListener::from(socket))
}

#[cfg(target_os = "linux")]
fn listens(socket: &Socket) -> bool {
    socket.is_listener().unwrap_or(false)
}

/// Whether it listens; where the system does not tell, the first attempt to accept will.
#[cfg(not(target_os = "linux"))]
fn listens(_socket: &Socket) -> bool {
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    fn variables(values: &[(&str, &str)]) -> Variables {
        let own = |(name, value): &(&str, &str)| (name.into(), value.into());
        values.iter().map(own).collect()
    }

    fn told(fds: &str, names: Option<&str>) -> Result<Vec<(RawFd, Role)>, String> {
        let mut values = vec![("LISTEN_PID", "7"), ("LISTEN_FDS", fds)];
        values.extend(names.map(|names| ("LISTEN_FDNAMES", names)));
        roles(&variables(&values), 7).map_err(|problem| problem.to_string())
    }

    #[test]
    fn without_the_variables_nothing_is_handed_over() {
        assert!(roles(&variables(&[]), 7).unwrap().is_empty());
        assert!(
            roles(&variables(&[("LISTEN_FDS", "1")]), 7)
                .unwrap()
                .is_empty()
        );
        assert!(told("0", None).unwrap().is_empty());
        assert!(told("0", Some("")).unwrap().is_empty());
    }

    #[test]
    fn sockets_for_another_process_are_left_alone() {
        let values = variables(&[("LISTEN_PID", "8"), ("LISTEN_FDS", "1")]);
        assert!(roles(&values, 7).unwrap().is_empty());
    }

    #[test]
    fn a_lone_socket_is_the_ingress_whatever_its_name() {
        for name in [None, Some("icr-bridge.socket"), Some("unknown"), Some("")] {
            assert_eq!(told("1", name).unwrap(), [(3, Role::Ingress)]);
        }
    }

    #[test]
    fn the_socket_called_admin_is_the_admin_listener_in_either_place() {
        assert_eq!(
            told("2", Some("admin:ingress")).unwrap(),
            [(3, Role::Admin), (4, Role::Ingress)]
        );
        assert_eq!(
            told("2", Some("x:admin")).unwrap(),
            [(3, Role::Ingress), (4, Role::Admin)]
        );
        assert_eq!(told("1", Some("admin")).unwrap(), [(3, Role::Admin)]);
    }

    #[test]
    fn what_cannot_be_understood_is_an_error_that_names_the_variable() {
        for (fds, names, said) in [
            ("one", None, "LISTEN_FDS: `one` is no number"),
            ("-1", None, "LISTEN_FDS: `-1` is no number"),
            (
                "2",
                Some("admin"),
                "LISTEN_FDNAMES: has 1 names for LISTEN_FDS=2",
            ),
            ("2", None, "hands over 2 sockets for the ingress"),
            (
                "2",
                Some("admin:admin"),
                "hands over 2 sockets for the admin listener",
            ),
        ] {
            let problem = told(fds, names).unwrap_err();
            assert!(problem.contains(said), "{problem}");
        }
        let values = variables(&[("LISTEN_PID", "x"), ("LISTEN_FDS", "1")]);
        assert!(roles(&values, 7).is_err());
    }
}
