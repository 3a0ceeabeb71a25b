//! The requests that cost a worker most, each beside the bound: what none may exceed, whatever its bytes.

#[path = "../../it/support/hollow.rs"]
mod hollow;

use super::report::Report;
use super::subject::Subject;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

/// In milliseconds of CPU time.
const BOUND: f64 = 50.0;

/// The largest body, by default.
const SIZE: usize = 512 << 10;

/// Each is sent so often.
const TIMES: u32 = 10;

/// The bytes of a request, and in what pieces they are sent.
struct Worst {
    name: String,
    bytes: Vec<u8>,
    piece: usize,
}

pub fn measure(report: &mut Report) {
    let bridge = Subject::bridge(None);
    let mut figures: Vec<(String, f64)> = requests()
        .iter()
        .map(|worst| {
            let before = bridge.cpu();
            (0..TIMES).for_each(|_| send(bridge.ingress, worst));
            let each = (bridge.cpu() - before) / f64::from(TIMES);
            (worst.name.clone(), each * 1e3)
        })
        .collect();
    figures.sort_by(|one, other| other.1.total_cmp(&one.1));
    for (name, millis) in figures {
        report
            .add("worst", name, millis, "ms")
            .of("the bound", BOUND)
            .ratio_at_most(1.0);
    }
}

fn requests() -> Vec<Worst> {
    let mut all = Vec::new();
    let mut add = |name: &str, bytes: Vec<u8>, piece: usize| {
        all.push(Worst {
            name: name.to_owned(),
            bytes,
            piece,
        });
    };
    for hollow in hollow::all(SIZE) {
        let encoding = format!("content-encoding: {}\r\n", hollow.encoding);
        add(hollow.name, request(&encoding, &hollow.body), usize::MAX);
    }
    // What a body may consist of. None of it is proven, and all of it is looked at.
    let body = |beginning: &str, unit: &str, end: &str| {
        let count = (SIZE - beginning.len() - end.len()) / unit.len();
        [beginning, &unit.repeat(count), end].concat().into_bytes()
    };
    let bodies = [
        ("arrays in arrays", {
            let half = SIZE / 2 - 20;
            let deep = [vec![b'['; half], vec![b']'; half]].concat();
            [&br#"{"signedData":"","a":"#[..], &deep, b"}"].concat()
        }),
        (
            "objects in objects",
            body(r#"{"signedData":"","a":"#, r#"{"":"#, ""),
        ),
        (
            "as many members as fit",
            body("{", r#""":0,"#, r#""signedData":""}"#),
        ),
        (
            "as many escaped names as fit",
            body("{", r#""\u0061":0,"#, r#""signedData":""}"#),
        ),
        (
            "installations of members",
            body(
                r#"{"signedData":"","installation":{"#,
                r#""\u0069d":"\u0061","#,
                r#""":0}}"#,
            ),
        ),
        (
            "a signedData of escapes",
            body(r#"{"signedData":""#, r"\u0061", r#""}"#),
        ),
        ("numbers", body(r#"{"signedData":"","a":["#, "1e9,", "0]}")),
        ("a long number", body(r#"{"signedData":"","a":"#, "1", "}")),
    ];
    for (name, body) in bodies {
        add(name, request("", &body), usize::MAX);
    }
    // How a request may come.
    let space = vec![b' '; SIZE];
    let long = format!("x: {}\r\n", "y".repeat(50_000));
    add("a head of single bytes", head(&long), 1);
    add("a body of single bytes", request("", &space), 1);
    let chunked = |chunks: &[u8]| [&head("transfer-encoding: chunked\r\n")[..], chunks].concat();
    add(
        "chunks of single bytes",
        chunked(&b"1\r\n \r\n".repeat(SIZE)),
        usize::MAX,
    );
    add(
        "a chunk extension without end",
        chunked(&[&b"1;"[..], &vec![b'x'; 64 * SIZE]].concat()),
        usize::MAX,
    );
    add(
        "trailers without end",
        chunked(&[&b"0\r\n"[..], &b"x: y\r\n".repeat(8 * SIZE)].concat()),
        usize::MAX,
    );
    add(
        "a head of 90 headers of 1 KiB",
        [
            head(&format!("x: {}\r\n", "y".repeat(1000)).repeat(90)),
            b"{}".to_vec(),
        ]
        .concat(),
        usize::MAX,
    );
    add(
        "encodings of nothing",
        request(
            &format!("content-encoding: {}\r\n", ",".repeat(60_000)),
            b"{}",
        ),
        usize::MAX,
    );
    all
}

fn head(headers: &str) -> Vec<u8> {
    let signature = "0".repeat(64);
    format!("POST /webhook HTTP/1.1\r\nhost: b\r\nconnection: close\r\nx-icr-signature-256: {signature}\r\n{headers}\r\n").into_bytes()
}

fn request(headers: &str, body: &[u8]) -> Vec<u8> {
    let headers = format!("{headers}content-length: {}\r\n", body.len());
    [&head(&headers)[..], body].concat()
}

/// Sends as much as is taken, and reads what comes.
fn send(address: SocketAddr, worst: &Worst) {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_nodelay(true).unwrap();
    let patience = Some(Duration::from_secs(60));
    stream.set_read_timeout(patience).unwrap();
    let mut pieces = worst.bytes.chunks(worst.piece.min(worst.bytes.len()));
    if pieces.all(|piece| stream.write_all(piece).is_ok()) {
        let _ = stream.shutdown(std::net::Shutdown::Write);
    }
    let _ = stream.read_to_end(&mut Vec::new());
}
