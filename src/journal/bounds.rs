//! How far a number that was read from the disk is believed.
//!
//! Names and numbers decide where the journal goes on, so each of them is a claim that has to be proven, and in bounds even then: what is
//! computed from it never overflows, nothing of that size is allocated, and numbering never comes near a place beyond which the next start
//! would not recognize what was stored. A name counts only in the one form in which the journal writes it.
//!
//! What is out of bounds is treated as what it must be: a name that the journal never gave, a slot, trailer or frame that is damaged.
use super::Sequence;

/// The highest sequence that a segment may hold or be named by. At a million records a second it is reached after 146,000 years.
pub(super) const HIGHEST: Sequence = 1 << 62;

/// What the cursor, or a held copy, may say at the most: half of that, so that numbering may go on behind any claim. Sums of several such
/// numbers do not overflow.
pub(super) const CLAIMED: u64 = 1 << 61;

/// What the mere name of a file may say that nothing else confirms: at a million records a second, 9 years.
pub(super) const NAMED: Sequence = 1 << 48;

/// The sequence in a name of 20 digits.
pub(super) fn sequence(digits: &str) -> Option<Sequence> {
    let canonical = digits.len() == 20 && digits.bytes().all(|byte| byte.is_ascii_digit());
    let sequence = digits.parse().ok().filter(|_| canonical);
    sequence.filter(|sequence| (1..=HIGHEST).contains(sequence))
}

/// Whether a name is a number of 20 digits, whatever it says.
pub(super) fn is_numbered(digits: &str) -> bool {
    digits.len() == 20 && digits.bytes().all(|byte| byte.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_counts_in_one_form_and_within_bounds_only() {
        assert_eq!(sequence("00000000000000000017"), Some(17));
        assert_eq!(sequence("04611686018427387904"), Some(HIGHEST));
        for other in [
            "17",
            "+0000000000000000017",
            "00000000000000000017 ",
            " 0000000000000000017",
            "0000000000000000017",
            "00000000000000000000",
            "04611686018427387905",
            "10000000000000000000",
            "18446744073709551615",
            "99999999999999999999",
            "０0000000000000000017",
        ] {
            assert_eq!(sequence(other), None, "{other}");
        }
    }
}
