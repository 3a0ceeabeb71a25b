//! What systemd does with a `.socket` unit: it keeps the sockets, and hands them to each process that it starts.

use super::process::{Ended, Serving, command, serve};
use std::net::{SocketAddr, TcpListener};
use std::os::fd::{AsRawFd, RawFd};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Command;

/// Descriptors of sockets to hand over are moved above this first, so that none stands where another is to go.
const ABOVE: RawFd = 100;

/// The service manager.
pub struct ServiceManager {
    ingress: TcpListener,
}

impl ServiceManager {
    /// Binds the ingress's socket.
    pub fn new() -> Self {
        Self::at(SocketAddr::from(([127, 0, 0, 1], 0)))
    }

    /// Binds it at this address.
    pub fn at(address: SocketAddr) -> Self {
        let ingress = TcpListener::bind(address).unwrap();
        Self { ingress }
    }

    /// Where it listens, whether a process serves or not.
    pub fn address(&self) -> SocketAddr {
        self.ingress.local_addr().unwrap()
    }

    /// Starts a bridge with the socket.
    pub fn start(&self, journal: &Path, settings: &[(&str, &str)]) -> Serving {
        self.try_start(journal, settings, &[])
            .unwrap_or_else(|ended| panic!("{ended}"))
    }

    /// The same with further variables, as they stand, for a bridge that may end before it listens.
    pub fn try_start(
        &self,
        journal: &Path,
        settings: &[(&str, &str)],
        environment: &[(&str, &str)],
    ) -> Result<Serving, Ended> {
        let sockets = [self.ingress.as_raw_fd()];
        let mut command = serve(journal, settings, |arguments, settings| {
            handing_over(&sockets, "icr-bridge.socket", arguments, settings)
        });
        command.envs(environment.iter().copied());
        Serving::of(command)
    }
}

/// The binary, with descriptors from 3 on and the variables that tell of them.
pub fn handing_over(
    descriptors: &[RawFd],
    names: &str,
    arguments: &[&str],
    settings: &[(&str, &str)],
) -> Command {
    let plain = command(arguments, settings);
    // Only the process itself knows the id that it will have.
    let mut command = Command::new("/bin/sh");
    command
        .args(["-c", "LISTEN_PID=$$ exec \"$0\" \"$@\""])
        .arg(plain.get_program())
        .args(plain.get_args())
        .env_clear()
        .envs(
            plain
                .get_envs()
                .filter_map(|(name, value)| Some((name, value?))),
        )
        .env("LISTEN_FDS", descriptors.len().to_string())
        .env("LISTEN_FDNAMES", names)
        .stdin(std::process::Stdio::null());
    let descriptors = descriptors.to_vec();
    let place = move || {
        let checked = |result: i32| match result {
            -1 => Err(std::io::Error::last_os_error()),
            descriptor => Ok(descriptor),
        };
        let mut moved = [0; 8];
        for (moved, descriptor) in moved.iter_mut().zip(&descriptors) {
            // SAFETY: both calls take numbers only.
            *moved = checked(unsafe { libc::fcntl(*descriptor, libc::F_DUPFD_CLOEXEC, ABOVE) })?;
        }
        for (place, moved) in (3..).zip(&moved).take(descriptors.len()) {
            // SAFETY: as above. The copy is not closed when the shell begins.
            checked(unsafe { libc::dup2(*moved, place) })?;
        }
        Ok(())
    };
    // SAFETY: between fork and exec nothing but system calls is made.
    unsafe { command.pre_exec(place) };
    command
}
