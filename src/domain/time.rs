//! Times as the contract has them: RFC 3339, and no more of it than every validator and every date-time type takes.
//!
//! `YYYY-MM-DDThh:mm:ss`, a fraction of one to nine digits if there is one, and `Z` or an offset `±hh:mm`: upper-case `T` and `Z`, days
//! that exist, no leap second, an offset of 14 hours at most, and a moment that lies in the years 1 to 9999 in UTC. RFC 3339 allows more:
//! lower-case letters and leap seconds, which Go, Java and .NET refuse or only some validators take; more than nine digits, which Java
//! refuses; and offsets that .NET refuses. A record with such a time could not be read into the types that are generated from its schema.

use jiff::SignedDuration;
use jiff::civil::{Date, DateTime, Time};

/// The most minutes that an offset may have: what XML Schema, .NET and SQL allow.
const MAX_OFFSET: i64 = 14 * 60;

/// Whether a text is a time that the contract allows.
pub(super) fn is_time(text: &str) -> bool {
    let parts = text.as_bytes().split_first_chunk::<19>();
    let parts = parts.and_then(|(moment, rest)| Some((moment_of(moment)?, offset(rest)?)));
    let Some((moment, offset)) = parts else {
        return false;
    };
    let in_utc = match offset {
        0 => Ok(moment),
        minutes => moment.checked_sub(SignedDuration::from_mins(minutes)),
    };
    // jiff knows no year after 9999, and others before 1.
    moment.year() >= 1 && in_utc.is_ok_and(|utc| utc.year() >= 1)
}

/// `YYYY-MM-DDThh:mm:ss`. The calendar is jiff's, which has no second 60.
fn moment_of(text: &[u8; 19]) -> Option<DateTime> {
    let separators = [(4, b'-'), (7, b'-'), (10, b'T'), (13, b':'), (16, b':')];
    if separators
        .iter()
        .any(|(at, byte)| text.get(*at) != Some(byte))
    {
        return None;
    }
    let pair = |at| pair(text, at);
    let year = i16::from(pair(0)?) * 100 + i16::from(pair(2)?);
    let date = Date::new(year, pair(5)?, pair(8)?).ok()?;
    let time = Time::new(pair(11)?, pair(14)?, pair(17)?, 0).ok()?;
    Some(date.to_datetime(time))
}

/// Minutes ahead of UTC, behind a fraction of the second if there is one.
fn offset(rest: &[u8]) -> Option<i64> {
    let zone = match rest {
        [b'.', fraction @ ..] => {
            let digits = fraction.iter().take_while(|byte| byte.is_ascii_digit());
            let digits = digits.count();
            fraction
                .get(digits..)
                .filter(|_| (1..=9).contains(&digits))?
        }
        zone => zone,
    };
    let sign = match zone {
        b"Z" => return Some(0),
        [b'+', _, _, b':', _, _] => 1,
        [b'-', _, _, b':', _, _] => -1,
        _ => return None,
    };
    let (hours, minutes) = (i64::from(pair(zone, 1)?), i64::from(pair(zone, 4)?));
    let total = hours * 60 + minutes;
    (minutes < 60 && total <= MAX_OFFSET).then_some(sign * total)
}

/// The number of the two digits at a place.
fn pair(text: &[u8], at: usize) -> Option<i8> {
    let digits = text.get(at..at + 2)?;
    let mut digits = digits
        .iter()
        .map(|byte| byte.wrapping_sub(b'0').cast_signed());
    let (tens, ones) = (digits.next()?, digits.next()?);
    let are_digits = (0..10).contains(&tens) && (0..10).contains(&ones);
    are_digits.then(|| tens * 10 + ones)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_every_reader_takes_is_a_time() {
        for text in [
            "2024-09-02T08:15:00.120Z",
            "2024-09-02T08:15:00Z",
            "2024-02-29T23:59:59.123456789Z",
            "2024-09-02T08:15:00.1+05:30",
            "2024-09-02T08:15:00-00:00",
            "2024-09-02T08:15:00+14:00",
            "2024-09-02T08:15:00-14:00",
            "0001-01-01T00:00:00Z",
            "0001-01-01T00:00:00-00:01",
            "9999-12-31T23:59:59.999999999Z",
        ] {
            assert!(is_time(text), "{text}");
        }
    }

    #[test]
    fn what_some_reader_refuses_is_none() {
        for text in [
            "",
            "yesterday",
            "1710414115",
            "2024-09-02",
            "2024-09-02T08:15:00",
            "2024-09-02T08:15Z",
            "2024-09-02 08:15:00Z",
            "2024-09-02t08:15:00Z",
            "2024-09-02T08:15:00z",
            " 2024-09-02T08:15:00Z",
            "2024-09-02T08:15:00Z ",
            "2024-09-02T08:15:00Z\n",
            "2024-13-02T08:15:00Z",
            "2024-00-02T08:15:00Z",
            "2024-09-31T08:15:00Z",
            "2023-02-29T08:15:00Z",
            "2024-09-02T24:00:00Z",
            "2024-09-02T08:60:00Z",
            "2016-12-31T23:59:60Z",
            "2024-09-02T08:15:60Z",
            "2024-09-02T08:15:61Z",
            "2024-09-02T08:15:00.Z",
            "2024-09-02T08:15:00,1Z",
            "2024-09-02T08:15:00.1234567890Z",
            "2024-09-02T08:15:00.12",
            "2024-09-02T08:15:00+05",
            "2024-09-02T08:15:00+0530",
            "2024-09-02T08:15:00+05:60",
            "2024-09-02T08:15:00+14:01",
            "2024-09-02T08:15:00+24:00",
            "2024-09-02T08:15:00\u{2212}01:00",
            "2024-09-02T08:15:00Z[UTC]",
            "20240902T081500Z",
            "+002024-09-02T08:15:00Z",
            "-2024-09-02T08:15:00Z",
            "0000-01-01T00:00:00Z",
            "0001-01-01T00:00:00+00:01",
            "0000-12-31T23:59:00-01:00",
            "9999-12-31T23:59:59-00:01",
            "２024-09-02T08:15:00Z",
        ] {
            assert!(!is_time(text), "{text}");
        }
    }
}
