//! `healthcheck`: what a container's health check runs.

use super::print::{errln, outln};
use super::{Exit, explain};
use crate::config::{self, Variables};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

/// A bridge that cannot answer in this time is not healthy.
const TIMEOUT: Duration = Duration::from_secs(3);

pub(super) fn run(variables: Variables) -> Exit {
    let address = match config::admin_listen(variables) {
        Ok(address) => reachable(address),
        Err(error) => return explain(&error),
    };
    let url = format!("http://{address}/readyz");
    let agent: ureq::Agent = ureq::Agent::config_builder()
        .timeout_global(Some(TIMEOUT))
        .http_status_as_error(false)
        .proxy(None)
        .build()
        .into();
    match agent.get(&url).call() {
        Ok(mut response) => {
            let text = response.body_mut().read_to_string().unwrap_or_default();
            outln!("{}", text.trim_end());
            if response.status().is_success() {
                Exit::Done
            } else {
                Exit::Failed
            }
        }
        Err(error) => {
            errln!("{url}: {error}");
            Exit::Failed
        }
    }
}

/// A listener on every address is asked on loopback.
fn reachable(address: SocketAddr) -> SocketAddr {
    let ip = match address.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => IpAddr::V4(Ipv4Addr::LOCALHOST),
        IpAddr::V6(ip) if ip.is_unspecified() => IpAddr::V6(Ipv6Addr::LOCALHOST),
        ip => ip,
    };
    SocketAddr::new(ip, address.port())
}
