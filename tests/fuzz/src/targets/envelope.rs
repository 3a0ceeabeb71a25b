//! A body's envelope: the one string `signedData`, or the right reason.

use crate::domain::envelope::Envelope;
use crate::domain::glance::glance;
use crate::domain::reasons::Rejection;
use crate::json;
use std::ops::Range;

pub fn check(body: &[u8]) {
    let found = Envelope::parse(body);
    let told = found
        .as_ref()
        .map(|envelope| (envelope.signed_data().to_owned(), envelope.token()));
    assert_eq!(told.map_err(|reason| *reason), expected(body));
    let Ok(envelope) = found else { return };
    let restored = Envelope::restore(body, envelope.token()).unwrap();
    assert_eq!(restored.signed_data(), envelope.signed_data());
    assert_eq!(restored.token(), envelope.token());
    // Ingress looks at every proven delivery; whatever it sees, it must not fail.
    let seen = glance(&envelope);
    assert_eq!(seen, glance(&envelope));
}

fn expected(body: &[u8]) -> Result<(String, Range<usize>), Rejection> {
    let text = std::str::from_utf8(body).map_err(|_| Rejection::BodyNotJson)?;
    // A byte order mark before the body is ignored.
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let begin = body.len() - text.len();
    let root = json::parse(text).ok_or(Rejection::BodyNotJson)?;
    let members = root.members().ok_or(Rejection::BodyNotObject)?;
    let found: Vec<_> = members
        .iter()
        .filter(|(key, _)| key.says("signedData"))
        .map(|(_, value)| value)
        .collect();
    match found[..] {
        [] => Err(Rejection::SignedDataMissing),
        [value] => match value.text() {
            Some(text) => Ok((text, begin + value.range().start..begin + value.range().end)),
            None => Err(Rejection::SignedDataNotString),
        },
        _ => Err(Rejection::DuplicateKey),
    }
}
