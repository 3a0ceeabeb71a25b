//! The socket itself: who may use it, what it survives, and that nothing depends on it.

use super::{NO_KAFKA, accept_transactions, on, said};
use crate::support::eventually::eventually;
use crate::support::process::Serving;
use serde_json::{Value, json};
use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::time::Duration;

/// Long enough for anything that is to happen at once.
const PATIENCE: Duration = Duration::from_secs(20);

fn connect(journal: &Path) -> UnixStream {
    let stream = UnixStream::connect(journal.join("control.sock")).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream.set_write_timeout(Some(PATIENCE)).unwrap();
    stream
}

/// Sends these bytes, and reads lines up to the last.
fn talk(journal: &Path, bytes: &[u8]) -> Vec<Value> {
    let mut stream = connect(journal);
    // Who is refused early may find the other side closed.
    let _ = stream.write_all(bytes);
    BufReader::new(stream)
        .lines()
        .map_while(Result::ok)
        .map(|line| serde_json::from_str(&line).unwrap())
        .collect()
}

fn kind(lines: &[Value]) -> &str {
    lines.last().unwrap()["failure"]["kind"].as_str().unwrap()
}

const DRAIN: &[u8] = b"{\"version\":1,\"verb\":{\"drain\":{}}}\n";

#[test]
fn the_socket_is_its_owners_alone_and_is_gone_after_the_end() {
    let dir = tempfile::tempdir().unwrap();
    let journal = dir.path().join("journal");
    let bridge = Serving::start(&journal, &[NO_KAFKA]);
    let socket = std::fs::metadata(journal.join("control.sock")).unwrap();
    assert!(socket.file_type().is_socket());
    assert_eq!(socket.permissions().mode() & 0o777, 0o600);
    let folder = std::fs::metadata(&journal).unwrap();
    assert_eq!(folder.permissions().mode() & 0o777, 0o700);
    assert_eq!(
        talk(&journal, DRAIN).last().unwrap()["result"]["end"],
        "drained"
    );
    assert_eq!(said(&on(&journal, &["journal", "verify"])).0, 0);
    bridge.terminate();
    assert!(!journal.join("control.sock").exists());
}

#[test]
fn a_socket_left_by_a_crash_is_replaced() {
    let dir = tempfile::tempdir().unwrap();
    Serving::start(dir.path(), &[NO_KAFKA]).kill();
    assert!(dir.path().join("control.sock").exists());
    let _bridge = Serving::start(dir.path(), &[NO_KAFKA]);
    assert_eq!(said(&on(dir.path(), &["drain"])).0, 0);
}

#[test]
fn a_second_bridge_that_may_not_start_leaves_the_socket_of_the_first_alone() {
    let dir = tempfile::tempdir().unwrap();
    let _bridge = Serving::start(dir.path(), &[NO_KAFKA]);
    let settings = [
        ("JOURNAL_DIR", dir.path().to_str().unwrap()),
        NO_KAFKA,
        ("WEBHOOK_SECRET", "s"),
        ("LISTEN", "127.0.0.1:0"),
        ("ADMIN_LISTEN", "127.0.0.1:0"),
    ];
    let second = crate::support::process::run(&["serve"], &settings);
    assert_eq!(second.status.code(), Some(75));
    assert_eq!(
        talk(dir.path(), DRAIN).last().unwrap()["result"]["end"],
        "drained"
    );
}

#[cfg(target_os = "linux")]
#[test]
fn a_journal_deeper_than_a_sockets_path_may_be_can_be_commanded() {
    let dir = tempfile::tempdir().unwrap();
    let deep = dir.path().join("d".repeat(200));
    let bridge = Serving::start(&deep, &[NO_KAFKA]);
    assert!(deep.join("control.sock").exists());
    assert_eq!(said(&on(&deep, &["drain"])).0, 0);
    bridge.terminate();
    assert!(!deep.join("control.sock").exists());
}

#[test]
fn where_no_socket_can_be_the_bridge_serves_and_says_so_and_commands_say_so() {
    let dir = tempfile::tempdir().unwrap();
    let in_the_way = dir.path().join("control.sock");
    std::fs::create_dir(&in_the_way).unwrap();
    std::fs::write(in_the_way.join("file"), "").unwrap();
    let bridge = Serving::start(dir.path(), &[NO_KAFKA]);
    accept_transactions(&bridge, 0..1);
    assert!(bridge.is_ready());
    eventually("the log says so", || {
        let told = |line: &String| line.contains("no control socket");
        bridge.log().iter().any(told).then_some(())
    });
    let (code, text) = said(&on(dir.path(), &["drain"]));
    assert_eq!(code, 75, "{text}");
    assert!(text.contains("another process holds the journal"), "{text}");
}

#[test]
fn whatever_is_no_request_is_answered_or_hung_up_on_and_harms_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let bridge = Serving::start(dir.path(), &[NO_KAFKA]);
    let malformed: [&[u8]; 6] = [
        b"\n",
        b"GET /metrics HTTP/1.1\r\n\r\n",
        b"{\"version\":1}\n",
        b"\xff\xfe\x00\n",
        &[b'['; 100_000],
        b"{\"version\":1,\"verb\":\n",
    ];
    for request in malformed {
        let mut request = request.to_vec();
        request.push(b'\n');
        assert_eq!(
            kind(&talk(dir.path(), &request)),
            "malformed",
            "{:?}",
            &request[..5]
        );
    }
    let unsupported: [&[u8]; 3] = [
        b"{\"version\":2,\"verb\":{\"drain\":{}}}\n",
        b"{\"version\":1,\"verb\":{\"explode\":{}}}\n",
        b"{\"version\":1,\"verb\":{\"drain\":{\"timeout_ms\":-1}}}\n",
    ];
    for request in unsupported {
        assert_eq!(kind(&talk(dir.path(), request)), "unsupported");
    }
    // A line without end is not gathered without end.
    let mut huge = vec![b'x'; 3 << 20];
    huge.push(b'\n');
    let answered = talk(dir.path(), &huge);
    assert!(answered.is_empty() || kind(&answered) == "malformed");
    // Half a line, and then silence: hung up on, with a word.
    let mut half = connect(dir.path());
    half.write_all(b"{\"version\":1,").unwrap();
    let mut answer = String::new();
    half.read_to_string(&mut answer).unwrap();
    assert!(answer.contains("no request came within"), "{answer}");
    accept_transactions(&bridge, 0..3);
    assert!(bridge.is_ready());
}

#[test]
fn clients_that_say_nothing_do_not_keep_others_out_for_long() {
    let dir = tempfile::tempdir().unwrap();
    let bridge = Serving::start(dir.path(), &[NO_KAFKA]);
    let silent: Vec<UnixStream> = (0..16).map(|_| connect(dir.path())).collect();
    assert_eq!(kind(&talk(dir.path(), DRAIN)), "busy");
    accept_transactions(&bridge, 0..1);
    eventually("the silent ones are hung up on", || {
        let answered = talk(
            dir.path(),
            b"{\"version\":1,\"verb\":{\"drain\":{\"timeout_ms\":1}}}\n",
        );
        (answered.last()?["result"]["end"] == "timed_out").then_some(())
    });
    drop(silent);
}

#[test]
fn a_client_that_goes_away_or_does_not_read_leaves_nothing_behind() {
    let dir = tempfile::tempdir().unwrap();
    let bridge = Serving::start(dir.path(), &[NO_KAFKA]);
    accept_transactions(&bridge, 0..1);
    // More than there may be at a time: were any of them still served, the last would be turned away.
    for _ in 0..40 {
        let mut stream = connect(dir.path());
        stream.write_all(DRAIN).unwrap();
        let mut progress = [0; 10];
        stream.read_exact(&mut progress).unwrap();
        drop(stream);
    }
    let mut cancelled = connect(dir.path());
    cancelled.write_all(DRAIN).unwrap();
    cancelled.shutdown(std::net::Shutdown::Write).unwrap();
    let mut answer = String::new();
    cancelled.read_to_string(&mut answer).unwrap();
    let last: Value = serde_json::from_str(answer.lines().last().unwrap()).unwrap();
    let result = json!({ "end": "cancelled", "drained": 0, "pending": 1, "held": 0 });
    assert_eq!(last["result"], result);
}

#[test]
fn a_bridge_that_leaves_ends_what_is_under_way_and_says_so() {
    let dir = tempfile::tempdir().unwrap();
    let bridge = Serving::start(dir.path(), &[NO_KAFKA]);
    accept_transactions(&bridge, 0..2);
    let mut stream = connect(dir.path());
    stream.write_all(DRAIN).unwrap();
    let mut lines = BufReader::new(stream).lines();
    let first = lines.next().unwrap().unwrap();
    assert!(first.contains("progress"), "{first}");
    bridge.signal(libc::SIGTERM);
    let last = lines.map_while(Result::ok).last().unwrap();
    assert!(
        last.contains("\"leaving\"") && last.contains("\"pending\":2"),
        "{last}"
    );
    assert_eq!(bridge.wait().code(), Some(0));
}

#[test]
fn a_bridge_that_does_not_answer_is_told_from_one_that_is_not_there() {
    let dir = tempfile::tempdir().unwrap();
    Serving::start(dir.path(), &[NO_KAFKA]).terminate();
    let listener = UnixListener::bind(dir.path().join("control.sock")).unwrap();
    let answerless = std::thread::spawn(move || drop(listener.accept().unwrap()));
    let (code, text) = said(&on(dir.path(), &["drain"]));
    assert_eq!(code, 1, "{text}");
    assert!(text.contains("before it had answered"), "{text}");
    answerless.join().unwrap();
}
