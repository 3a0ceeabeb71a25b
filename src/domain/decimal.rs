//! Exact decimals in plain notation.
//!
//! Credits are divisible to 10⁻¹⁸ on chain, so an amount never becomes a binary float: its digits are moved, not computed.
//! Trailing zeros stay (`1.50`), an exponent is resolved (`1e-7` is `0.0000001`, `1.5e1` is `15`), the sign of zero goes
//! (`-0` is `0`). The length of the result is known before a single zero is written, so `1e400000000` costs nothing.

/// The most characters, sign and point included, that an amount may take in plain notation.
pub const MAX_LENGTH: usize = 100;

/// Why a text has no plain notation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum DecimalError {
    /// It doesn't match the grammar of a JSON number (RFC 8259, section 6).
    #[error("it is not a JSON number")]
    NotANumber,
    /// Its plain notation is longer than [`MAX_LENGTH`].
    #[error("its plain notation is longer than 100 characters")]
    OutOfRange,
}

/// Writes the JSON number `text` in plain notation, exactly.
///
/// # Errors
/// It is no JSON number, or longer than [`MAX_LENGTH`] characters in plain notation.
pub fn plain(text: &str) -> Result<String, DecimalError> {
    let number = Number::parse(text).ok_or(DecimalError::NotANumber)?;
    number.plain().ok_or(DecimalError::OutOfRange)
}

/// A JSON number taken apart.
struct Number<'a> {
    negative: bool,
    whole: &'a str,
    fraction: &'a str,
    exponent: i64,
}

impl<'a> Number<'a> {
    fn parse(text: &'a str) -> Option<Self> {
        let (negative, rest) = match text.strip_prefix('-') {
            Some(rest) => (true, rest),
            None => (false, text),
        };
        let (whole, rest) = split_digits(rest);
        if whole.is_empty() || (whole.len() > 1 && whole.starts_with('0')) {
            return None;
        }
        let (fraction, rest) = match rest.strip_prefix('.').map(split_digits) {
            Some(("", _)) => return None,
            Some(parts) => parts,
            None => ("", rest),
        };
        let exponent = match rest.strip_prefix(['e', 'E']) {
            Some(rest) => parse_exponent(rest)?,
            None if rest.is_empty() => 0,
            None => return None,
        };
        Some(Self {
            negative,
            whole,
            fraction,
            exponent,
        })
    }

    fn plain(&self) -> Option<String> {
        let digits = || self.whole.bytes().chain(self.fraction.bytes());
        let total = self.whole.len() + self.fraction.len();
        let leading_zeros = digits().take_while(|&digit| digit == b'0').count();
        let significant = total - leading_zeros;

        // The number is `significant digits × 10^-scale`.
        let scale = i64::try_from(self.fraction.len())
            .unwrap_or(i64::MAX)
            .saturating_sub(self.exponent);
        let zero = significant == 0;
        let trailing_zeros = if zero {
            0
        } else {
            to_usize(scale.saturating_neg())?
        };
        let places = to_usize(scale)?;
        let whole_digits = (significant + trailing_zeros).saturating_sub(places).max(1);
        let sign = usize::from(self.negative && !zero);
        let point = usize::from(places > 0);
        let length = sign + whole_digits + point + places;
        if length > MAX_LENGTH {
            return None;
        }

        let mut out = String::with_capacity(length);
        if sign == 1 {
            out.push('-');
        }
        let padding = (whole_digits + places).saturating_sub(significant + trailing_zeros);
        let all = std::iter::repeat_n(b'0', padding)
            .chain(digits().skip(leading_zeros))
            .chain(std::iter::repeat_n(b'0', trailing_zeros));
        for (index, digit) in all.enumerate() {
            if index == whole_digits {
                out.push('.');
            }
            out.push(char::from(digit));
        }
        Some(out)
    }
}

/// 0 for a negative number; `None` for one that is far beyond any length that is allowed.
fn to_usize(number: i64) -> Option<usize> {
    let clamped = number.max(0);
    usize::try_from(clamped).ok().filter(|&n| n <= MAX_LENGTH)
}

fn split_digits(text: &str) -> (&str, &str) {
    let end = text.bytes().position(|byte| !byte.is_ascii_digit());
    text.split_at(end.unwrap_or(text.len()))
}

/// Saturates: beyond 10¹⁸ only the direction matters, as no text is long enough to make up for it.
fn parse_exponent(text: &str) -> Option<i64> {
    let (sign, digits) = match text.as_bytes().first() {
        Some(b'-') => (-1, text.get(1..)?),
        Some(b'+') => (1, text.get(1..)?),
        _ => (1, text),
    };
    if digits.is_empty() {
        return None;
    }
    let mut magnitude = 0i64;
    for digit in digits.bytes() {
        if !digit.is_ascii_digit() {
            return None;
        }
        magnitude = magnitude
            .saturating_mul(10)
            .saturating_add(i64::from(digit - b'0'));
    }
    Some(sign * magnitude)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ok(text: &str) -> String {
        plain(text).unwrap()
    }

    #[test]
    fn plain_notation_is_exact_and_keeps_trailing_zeros() {
        for (text, expected) in [
            ("0", "0"),
            ("1", "1"),
            ("1.50", "1.50"),
            ("-1.50", "-1.50"),
            ("1e-7", "0.0000001"),
            ("1E-7", "0.0000001"),
            ("1.5e1", "15"),
            ("1.50e1", "15.0"),
            ("1.5e0", "1.5"),
            ("15e-1", "1.5"),
            ("100e-2", "1.00"),
            ("1e+21", "1000000000000000000000"),
            ("0.001e3", "1"),
            ("0.0010e2", "0.10"),
            ("12.34e1", "123.4"),
            (
                "9007199254740993.000000000000000001",
                "9007199254740993.000000000000000001",
            ),
        ] {
            assert_eq!(ok(text), expected, "{text}");
        }
    }

    #[test]
    fn zero_has_no_sign() {
        for (text, expected) in [
            ("-0", "0"),
            ("-0.0", "0.0"),
            ("-0.00e1", "0.0"),
            ("0e5", "0"),
            ("-0e-3", "0.000"),
            ("0e400000000", "0"),
        ] {
            assert_eq!(ok(text), expected, "{text}");
        }
    }

    #[test]
    fn what_is_no_json_number_is_refused() {
        for text in [
            "", "-", "+1", "01", "-01", ".5", "1.", "1.e1", "1e", "1e+", "1e-", "1e1.5", " 1",
            "1 ", "0x1", "1_0", "NaN", "Infinity", "1,5", "--1", "1e--1", "١",
        ] {
            assert_eq!(plain(text), Err(DecimalError::NotANumber), "{text}");
        }
    }

    #[test]
    fn a_hundred_characters_pass_and_more_do_not() {
        let hundred = "1".repeat(100);
        assert_eq!(ok(&hundred), hundred);
        assert_eq!(ok("1e99").len(), 100);
        assert_eq!(ok("1e-98").len(), 100);
        assert_eq!(ok("-1e98").len(), 100);
        for text in [
            "1e100",
            "1e-99",
            "-1e99",
            "-1e-98",
            &"1".repeat(101),
            &format!("1.{}", "0".repeat(99)),
        ] {
            assert_eq!(plain(text), Err(DecimalError::OutOfRange), "{text}");
        }
    }

    #[test]
    fn an_absurd_exponent_is_refused_before_anything_is_expanded() {
        for text in [
            "1e400000000",
            "1e-1000000",
            "-1e99999999999999999999999999",
            "1e-99999999999999999999999999",
            "0e-99999999999999999999999999",
        ] {
            assert_eq!(plain(text), Err(DecimalError::OutOfRange), "{text}");
        }
        assert_eq!(ok("1e-00000000000000000000000000002"), "0.01");
    }

    #[test]
    fn a_long_spelling_of_a_short_number_is_no_trouble() {
        let text = format!("0.{}1e1000001", "0".repeat(1_000_000));
        assert_eq!(ok(&text), "1");
    }
}
