//! Amounts in plain notation, against `bigdecimal` and the grammar of JSON.

use crate::domain::decimal::{DecimalError, MAX_LENGTH, plain};
use crate::json;
use bigdecimal::{BigDecimal, Zero};
use std::str::FromStr;

/// Exponents beyond this are out of every range, or those of a zero, and would take `bigdecimal` too long.
const MODEST: i64 = 5_000;

pub fn check(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else {
        return;
    };
    let written = plain(text);
    assert_eq!(
        written != Err(DecimalError::NotANumber),
        json::is_number(text)
    );
    if let Ok(written) = &written {
        assert!(written.len() <= MAX_LENGTH);
        assert!(
            json::is_number(written) && !written.contains(['e', 'E', '+']),
            "{written}"
        );
        assert_eq!(
            plain(written).as_ref(),
            Ok(written),
            "it is its own plain notation"
        );
    }
    if json::is_number(text) && exponent(text).is_some_and(|exponent| exponent.abs() <= MODEST) {
        let expected = expected(text);
        match written {
            Ok(written) => assert_eq!(written, expected),
            Err(_) => assert!(expected.len() > MAX_LENGTH, "{expected}"),
        }
    }
}

fn exponent(text: &str) -> Option<i64> {
    match text.split_once(['e', 'E']) {
        Some((_, exponent)) => exponent.parse().ok(),
        None => Some(0),
    }
}

fn expected(text: &str) -> String {
    let number = BigDecimal::from_str(text).unwrap();
    if !number.is_zero() {
        return number.to_plain_string();
    }
    // `bigdecimal` drops the places of a zero; a zero keeps them here, as every number does.
    let (_, places) = number.as_bigint_and_exponent();
    match usize::try_from(places) {
        Ok(places) if places > 0 => format!("0.{}", "0".repeat(places)),
        _ => "0".to_owned(),
    }
}
