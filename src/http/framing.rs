//! Where requests end in the bytes of a connection, so that no part of another one is passed on with them.
//!
//! The HTTP library decodes all requests that it is given, and says `connection: close` in an answer where the body of *another* request,
//! which came behind, is still incomplete. Then it ends the connection although deliveries are on their way: so those that a client sends
//! without waiting for answers, cut anywhere by the network, would be lost.
//!
//! This decides when bytes are passed on, not what they mean. Were it wrong about an end, the request behind it would be passed on earlier
//! or later, and the library would still find its beginning by itself.

use memchr::memchr;

/// What is kept of a line of a head that comes in pieces: enough for the fields that matter.
const KEPT: usize = 256;

/// Requests that are passed on at once, at most: each takes about a kilobyte, however short it is.
const TOGETHER: usize = 16;

/// Follows the requests of a connection.
pub(super) struct Framing {
    part: Part,
    /// The beginning of a line whose end has not come.
    line: Vec<u8>,
}

enum Part {
    /// Between requests.
    Start,
    /// In a head which so far declares a body of so many bytes.
    Head(u64),
    /// In a body that goes on for so many bytes.
    Body(u64),
    /// The request is the last of its connection, whatever has come behind it: it comes in chunks, or wants to go on in another protocol.
    Open,
}

/// What a line of a head says of the body.
enum Field {
    Length(u64),
    Open,
    Other,
}

impl Default for Framing {
    fn default() -> Self {
        Self {
            part: Part::Start,
            line: Vec::new(),
        }
    }
}

impl Framing {
    /// Follows `bytes`, at most to the end of the last request that ends in them: how many they are then.
    pub(super) fn last_end(&mut self, bytes: &[u8]) -> Option<usize> {
        let mut rest = self.behind(bytes)?;
        for _ in 1..TOGETHER {
            match self.behind(rest) {
                Some(behind) => rest = behind,
                None => {
                    // What goes on has not been passed on.
                    *self = Self::default();
                    break;
                }
            }
        }
        Some(bytes.len() - rest.len())
    }

    /// Follows `bytes`, at most to the end of the request in them: what comes behind it.
    fn behind<'a>(&mut self, bytes: &'a [u8]) -> Option<&'a [u8]> {
        let mut rest = bytes;
        loop {
            match &mut self.part {
                Part::Open => return None,
                Part::Body(left) => {
                    let behind = usize::try_from(*left)
                        .ok()
                        .and_then(|here| rest.get(here..));
                    match behind {
                        Some(_) => self.part = Part::Start,
                        None => *left = left.saturating_sub(rest.len() as u64),
                    }
                    return behind;
                }
                Part::Start | Part::Head(_) => {
                    let Some((line, behind)) = split(b'\n', rest) else {
                        self.keep(rest);
                        return None;
                    };
                    if self.line.is_empty() {
                        self.part.take(line);
                    } else {
                        self.keep(line);
                        self.part.take(&self.line);
                        self.line.clear();
                    }
                    rest = behind;
                }
            }
        }
    }

    fn keep(&mut self, piece: &[u8]) {
        let room = KEPT.saturating_sub(self.line.len());
        self.line.extend(piece.iter().take(room));
    }
}

/// What stands before the first such byte, and behind it.
fn split(at: u8, bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let (before, rest) = bytes.split_at_checked(memchr(at, bytes)?)?;
    Some((before, rest.get(1..)?))
}

impl Part {
    /// Goes on with the next line of a head.
    fn take(&mut self, line: &[u8]) {
        let empty = matches!(line, [] | [b'\r']);
        match self {
            // Empty lines before a request are passed over.
            Self::Start if empty => {}
            Self::Start => *self = Self::Head(0),
            Self::Head(length) if empty => *self = Self::Body(*length),
            Self::Head(length) => match field(line) {
                Field::Length(declared) => *length = declared,
                Field::Open => *self = Self::Open,
                Field::Other => {}
            },
            Self::Body(_) | Self::Open => {}
        }
    }
}

fn field(line: &[u8]) -> Field {
    let Some((name, value)) = split(b':', line) else {
        return Field::Other;
    };
    let is = |known: &str| name.eq_ignore_ascii_case(known.as_bytes());
    if is("content-length") {
        // What is no length is refused by the library, which then reads no more.
        let digits = str::from_utf8(value).unwrap_or_default().trim();
        digits.parse().map_or(Field::Open, Field::Length)
    } else if is("transfer-encoding") || (is("connection") && names_upgrade(value)) {
        Field::Open
    } else {
        Field::Other
    }
}

fn names_upgrade(value: &[u8]) -> bool {
    const UPGRADE: &[u8] = b"upgrade";
    value
        .windows(UPGRADE.len())
        .any(|name| name.eq_ignore_ascii_case(UPGRADE))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Where requests end in bytes that come in `pieces`.
    fn ends<'a>(pieces: impl IntoIterator<Item = &'a [u8]>) -> Vec<usize> {
        let mut framing = Framing::default();
        let mut ends = Vec::new();
        let mut before = 0;
        for mut piece in pieces {
            while !piece.is_empty() {
                let behind = framing.behind(piece);
                before += piece.len() - behind.map_or(0, <[u8]>::len);
                if behind.is_some() {
                    ends.push(before);
                }
                piece = behind.unwrap_or_default();
            }
        }
        ends
    }

    fn request(name: &str, space: &str, body: usize, feed: &str) -> Vec<u8> {
        let long = "x".repeat(2 * KEPT);
        let mut bytes = format!(
            "{feed}POST /webhook HTTP/1.1{feed}host: b{feed}x-long: {long}{feed}{name}:{space}{body}{feed}x-y: z{feed}{feed}"
        )
        .into_bytes();
        // A body that looks like heads.
        bytes.extend(
            b"\r\n\r\ncontent-length: 5\r\n\r\n"
                .iter()
                .cycle()
                .take(body),
        );
        bytes
    }

    proptest! {
        #[test]
        fn each_request_ends_where_its_head_says_however_its_bytes_are_cut(
            requests in prop::collection::vec((0..3_usize, 0..2_usize, 0..300_usize, any::<bool>()), 1..6),
            cuts in prop::collection::vec(1..400_usize, 1..200),
        ) {
            let mut bytes = Vec::new();
            let mut expected = Vec::new();
            for (name, space, body, bare) in requests {
                let name = ["content-length", "Content-Length", "CONTENT-LENGTH"][name];
                bytes.extend(request(name, ["", "  "][space], body, if bare { "\n" } else { "\r\n" }));
                expected.push(bytes.len());
            }
            let mut rest = &bytes[..];
            let mut pieces = Vec::new();
            for cut in cuts {
                let (piece, more) = rest.split_at(cut.min(rest.len()));
                pieces.push(piece);
                rest = more;
            }
            pieces.push(rest);
            prop_assert_eq!(ends(pieces), expected);
        }
    }

    #[test]
    fn whole_requests_are_passed_on_together_and_the_beginning_of_another_is_not() {
        let get = b"GET / HTTP/1.1\r\nhost: b\r\n\r\n";
        let many = get.repeat(TOGETHER + 1);
        let mut framing = Framing::default();
        assert_eq!(framing.last_end(&get[..5]), None);
        let three = [&get[5..], get, &get[..20]].concat();
        assert_eq!(framing.last_end(&three), Some(2 * get.len() - 5));
        assert_eq!(framing.last_end(&many), Some(TOGETHER * get.len()));
        assert_eq!(framing.last_end(get), Some(get.len()));
    }

    #[test]
    fn a_request_without_a_length_ends_with_its_head() {
        let get = b"GET / HTTP/1.1\r\nhost: b\r\n\r\n";
        let two = [&get[..], get].concat();
        assert_eq!(ends([&two[..]]), [get.len(), 2 * get.len()]);
        assert_eq!(ends(two.chunks(1)), [get.len(), 2 * get.len()]);
    }

    #[test]
    fn a_request_that_is_the_last_of_its_connection_has_no_end() {
        for field in [
            "Transfer-Encoding: chunked",
            "Connection: HTTP2-Settings, Upgrade",
            "content-length: -1",
            "content-length: 1, 1",
            "content-length: 99999999999999999999999",
        ] {
            let head = format!("POST / HTTP/1.1\r\n{field}\r\n\r\n");
            let bytes = [head.as_bytes(), b"GET / HTTP/1.1\r\n\r\n"].concat();
            assert_eq!(ends([&bytes[..]]), [0; 0], "{field}");
        }
    }
}
