//! Addresses of brokers as they are in the field: IPv6, names with a dead address, and addresses that nobody can reach.

use super::logins::{broker_with, free_port, listener};
use super::{
    PATIENCE, accept_transactions, assert_complete_and_in_order, logged, serve,
    wait_until_nothing_is_pending,
};
use crate::support::eventually::within;
use crate::support::kafka::{OwnBroker, RealKafka, skip};
use crate::support::process::{self, Serving};
use std::net::TcpListener;
use std::os::fd::AsRawFd;
use std::process::Command;

#[test]
fn brokers_are_reached_over_ipv6() {
    if RealKafka::from_env().is_none() {
        return;
    }
    if TcpListener::bind("[::1]:0").is_err() {
        return skip("this machine has no IPv6");
    }
    let port = free_port();
    let broker = broker_with(&listener("SIX", "PLAINTEXT", "[::1]", port));
    if broker.in_container() {
        return skip("the broker runs in a container, into which no further listener leads");
    }
    let topic = broker.new_topic("six", 3);
    let dir = tempfile::tempdir().unwrap();
    // The first of the list is not there.
    let bootstrap = format!("[::1]:1,[::1]:{port}");
    let bridge = serve(dir.path(), &bootstrap, &topic, &[]);
    let ids = accept_transactions(&bridge, 0..20);
    wait_until_nothing_is_pending(&bridge);
    assert_complete_and_in_order(&broker.read_all(&[&topic], 20, PATIENCE), &ids);
}

/// A port of this address that answers no attempt to connect, as a machine that is off: its queue is full.
fn silent(address: &str, port: u16) -> (TcpListener, Vec<std::net::TcpStream>) {
    let listener = TcpListener::bind((address, port)).unwrap();
    // SAFETY: a socket that is open.
    assert_eq!(unsafe { libc::listen(listener.as_raw_fd(), 0) }, 0);
    let target = listener.local_addr().unwrap();
    let patience = std::time::Duration::from_millis(300);
    let queued =
        std::iter::from_fn(|| std::net::TcpStream::connect_timeout(&target, patience).ok());
    let queued = queued.take(50).collect();
    (listener, queued)
}

#[test]
fn a_name_with_a_dead_and_a_living_address_leads_to_the_living_one() {
    if RealKafka::from_env().is_none() {
        return;
    }
    let private = Command::new("unshare").args(["--mount", "true"]).output();
    if !private.is_ok_and(|output| output.status.success()) {
        return skip("no mount namespace can be had here, and so no hosts file of the test's own");
    }
    let port = free_port();
    let mut properties = listener("NAME", "PLAINTEXT", "127.0.0.1", port);
    for property in &mut properties {
        if property.starts_with("advertised") {
            *property = property.replace("NAME://127.0.0.1", "NAME://kafka.test");
        }
    }
    let broker = broker_with(&properties);
    if broker.in_container() {
        return skip("the broker runs in a container, into which no further listener leads");
    }
    let topic = broker.new_topic("name", 3);
    let dir = tempfile::tempdir().unwrap();
    let hosts = dir.path().join("hosts");
    std::fs::write(
        &hosts,
        "127.0.0.1 localhost\n127.0.0.2 kafka.test\n127.0.0.1 kafka.test\n",
    )
    .unwrap();
    let dead = silent("127.0.0.2", port);
    let bootstrap = format!("kafka.test:{port}");
    let quarantine = format!("{topic}.quarantine");
    let journal = dir.path().join("journal");
    let settings = [
        ("KAFKA_BROKERS", bootstrap.as_str()),
        ("KAFKA_TOPIC", &topic),
        ("KAFKA_QUARANTINE_TOPIC", &quarantine),
    ];
    let plain = process::serve(&journal, &settings, process::command);
    // The same command behind a hosts file of its own.
    let mut command = Command::new("unshare");
    command
        .args([
            "--mount",
            "sh",
            "-c",
            "mount --bind \"$0\" /etc/hosts && exec \"$@\"",
        ])
        .arg(&hosts)
        .arg(plain.get_program())
        .args(plain.get_args())
        .env_clear()
        .env("PATH", std::env::var_os("PATH").unwrap())
        .stdin(std::process::Stdio::null());
    for (name, value) in plain.get_envs() {
        command.env(name, value.unwrap());
    }
    let bridge = Serving::of(command).unwrap_or_else(|ended| panic!("{ended}"));
    let ids = accept_transactions(&bridge, 0..20);
    wait_until_nothing_is_pending(&bridge);
    assert_complete_and_in_order(&broker.read_all(&[&topic], 20, PATIENCE), &ids);
    drop(dead);
}

#[test]
fn an_advertised_listener_that_cannot_be_reached_is_told_and_delivery_goes_on_once_it_is_mended() {
    if RealKafka::from_env().is_none() {
        return;
    }
    let port = free_port();
    let properties = listener("AWAY", "PLAINTEXT", "127.0.0.1", port);
    let broker: OwnBroker = broker_with(&properties);
    if broker.in_container() {
        return skip("the broker runs in a container, into which no further listener leads");
    }
    let topic = broker.new_topic("away", 3);
    let sasl = broker.sasl_bootstrap.clone().unwrap();
    let advertised = |address: &str| {
        let ordinary = &broker.bootstrap;
        format!("advertised.listeners=BROKER://{ordinary},SASL://{sasl},AWAY://{address}")
    };
    // Nothing listens there.
    broker.configure(&[advertised("127.0.0.1:1")]);
    broker.roll();
    let dir = tempfile::tempdir().unwrap();
    let bridge = serve(dir.path(), &format!("127.0.0.1:{port}"), &topic, &[]);
    let ids = accept_transactions(&bridge, 0..20);
    within(
        PATIENCE,
        "the log names the address that cannot be reached",
        || logged(&bridge, &["127.0.0.1:1", "advertised.listeners"]).then_some(()),
    );
    assert!(bridge.is_ready());
    assert_eq!(broker.count(&topic), 0);
    broker.configure(&[advertised(&format!("127.0.0.1:{port}"))]);
    broker.roll();
    wait_until_nothing_is_pending(&bridge);
    assert_complete_and_in_order(&broker.read_all(&[&topic], 20, PATIENCE), &ids);
}
