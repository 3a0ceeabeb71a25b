//! Request smuggling: requests whose end a proxy and the bridge could see in different places. None of them is taken; what only looks
//! odd is taken once; and what follows on the connection is never taken for part of it, nor part of it for what follows.

use crate::harness::client::{Raw, head};
use crate::harness::stage::Stage;
use crate::harness::{Excuse, Fault};

/// What is to become of a request.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Fair {
    /// Its end is in doubt: no 202, and the connection ends.
    Refused,
    /// Its end is clear: one 202, and the connection can be used on.
    Taken,
}
use Fair::{Refused, Taken};

/// The headers that tell the end, and what is done with the body. `{length}` and `{more}` stand for the body's length and one more.
struct Shape {
    what: &'static str,
    headers: &'static str,
    body: Body,
    fair: Fair,
}

#[derive(Debug, Clone, Copy)]
enum Body {
    Plain,
    /// One chunk: what stands behind its size (the line's end with it), behind its data, and instead of the last chunk.
    Chunk(&'static str, &'static str, &'static str),
}

const CHUNKED: &str = "Transfer-Encoding: chunked\r\n";
const CHUNK: Body = Body::Chunk("\r\n", "\r\n", "0\r\n\r\n");

const fn shape(what: &'static str, headers: &'static str, body: Body, fair: Fair) -> Shape {
    Shape {
        what,
        headers,
        body,
        fair,
    }
}

const SHAPES: &[Shape] = &[
    shape(
        "nothing odd",
        "Content-Length: {length}\r\n",
        Body::Plain,
        Taken,
    ),
    shape("nothing odd, in chunks", CHUNKED, CHUNK, Taken),
    // Both kinds of length.
    shape(
        "length, then encoding",
        "Content-Length: {length}\r\nTransfer-Encoding: chunked\r\n",
        CHUNK,
        Refused,
    ),
    shape(
        "encoding, then length",
        "Transfer-Encoding: chunked\r\nContent-Length: {length}\r\n",
        CHUNK,
        Refused,
    ),
    shape(
        "length, and a body that it fits",
        "Transfer-Encoding: chunked\r\nContent-Length: {length}\r\n",
        Body::Plain,
        Refused,
    ),
    shape(
        "length, and the encoding identity",
        "Content-Length: {length}\r\nTransfer-Encoding: identity\r\n",
        Body::Plain,
        Refused,
    ),
    // Lengths.
    shape(
        "two lengths that differ",
        "Content-Length: {length}\r\nContent-Length: {more}\r\n",
        Body::Plain,
        Refused,
    ),
    shape(
        "two lengths that agree",
        "Content-Length: {length}\r\nContent-Length: {length}\r\n",
        Body::Plain,
        Refused,
    ),
    shape(
        "two lengths in one header",
        "Content-Length: {length}, {length}\r\n",
        Body::Plain,
        Refused,
    ),
    shape(
        "a length with a sign",
        "Content-Length: +{length}\r\n",
        Body::Plain,
        Refused,
    ),
    shape(
        "a negative length",
        "Content-Length: -{length}\r\n",
        Body::Plain,
        Refused,
    ),
    shape(
        "a hexadecimal length",
        "Content-Length: 0x{length}\r\n",
        Body::Plain,
        Refused,
    ),
    shape(
        "a length with a fraction",
        "Content-Length: {length}.0\r\n",
        Body::Plain,
        Refused,
    ),
    shape(
        "a length in quotes",
        "Content-Length: \"{length}\"\r\n",
        Body::Plain,
        Refused,
    ),
    shape(
        "a length in two words",
        "Content-Length: {length} {length}\r\n",
        Body::Plain,
        Refused,
    ),
    shape(
        "an empty length",
        "Content-Length: \r\n",
        Body::Plain,
        Refused,
    ),
    shape(
        "a length with leading zeros",
        "Content-Length: 000{length}\r\n",
        Body::Plain,
        Taken,
    ),
    shape(
        "white space around the length",
        "Content-Length: \t {length} \t\r\n",
        Body::Plain,
        Taken,
    ),
    shape(
        "a space before the colon",
        "Content-Length : {length}\r\n",
        Body::Plain,
        Refused,
    ),
    shape(
        "a form feed after the length",
        "Content-Length: {length}\x0c\r\n",
        Body::Plain,
        Refused,
    ),
    shape(
        "a NUL after the length",
        "Content-Length: {length}\0\r\n",
        Body::Plain,
        Refused,
    ),
    shape(
        "a length in another header",
        "Content_Length: 1\r\nContent-Length: {length}\r\n",
        Body::Plain,
        Taken,
    ),
    // Encodings.
    shape(
        "an unknown encoding",
        "Transfer-Encoding: xchunked\r\n",
        CHUNK,
        Refused,
    ),
    shape(
        "chunked, then another",
        "Transfer-Encoding: chunked, identity\r\n",
        CHUNK,
        Refused,
    ),
    shape(
        "another, then chunked",
        "Transfer-Encoding: identity, chunked\r\n",
        CHUNK,
        Refused,
    ),
    shape(
        "gzip, then chunked",
        "Transfer-Encoding: gzip, chunked\r\n",
        CHUNK,
        Refused,
    ),
    shape(
        "chunked twice",
        "Transfer-Encoding: chunked, chunked\r\n",
        CHUNK,
        Refused,
    ),
    shape(
        "two encodings that agree",
        "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n",
        CHUNK,
        Refused,
    ),
    shape(
        "two encodings that differ",
        "Transfer-Encoding: chunked\r\nTransfer-Encoding: x\r\n",
        CHUNK,
        Refused,
    ),
    shape(
        "chunked, then identity in a header of its own",
        "Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n",
        CHUNK,
        Refused,
    ),
    shape(
        "identity, then chunked in a header of its own",
        "Transfer-Encoding: identity\r\nTransfer-Encoding: chunked\r\n",
        CHUNK,
        Refused,
    ),
    shape(
        "chunked in capitals",
        "Transfer-Encoding: CHUNKED\r\n",
        CHUNK,
        Taken,
    ),
    shape(
        "chunked in quotes",
        "Transfer-Encoding: \"chunked\"\r\n",
        CHUNK,
        Refused,
    ),
    shape(
        "chunked with a parameter",
        "Transfer-Encoding: chunked;q=1\r\n",
        CHUNK,
        Refused,
    ),
    shape(
        "a space before the encoding's colon",
        "Transfer-Encoding : chunked\r\n",
        CHUNK,
        Refused,
    ),
    shape(
        "a vertical tab before chunked",
        "Transfer-Encoding:\x0bchunked\r\n",
        CHUNK,
        Refused,
    ),
    shape(
        "a form feed after chunked",
        "Transfer-Encoding: chunked\x0c\r\n",
        CHUNK,
        Refused,
    ),
    shape(
        "an empty encoding",
        "Transfer-Encoding: \r\nContent-Length: {length}\r\n",
        Body::Plain,
        Refused,
    ),
    // Folded lines, and line ends.
    shape(
        "a folded encoding",
        "Transfer-Encoding:\r\n chunked\r\n",
        CHUNK,
        Refused,
    ),
    shape(
        "a folded length",
        "Content-Length:\r\n {length}\r\n",
        Body::Plain,
        Refused,
    ),
    shape(
        "a length folded into another header",
        "X: y\r\n Content-Length: 0\r\nContent-Length: {length}\r\n",
        Body::Plain,
        Refused,
    ),
    shape(
        "a first header that is folded",
        "\tContent-Length: {length}\r\n",
        Body::Plain,
        Refused,
    ),
    shape(
        "a length behind a bare LF",
        "X: y\nContent-Length: 0\r\nContent-Length: {length}\r\n",
        Body::Plain,
        Refused,
    ),
    shape(
        "an encoding behind a bare LF",
        "X: y\nTransfer-Encoding: chunked\r\nContent-Length: {length}\r\n",
        Body::Plain,
        Refused,
    ),
    shape(
        "an encoding behind a bare CR",
        "X: y\rTransfer-Encoding: chunked\r\nContent-Length: {length}\r\n",
        Body::Plain,
        Refused,
    ),
    shape(
        "an early end of the head, by bare LFs",
        "Content-Length: 5\n\nContent-Length: {length}\r\n",
        Body::Plain,
        Refused,
    ),
    // Chunks.
    shape(
        "a chunk with an extension",
        CHUNKED,
        Body::Chunk(";a=b\r\n", "\r\n", "0\r\n\r\n"),
        Taken,
    ),
    shape(
        "a last chunk with an extension",
        CHUNKED,
        Body::Chunk("\r\n", "\r\n", "0;a=b\r\n\r\n"),
        Taken,
    ),
    shape(
        "an extension with a bare LF",
        CHUNKED,
        Body::Chunk(";a\n=b\r\n", "\r\n", "0\r\n\r\n"),
        Refused,
    ),
    shape(
        "an extension with a bare CR",
        CHUNKED,
        Body::Chunk(";a\r=b\r\n", "\r\n", "0\r\n\r\n"),
        Refused,
    ),
    shape(
        "an extension with a line end in quotes",
        CHUNKED,
        Body::Chunk(";a=\"\r\n\"\r\n", "\r\n", "0\r\n\r\n"),
        Refused,
    ),
    shape(
        "a size that ends in a bare LF",
        CHUNKED,
        Body::Chunk("\n", "\r\n", "0\r\n\r\n"),
        Refused,
    ),
    shape(
        "a size that ends in a bare CR",
        CHUNKED,
        Body::Chunk("\r", "\r\n", "0\r\n\r\n"),
        Refused,
    ),
    shape(
        "data that ends in a bare LF",
        CHUNKED,
        Body::Chunk("\r\n", "\n", "0\r\n\r\n"),
        Refused,
    ),
    shape(
        "data that ends in nothing",
        CHUNKED,
        Body::Chunk("\r\n", "", "0\r\n\r\n"),
        Refused,
    ),
    shape(
        "data longer than its size",
        CHUNKED,
        Body::Chunk("\r\n", "x\r\n", "0\r\n\r\n"),
        Refused,
    ),
    shape(
        "a size with an underscore",
        CHUNKED,
        Body::Chunk("_\r\n", "\r\n", "0\r\n\r\n"),
        Refused,
    ),
    shape(
        "a size with a comma",
        CHUNKED,
        Body::Chunk(",\r\n", "\r\n", "0\r\n\r\n"),
        Refused,
    ),
    shape(
        "a negative last size",
        CHUNKED,
        Body::Chunk("\r\n", "\r\n", "-0\r\n\r\n"),
        Refused,
    ),
    shape(
        "a last size with a sign",
        CHUNKED,
        Body::Chunk("\r\n", "\r\n", "+0\r\n\r\n"),
        Refused,
    ),
    shape(
        "a hexadecimal last size",
        CHUNKED,
        Body::Chunk("\r\n", "\r\n", "0x0\r\n\r\n"),
        Refused,
    ),
    shape(
        "an empty last size",
        CHUNKED,
        Body::Chunk("\r\n", "\r\n", "\r\n\r\n"),
        Refused,
    ),
    shape(
        "a space before the last size",
        CHUNKED,
        Body::Chunk("\r\n", "\r\n", " 0\r\n\r\n"),
        Refused,
    ),
    shape(
        "a size beyond 2^64",
        CHUNKED,
        Body::Chunk("\r\n", "\r\n", "10000000000000000\r\n\r\n"),
        Refused,
    ),
    shape(
        "zeros before the last size",
        CHUNKED,
        Body::Chunk("\r\n", "\r\n", "0000\r\n\r\n"),
        Taken,
    ),
    shape(
        "an end of bare LFs",
        CHUNKED,
        Body::Chunk("\r\n", "\r\n", "0\n\n"),
        Refused,
    ),
    shape(
        "an end with one bare LF",
        CHUNKED,
        Body::Chunk("\r\n", "\r\n", "0\r\n\n"),
        Refused,
    ),
    shape(
        "a trailer",
        CHUNKED,
        Body::Chunk("\r\n", "\r\n", "0\r\nX: y\r\n\r\n"),
        Taken,
    ),
    shape(
        "a length as a trailer",
        CHUNKED,
        Body::Chunk("\r\n", "\r\n", "0\r\nContent-Length: 0\r\n\r\n"),
        Taken,
    ),
    shape(
        "a trailer that ends in a bare LF",
        CHUNKED,
        Body::Chunk("\r\n", "\r\n", "0\r\nX: y\n\r\n"),
        Refused,
    ),
    shape(
        "a trailer that ends in a bare CR",
        CHUNKED,
        Body::Chunk("\r\n", "\r\n", "0\r\nX: y\r\r\n\r\n"),
        Refused,
    ),
    // Other ways to say how long a request is.
    shape(
        "an upgrade to WebSocket",
        "Connection: Upgrade\r\nUpgrade: websocket\r\nContent-Length: {length}\r\n",
        Body::Plain,
        Refused,
    ),
    shape(
        "an upgrade to HTTP/2",
        "Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAoAAAAAIAAAAA\r\nContent-Length: {length}\r\n",
        Body::Plain,
        Taken,
    ),
    shape(
        "a wish to be told to go on",
        "Expect: 100-continue\r\nContent-Length: {length}\r\n",
        Body::Plain,
        Taken,
    ),
    shape(
        "two hosts",
        "Host: other\r\nContent-Length: {length}\r\n",
        Body::Plain,
        Refused,
    ),
    shape(
        "a method in a header",
        "X-HTTP-Method-Override: GET\r\nContent-Length: {length}\r\n",
        Body::Plain,
        Taken,
    ),
];

pub const FAULT: Fault = Fault {
    name: "smuggling",
    title: "requests whose end is in doubt (request smuggling)",
    excuse: Excuse::Nothing,
    run: |stage| {
        stage.set("HEADER_TIMEOUT_SECONDS", "2");
        stage.set("BODY_TIMEOUT_SECONDS", "2");
        stage.start();
        stage.load_on();
        for _ in stage.rounds(1, 5) {
            for shape in SHAPES {
                alone(stage, shape);
                before_another(stage, shape);
            }
            old_versions(stage);
            stage.accept(50);
        }
        stage.note(format!("{} shapes", SHAPES.len()));
    },
};

/// A delivery of this shape, and the number that it goes by.
fn bytes(stage: &mut Stage, shape: &Shape) -> (u64, Vec<u8>) {
    let (number, request) = stage.delivery();
    let headers = shape
        .headers
        .replace("{length}", &request.body.len().to_string())
        .replace("{more}", &(request.body.len() + 1).to_string());
    let mut bytes = head(&request, &headers).into_bytes();
    match shape.body {
        Body::Plain => bytes.extend_from_slice(&request.body),
        Body::Chunk(size_end, data_end, last) => {
            bytes.extend_from_slice(format!("{:x}{size_end}", request.body.len()).as_bytes());
            bytes.extend_from_slice(&request.body);
            bytes.extend_from_slice(format!("{data_end}{last}").as_bytes());
        }
    }
    if shape.fair == Refused {
        stage.forbid(number);
    }
    (number, bytes)
}

/// On a connection of its own, in one piece and a byte at a time.
fn alone(stage: &mut Stage, shape: &Shape) {
    for piece in [usize::MAX, 1] {
        let (_, bytes) = bytes(stage, shape);
        let mut raw = Raw::open(stage.ingress());
        bytes.chunks(piece).for_each(|piece| {
            raw.send(piece);
        });
        let answers = raw.answers();
        match shape.fair {
            Taken => assert_eq!(answers, [202, 404], "{}", shape.what),
            Refused => assert!(!answers.contains(&202), "{}: {answers:?}", shape.what),
        }
    }
}

/// With a proper delivery behind it: where the first one's end is in doubt, the second one is not looked at.
fn before_another(stage: &mut Stage, shape: &Shape) {
    let (_, mut both) = bytes(stage, shape);
    let (number, another) = stage.delivery();
    both.extend(crate::harness::client::whole(&another));
    if shape.fair == Refused {
        stage.forbid(number);
    }
    let mut raw = Raw::open(stage.ingress());
    raw.send(&both);
    let answers = raw.answers();
    match shape.fair {
        Taken => assert_eq!(answers, [202, 202, 404], "{}", shape.what),
        Refused => assert!(!answers.contains(&202), "{}: {answers:?}", shape.what),
    }
}

/// HTTP/1.0 knows no chunks, HTTP/0.9 no headers.
fn old_versions(stage: &mut Stage) {
    for (what, start, headers) in [
        ("chunks in HTTP/1.0", "POST /webhook HTTP/1.0\r\n", CHUNKED),
        ("no length in HTTP/1.0", "POST /webhook HTTP/1.0\r\n", ""),
        ("HTTP/0.9", "POST /webhook\r\n", CHUNKED),
        ("HTTP/2.0", "POST /webhook HTTP/2.0\r\n", CHUNKED),
    ] {
        let (_, bytes) = bytes(stage, &shape(what, headers, CHUNK, Refused));
        let line = bytes.windows(2).position(|end| end == b"\r\n").unwrap() + 2;
        let mut raw = Raw::open(stage.ingress());
        raw.send([start.as_bytes(), &bytes[line..]].concat());
        let answers = raw.answers();
        assert!(!answers.contains(&202), "{what}: {answers:?}");
    }
}
