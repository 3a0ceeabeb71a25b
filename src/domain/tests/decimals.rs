//! Amounts against an independent implementation of exact decimals.

use bigdecimal::{BigDecimal, Zero};
use icr_domain::decimal::{DecimalError, MAX_LENGTH, plain};
use proptest::prelude::*;
use std::str::FromStr;

/// Plain notation as `bigdecimal` writes it, with the length that it would have.
fn oracle(text: &str) -> String {
    let number = BigDecimal::from_str(text).unwrap();
    let written = number.to_plain_string();
    if number.is_zero() {
        // Its zero drops the places of a zero fraction; ours keeps them.
        let (_, exponent) = number.as_bigint_and_exponent();
        return match usize::try_from(exponent) {
            Ok(places) if places > 0 => format!("0.{}", "0".repeat(places)),
            _ => "0".to_owned(),
        };
    }
    written
}

proptest! {
    #[test]
    fn plain_notation_equals_the_oracles(text in "-?(0|[1-9][0-9]{0,40})(\\.[0-9]{1,40})?([eE][+-]?[0-9]{1,2})?") {
        let expected = oracle(&text);
        match plain(&text) {
            Ok(written) => prop_assert_eq!(written, expected),
            Err(error) => {
                prop_assert_eq!(error, DecimalError::OutOfRange);
                prop_assert!(expected.len() > MAX_LENGTH, "{} is {} long", expected, expected.len());
            }
        }
    }

    #[test]
    fn plain_notation_has_the_same_value_and_no_exponent(text in "-?(0|[1-9][0-9]{0,20})(\\.0{0,5}[0-9]{1,20})?([eE][+-]?0{0,3}[0-9]{1,2})?") {
        if let Ok(written) = plain(&text) {
            prop_assert_eq!(BigDecimal::from_str(&written).unwrap(), BigDecimal::from_str(&text).unwrap());
            prop_assert!(written.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.' || byte == b'-'));
            prop_assert_eq!(plain(&written), Ok(written.clone()));
        }
    }

    #[test]
    fn a_text_is_a_number_exactly_where_json_says_so(text in "[-+0-9.eE ]{0,8}") {
        let trimmed = text.trim() == text;
        let json = trimmed && serde_json::from_str::<serde::de::IgnoredAny>(&text).is_ok();
        prop_assert_eq!(plain(&text) != Err(DecimalError::NotANumber), json);
    }

    #[test]
    fn any_exponent_is_judged_at_once(digits in "[1-9][0-9]{0,3}", exponent in "[+-]?[0-9]{3,60}") {
        if let Ok(written) = plain(&format!("{digits}e{exponent}")) {
            prop_assert!(written.len() <= MAX_LENGTH);
        }
    }
}
