//! Starting and leaving: the real process and real signals.

use crate::support::app::SECRET;
use crate::support::eventually::eventually;
use crate::support::http::Connection;
use crate::support::journal;
use crate::support::process::{self, Ended, Serving};
use icr_bridge::domain::event::EventKind;
use icr_bridge::domain::signature::SecretSet;
use icr_bridge::mock_kafka::{MockKafka, MockTopic};
use icr_bridge::simulator::Simulator;
use std::collections::HashSet;
use std::net::SocketAddr;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

const NO_KAFKA: (&str, &str) = ("KAFKA_BROKERS", "127.0.0.1:1");

/// Distinct deliveries from several connections, until told to stop; remembers the ids that were answered 202.
#[derive(Default)]
struct Load {
    stop: AtomicBool,
    next: AtomicU64,
    ids: Mutex<Vec<String>>,
    other_answers: Mutex<Vec<u16>>,
}

impl Load {
    /// Sends until the bridge goes away or `stop` is raised.
    fn send(&self, ingress: SocketAddr) {
        let simulator = Simulator::new(SecretSet::single(SECRET.as_bytes()).unwrap(), 10, 1);
        let mut connection = Connection::open(ingress);
        while !self.stop.load(Ordering::Relaxed) {
            let number = self.next.fetch_add(1, Ordering::Relaxed);
            let request = simulator.delivery(EventKind::WarehouseTransaction, number);
            let head = format!(
                "POST /webhook HTTP/1.1\r\nhost: b\r\nx-icr-signature-256: {}\r\ncontent-length: {}\r\n\r\n",
                request.signature,
                request.body.len()
            );
            connection.send(&[head.as_bytes(), &request.body].concat());
            let Ok(response) = connection.try_response() else {
                return;
            };
            match response.status {
                202 => self
                    .ids
                    .lock()
                    .unwrap()
                    .push(response.json()["id"].as_str().unwrap().to_owned()),
                other => self.other_answers.lock().unwrap().push(other),
            }
            if response.header("connection") == Some("close") {
                return;
            }
        }
    }

    fn accepted(&self) -> usize {
        self.ids.lock().unwrap().len()
    }
}

#[test]
fn sigterm_under_load_loses_nothing_that_was_answered_202() {
    let dir = tempfile::tempdir().unwrap();
    let load = &Load::default();
    std::thread::scope(|scope| {
        let serving = Serving::start(dir.path(), &[NO_KAFKA]);
        for _ in 0..8 {
            let ingress = serving.ingress;
            scope.spawn(move || load.send(ingress));
        }
        eventually("deliveries are under way", || {
            (load.accepted() > 200).then_some(())
        });
        assert_eq!(serving.terminate().code(), Some(0));
        load.stop.store(true, Ordering::Relaxed);
    });
    let stored: HashSet<String> = journal::ids(dir.path()).into_iter().collect();
    let answered = load.ids.lock().unwrap();
    let lost: Vec<&String> = answered.iter().filter(|id| !stored.contains(*id)).collect();
    assert!(lost.is_empty(), "{} of {} lost", lost.len(), answered.len());
    assert!(
        load.other_answers.lock().unwrap().is_empty(),
        "nothing was refused: {:?}",
        load.other_answers.lock().unwrap()
    );
}

#[test]
fn kill_9_under_load_loses_nothing_that_was_answered_202() {
    let dir = tempfile::tempdir().unwrap();
    let load = &Load::default();
    for round in 1..=5 {
        std::thread::scope(|scope| {
            let serving =
                Serving::start(dir.path(), &[NO_KAFKA, ("JOURNAL_SEGMENT_BYTES", "256KiB")]);
            for _ in 0..8 {
                let ingress = serving.ingress;
                scope.spawn(move || load.send(ingress));
            }
            eventually("deliveries are under way", || {
                (load.accepted() > 200 * round).then_some(())
            });
            serving.kill();
        });
    }
    let stored: HashSet<String> = journal::ids(dir.path()).into_iter().collect();
    let answered = load.ids.lock().unwrap();
    let lost = answered.iter().filter(|id| !stored.contains(*id)).count();
    assert_eq!(lost, 0, "of {}", answered.len());
    let ids = journal::ids(dir.path());
    assert!(ids.is_sorted(), "ids are in the order of sequences");
    assert_eq!(ids.len(), stored.len(), "ids are unique");
}

#[test]
fn a_second_signal_leaves_at_once() {
    let dir = tempfile::tempdir().unwrap();
    let serving = Serving::start(dir.path(), &[NO_KAFKA, ("SHUTDOWN_DELAY_SECONDS", "3600")]);
    serving.signal(libc::SIGTERM);
    eventually("it is not ready any more", || {
        (!serving.is_ready()).then_some(())
    });
    serving.signal(libc::SIGINT);
    assert_eq!(serving.wait().code(), Some(1));
}

#[test]
fn while_it_waits_to_leave_it_is_not_ready_and_accepts_on() {
    let dir = tempfile::tempdir().unwrap();
    let serving = Serving::start(dir.path(), &[NO_KAFKA, ("SHUTDOWN_DELAY_SECONDS", "3600")]);
    serving.signal(libc::SIGTERM);
    eventually("it is not ready any more", || {
        (!serving.is_ready()).then_some(())
    });
    let simulator = Simulator::new(SecretSet::single(SECRET.as_bytes()).unwrap(), 1, 1);
    let request = simulator.delivery(EventKind::Installed, 1);
    let response = crate::support::http::post(
        serving.ingress,
        "/webhook",
        &[("x-icr-signature-256", &request.signature)],
        &request.body,
    );
    assert_eq!(response.status, 202);
    serving.kill();
}

#[test]
fn ctrl_c_leaves_in_order() {
    let dir = tempfile::tempdir().unwrap();
    let serving = Serving::start(dir.path(), &[NO_KAFKA]);
    serving.signal(libc::SIGINT);
    assert_eq!(serving.wait().code(), Some(0));
}

#[test]
fn nothing_secret_or_personal_is_logged() {
    let topics = ["icr.webhooks", "icr.webhooks.quarantine"];
    let kafka = MockKafka::start(&topics.map(|topic| MockTopic::new(topic, 1))).unwrap();
    let dir = tempfile::tempdir().unwrap();
    let settings = [
        ("KAFKA_BROKERS", kafka.bootstrap_servers()),
        ("LOG", "trace"),
    ];
    let serving = Serving::start(dir.path(), &settings);
    let simulator = Simulator::new(SecretSet::single(SECRET.as_bytes()).unwrap(), 1, 1);
    for request in [
        simulator.delivery(EventKind::Installed, 1),
        simulator.forged(EventKind::Installed, 2),
        simulator.unintelligible(3),
    ] {
        crate::support::http::post(
            serving.ingress,
            "/webhook",
            &[("x-icr-signature-256", &request.signature)],
            &request.body,
        );
    }
    let metrics = || serving.metrics();
    eventually("one is published and one quarantined", || {
        let done = metrics().sum("records_published_total") == 1.0
            && metrics().sum("records_quarantined_total") == 1.0;
        done.then_some(())
    });
    eventually("the forgery is logged", || {
        let told = |line: &String| line.contains("signature_wrong");
        serving.log().iter().any(told).then_some(())
    });
    let log = serving.log().join("\n");
    for private in [SECRET, "user@example.com", "John Doe", "signedData"] {
        assert!(!log.contains(private), "{private} in\n{log}");
    }
}

#[test]
fn sighup_puts_a_changed_secret_file_in_force_and_a_broken_one_leaves_the_last_good() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("secret");
    std::fs::write(&file, "old").unwrap();
    let serving = Serving::start(
        &dir.path().join("journal"),
        &[NO_KAFKA, ("WEBHOOK_SECRET_FILE", file.to_str().unwrap())],
    );
    let status = |secret: &str, number| {
        let request = Simulator::new(SecretSet::single(secret.as_bytes()).unwrap(), 1, 1)
            .delivery(EventKind::Installed, number);
        crate::support::http::post(
            serving.ingress,
            "/webhook",
            &[("x-icr-signature-256", &request.signature)],
            &request.body,
        )
        .status
    };
    assert_eq!((status("old", 1), status("new", 2)), (202, 403));
    std::fs::write(&file, "new").unwrap();
    serving.signal(libc::SIGHUP);
    eventually("the new secret is in force", || {
        (status("new", 3) == 202).then_some(())
    });
    assert_eq!(status("old", 4), 403);
    std::fs::write(&file, "").unwrap();
    serving.signal(libc::SIGHUP);
    eventually("the failure is counted", || {
        (serving.metrics().value("secret_reload_failures_total") == 1.0).then_some(())
    });
    assert_eq!(status("new", 5), 202);
}

#[test]
fn a_half_sent_body_does_not_keep_the_bridge_from_leaving() {
    let dir = tempfile::tempdir().unwrap();
    let serving = Serving::start(dir.path(), &[NO_KAFKA, ("BODY_TIMEOUT_SECONDS", "3600")]);
    let mut slow = Connection::open(serving.ingress);
    // So that the connection is being served for certain.
    assert_eq!(slow.post("/webhook", &[], b"{}").status, 400);
    slow.send(b"POST /webhook HTTP/1.1\r\nhost: b\r\ncontent-length: 100\r\n\r\n{");
    assert_eq!(serving.terminate().code(), Some(0));
}

#[test]
fn refused_and_rejected_deliveries_are_logged() {
    let dir = tempfile::tempdir().unwrap();
    let serving = Serving::start(dir.path(), &[NO_KAFKA]);
    let simulator = Simulator::new(SecretSet::single(SECRET.as_bytes()).unwrap(), 1, 1);
    for number in 0..3 {
        let request = simulator.forged(EventKind::Installed, number);
        crate::support::http::post(
            serving.ingress,
            "/webhook",
            &[("x-icr-signature-256", &request.signature)],
            &request.body,
        );
    }
    let lines = || {
        serving
            .log()
            .iter()
            .filter(|line| line.contains("rejected: signature_wrong"))
            .count()
    };
    eventually("a line says so", || (lines() > 0).then_some(()));
    assert_eq!(lines(), 1, "one line for many alike");
}

#[test]
fn what_is_no_http_does_not_fill_the_log() {
    let dir = tempfile::tempdir().unwrap();
    let serving = Serving::start(dir.path(), &[NO_KAFKA]);
    for _ in 0..20 {
        let mut connection = Connection::open(serving.ingress);
        connection.send(b"\x16\x03\x01 this is no HTTP\r\n\r\n");
        assert_eq!(connection.response().status, 400);
        assert!(connection.is_closed());
    }
    // Whatever was said of these has been said before this.
    crate::support::http::post(serving.ingress, "/webhook", &[], b"{}");
    eventually("the rejection is logged", || {
        let told = |line: &String| line.contains("rejected: signed_data_missing");
        serving.log().iter().any(told).then_some(())
    });
    let log = serving.log();
    assert!(!log.iter().any(|line| line.contains("actix")), "{log:#?}");
}

/// `serve` under a limit of the system, by another user where that one counts what a user has.
fn start_limited(
    dir: &Path,
    settings: &[(&str, &str)],
    (resource, most): (rlimit::Resource, u64),
    user: Option<u32>,
) -> Result<Serving, Ended> {
    let mut command = process::serve(dir, settings, process::command);
    // SAFETY: system calls that are allowed between fork and exec.
    unsafe {
        command.pre_exec(move || {
            resource.set(most, most)?;
            match user.map_or(0, |user| libc::setuid(user)) {
                0 => Ok(()),
                _ => Err(std::io::Error::last_os_error()),
            }
        })
    };
    Serving::of(command)
}

#[test]
fn a_start_for_which_there_are_too_few_threads_fails_and_says_why() {
    // SAFETY: asks for a number.
    if unsafe { libc::geteuid() } != 0 {
        // Whoever runs the tests has threads enough already, and cannot become somebody who has none.
        return;
    }
    // Nobody's, so that no thread of others counts.
    let user = 4_000_000 + std::process::id();
    for threads in 3..=16 {
        let dir = tempfile::tempdir().unwrap();
        std::os::unix::fs::chown(dir.path(), Some(user), None).unwrap();
        let settings = [NO_KAFKA, ("WORKERS", "4")];
        let limit = (rlimit::Resource::NPROC, threads);
        match start_limited(dir.path(), &settings, limit, Some(user)) {
            Ok(serving) => {
                // Those that it cannot do without are there.
                let response = crate::support::http::post(serving.ingress, "/webhook", &[], b"{");
                assert_eq!(response.status, 400, "{threads}");
                assert!(serving.is_ready(), "{threads}");
            }
            Err(ended) => {
                assert!(!ended.status.success(), "{threads}: {ended}");
                let said = ended.log.iter().any(|line| {
                    line.contains("ERROR") || line.contains("panicked") || line.contains("thread")
                });
                assert!(said, "{threads}: {ended}");
            }
        }
    }
}

#[test]
fn workers_and_places_are_lowered_to_what_the_open_files_allow() {
    let dir = tempfile::tempdir().unwrap();
    let settings = [NO_KAFKA, ("WORKERS", "64")];
    let limit = (rlimit::Resource::NOFILE, 256);
    let serving = start_limited(dir.path(), &settings, limit, None).unwrap();
    let response = crate::support::http::post(serving.ingress, "/webhook", &[], b"{");
    assert_eq!(response.status, 400);
    let told = |line: &String| {
        line.contains("the system allows 256 open files")
            && line.contains("ICR_BRIDGE_WORKERS is lowered from 64")
    };
    assert!(serving.log().iter().any(told), "{:#?}", serving.log());
}

#[test]
fn a_start_with_too_few_open_files_fails_and_says_so() {
    let dir = tempfile::tempdir().unwrap();
    let limit = (rlimit::Resource::NOFILE, 40);
    let Err(ended) = start_limited(dir.path(), &[NO_KAFKA], limit, None) else {
        panic!("it has started");
    };
    assert_eq!(ended.status.code(), Some(1), "{ended}");
    let told = |line: &String| line.contains("the system allows 40 open files");
    assert!(ended.log.iter().any(told), "{ended}");
}
