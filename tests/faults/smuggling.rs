//! Request smuggling: requests whose end a proxy and the bridge could see in different places. None of them is taken; what only looks
//! odd is taken once; and what follows on the connection is never taken for part of it, nor part of it for what follows.

use crate::harness::client::{Raw, head, whole};
use crate::harness::stage::Stage;
use crate::harness::{Excuse, Fault};
use icr_bridge::simulator::Request;

/// The shapes, one a line.
const SHAPES: &str = include_str!("smuggling.txt");

pub const FAULT: Fault = Fault {
    name: "smuggling",
    title: "requests whose end is in doubt (request smuggling)",
    excuse: Excuse::Nothing,
    run: |stage| {
        let shapes: Vec<Shape> = SHAPES.lines().filter_map(Shape::read).collect();
        stage.set("HEADER_TIMEOUT_SECONDS", "2");
        stage.set("BODY_TIMEOUT_SECONDS", "2");
        stage.start();
        stage.load_on();
        for _ in stage.rounds(1, 5) {
            for shape in &shapes {
                alone(stage, shape, usize::MAX);
                alone(stage, shape, 1);
                before_another(stage, shape);
            }
            old_versions(stage);
            stage.accept(50);
        }
        stage.note(format!("{} shapes", shapes.len()));
    },
};

/// See `smuggling.txt`.
struct Shape {
    fair: Fair,
    what: String,
    headers: String,
    body: String,
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Fair {
    Refused,
    Taken,
    Last,
    Swallows,
}

impl Shape {
    fn read(line: &str) -> Option<Self> {
        let line = line.split('#').next().filter(|line| !line.is_empty())?;
        let columns: Vec<&str> = line.split('|').map(str::trim).collect();
        let [fair, what, headers, body] = columns[..] else {
            panic!("{line}");
        };
        Some(Self {
            fair: match fair {
                "refused" => Fair::Refused,
                "taken" => Fair::Taken,
                "last" => Fair::Last,
                "swallows" => Fair::Swallows,
                other => panic!("{other}"),
            },
            what: what.to_owned(),
            headers: unescape(headers),
            body: unescape(body),
        })
    }

    /// The bytes of a delivery in this shape.
    fn bytes(&self, request: &Request) -> Vec<u8> {
        let length = request.body.len();
        let body = String::from_utf8(request.body.clone()).unwrap();
        let fill = |text: &str| {
            text.replace("{chunk}", "{size}\r\n{body}\r\n0\r\n\r\n")
                .replace("{length}", &length.to_string())
                .replace("{more}", &(length + 1).to_string())
                .replace("{size}", &format!("{length:x}"))
                .replace("{body}", &body)
        };
        let head = head(request, &fill(&self.headers));
        [head, fill(&self.body)].concat().into_bytes()
    }

    /// Right are `proper` answers, or no 202 among them; the connection is closed in any case.
    fn judge(&self, answers: Option<Vec<u16>>, proper: &[u16]) {
        let answers = answers.unwrap_or_else(|| panic!("{}: the connection stays open", self.what));
        let right = match self.fair {
            Fair::Refused => !answers.contains(&202),
            Fair::Taken => answers == proper,
            Fair::Last => !answers.is_empty() && proper.starts_with(&answers),
            Fair::Swallows => answers.iter().filter(|status| **status < 400).count() <= 1,
        };
        assert!(right, "{}: {answers:?}", self.what);
    }
}

fn unescape(text: &str) -> String {
    [
        ("\\r", "\r"),
        ("\\n", "\n"),
        ("\\t", "\t"),
        ("\\0", "\0"),
        ("\\x0b", "\x0b"),
        ("\\x0c", "\x0c"),
    ]
    .iter()
    .fold(text.to_owned(), |text, (escape, byte)| {
        text.replace(escape, byte)
    })
}

/// On a connection of its own, in pieces of so many bytes.
fn alone(stage: &mut Stage, shape: &Shape, piece: usize) {
    let (number, request) = stage.delivery();
    if shape.fair == Fair::Refused {
        stage.forbid(number);
    }
    let mut raw = Raw::open(stage.ingress());
    shape.bytes(&request).chunks(piece).for_each(|piece| {
        raw.send(piece);
    });
    shape.judge(raw.answers(), &[202, 404]);
}

/// With a proper delivery behind it: where the first one's end is in doubt, the second one is not looked at.
fn before_another(stage: &mut Stage, shape: &Shape) {
    let (number, request) = stage.delivery();
    let (next, another) = stage.delivery();
    if shape.fair == Fair::Refused {
        stage.forbid(number);
    }
    if matches!(shape.fair, Fair::Refused | Fair::Swallows) {
        stage.forbid(next);
    }
    let mut raw = Raw::open(stage.ingress());
    raw.send([shape.bytes(&request), whole(&another)].concat());
    shape.judge(raw.answers(), &[202, 202, 404]);
}

/// HTTP/1.0 knows no chunks, HTTP/0.9 no headers.
fn old_versions(stage: &mut Stage) {
    const CHUNKS: &str = "refused | chunks | Transfer-Encoding: chunked\\r\\n | {chunk}";
    const NOTHING: &str = "refused | nothing | | {body}";
    for (shape, version) in [
        (CHUNKS, " HTTP/1.0"),
        (NOTHING, " HTTP/1.0"),
        (CHUNKS, ""),
        (CHUNKS, " HTTP/2.0"),
    ] {
        let shape = Shape::read(shape).unwrap();
        let (number, request) = stage.delivery();
        stage.forbid(number);
        let bytes = String::from_utf8(shape.bytes(&request)).unwrap();
        let mut raw = Raw::open(stage.ingress());
        raw.send(bytes.replacen(" HTTP/1.1", version, 1));
        shape.judge(raw.answers(), &[]);
    }
}
