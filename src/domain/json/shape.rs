//! What a payload's syntax alone doesn't rule out: too many levels, and a key that stands twice.
//!
//! Parsers disagree about repeated keys (first wins, last wins, error), so a payload that has one has no single meaning.

use super::string::{comparable, string_end};
use super::{is_space, skip_space};
use std::borrow::Cow;

/// How many levels a payload may have; the root object is the first. ICR's own have five; consumers' parsers begin to give up
/// at about a hundred.
pub(crate) const MAX_LEVELS: usize = 64;

/// Up to this many keys are compared pair by pair, which is quicker than sorting them.
const FEW_KEYS: usize = 12;

/// What is wrong with a text's shape.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Flaw {
    /// More than [`MAX_LEVELS`] levels. Takes precedence over a repeated key.
    TooDeep,
    /// Two keys of one object decode to the same text.
    DuplicateKey,
}

/// Looks for flaws at every level of a text that is JSON, in one pass.
pub(crate) fn check_shape(text: &str) -> Result<(), Flaw> {
    let bytes = text.as_bytes();
    let mut keys: Vec<Cow<'_, [u8]>> = Vec::with_capacity(64);
    let mut levels: Vec<usize> = Vec::with_capacity(MAX_LEVELS);
    let mut repeated = false;
    let mut at = 0;
    while let Some(&byte) = bytes.get(at) {
        let start = at;
        at += 1;
        match byte {
            b'"' => {
                at = string_end(bytes, at);
                // Only a key is followed by a colon.
                if next_is_colon(bytes, at) {
                    keys.push(comparable(text.get(start..at).unwrap_or_default()));
                }
            }
            b'{' | b'[' => {
                if levels.len() == MAX_LEVELS {
                    return Err(Flaw::TooDeep);
                }
                levels.push(keys.len());
            }
            b'}' | b']' => {
                let first = levels.pop().unwrap_or_default();
                repeated |= has_repeats(keys.get_mut(first..).unwrap_or_default());
                keys.truncate(first);
            }
            _ => {}
        }
    }
    if repeated {
        Err(Flaw::DuplicateKey)
    } else {
        Ok(())
    }
}

fn next_is_colon(bytes: &[u8], at: usize) -> bool {
    match bytes.get(at) {
        Some(b':') => true,
        Some(&byte) if is_space(byte) => bytes.get(skip_space(bytes, at)) == Some(&b':'),
        _ => false,
    }
}

fn has_repeats(keys: &mut [Cow<'_, [u8]>]) -> bool {
    if keys.len() <= FEW_KEYS {
        let mut rest = &*keys;
        while let [first, others @ ..] = rest {
            if others.contains(first) {
                return true;
            }
            rest = others;
        }
        return false;
    }
    keys.sort_unstable();
    keys.windows(2)
        .any(|pair| matches!(pair, [one, other] if one == other))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn nested(levels: usize) -> String {
        format!("{}{}", "[".repeat(levels), "]".repeat(levels))
    }

    #[test]
    fn sixty_four_levels_pass_and_sixty_five_do_not() {
        assert_eq!(check_shape(&nested(64)), Ok(()));
        assert_eq!(check_shape(&nested(65)), Err(Flaw::TooDeep));
        assert_eq!(check_shape(&nested(100_000)), Err(Flaw::TooDeep));
    }

    #[test]
    fn brackets_in_strings_are_no_levels() {
        let text = format!("[\"{}\"]", "[{".repeat(1000));
        assert_eq!(check_shape(&text), Ok(()));
    }

    #[test]
    fn a_key_twice_is_found_at_any_level_and_in_any_spelling() {
        for text in [
            r#"{"a":1,"a":2}"#,
            r#"{"b":[{"c":{"a":1,"x":0,"\u0061":2}}]}"#,
            r#"{"a" :1, "a"	:2}"#,
            r#"{"\ud800":1,"\uD800":2}"#,
            r#"{"":1,"":2}"#,
        ] {
            assert_eq!(check_shape(text), Err(Flaw::DuplicateKey), "{text}");
        }
    }

    #[test]
    fn equal_keys_of_different_objects_and_equal_values_are_fine() {
        for text in [
            r#"{"a":{"a":{"a":1}},"b":{"a":1}}"#,
            r#"[{"a":1},{"a":1}]"#,
            r#"{"a":"x","b":"x","c":["x","x"],"x":"a"}"#,
            r#"{"\ud800":1,"\ud801":2}"#,
        ] {
            assert_eq!(check_shape(text), Ok(()), "{text}");
        }
    }

    #[test]
    fn many_keys_are_checked_as_well() {
        let keys = |n: usize| {
            (0..n)
                .map(|i| format!("\"k{i}\":{i}"))
                .collect::<Vec<_>>()
                .join(",")
        };
        assert_eq!(check_shape(&format!("{{{}}}", keys(50_000))), Ok(()));
        assert_eq!(
            check_shape(&format!("{{{},\"k7\":0}}", keys(50_000))),
            Err(Flaw::DuplicateKey)
        );
    }

    #[test]
    fn too_deep_outweighs_a_repeated_key() {
        let text = format!("{{\"a\":{{\"b\":1,\"b\":2}},\"c\":{}}}", nested(64));
        assert_eq!(check_shape(&text), Err(Flaw::TooDeep));
    }
}
