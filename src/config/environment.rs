//! Reads the environment without stopping at the first problem.

use super::settings::{PREFIX, Raw, SETTINGS, Setting, setting};
use std::ffi::OsString;
use std::fmt::Display;
use std::ops::RangeInclusive;
use std::str::FromStr;

/// One thing that is wrong with the configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// The variable's full name.
    pub variable: String,
    /// What is wrong, and what it should be. Never a secret.
    pub message: String,
}

impl Display for Problem {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}: {}", self.variable, self.message)
    }
}

/// The variables of a process, and every problem met while reading them.
pub(super) struct Environment {
    raw: Raw,
    /// Problems so far, in the order of reading.
    pub(super) problems: Vec<Problem>,
    /// What can be used and was hardly meant so.
    pub(super) warnings: Vec<String>,
    /// Variables with our prefix that name no setting.
    pub(super) unknown: Vec<String>,
}

impl Environment {
    /// Takes the variables (as of `std::env::vars_os`); others than ours are ignored.
    pub(super) fn new(variables: impl IntoIterator<Item = (OsString, OsString)>) -> Self {
        let mut problems = Vec::new();
        let mut unknown = Vec::new();
        let mut ours = Vec::new();
        for (name, value) in variables {
            let Some(name) = name.to_str().filter(|name| name.starts_with(PREFIX)) else {
                continue;
            };
            if setting(&name[PREFIX.len()..]).is_none() {
                unknown.push(name.to_owned());
                continue;
            }
            match value.into_string() {
                Ok(value) => ours.push((name.to_owned(), value)),
                Err(_) => problems.push(Problem {
                    variable: name.to_owned(),
                    message: "is not UTF-8".to_owned(),
                }),
            }
        }
        unknown.sort();
        let raw = envy::prefixed(PREFIX)
            .from_iter(ours)
            .unwrap_or_else(|error| {
                problems.push(Problem {
                    variable: format!("{PREFIX}*"),
                    message: error.to_string(),
                });
                Raw::default()
            });
        Self {
            raw,
            problems,
            warnings: Vec::new(),
            unknown,
        }
    }

    /// What was typed, or the default; an empty value counts as unset.
    pub(super) fn text(&self, name: &'static str) -> Option<&str> {
        debug_assert!(setting(name).is_some(), "{name} stands in the table");
        self.raw
            .get(name)
            .filter(|value| !value.is_empty())
            .or_else(|| setting(name)?.default)
    }

    /// What was typed, an empty value included: for secrets, where empty is an error and not a default.
    pub(super) fn typed(&self, name: &'static str) -> Option<&str> {
        self.raw.get(name)
    }

    pub(super) fn is_set(&self, name: &'static str) -> bool {
        self.raw.get(name).is_some_and(|value| !value.is_empty())
    }

    /// Notes a problem with a variable.
    pub(super) fn problem(&mut self, name: &str, message: impl Into<String>) {
        self.problems.push(Problem {
            variable: format!("{PREFIX}{name}"),
            message: message.into(),
        });
    }

    /// Whether a problem with a variable was noted.
    pub(super) fn has_problem(&self, name: &str) -> bool {
        self.problems
            .iter()
            .any(|problem| problem.variable.strip_prefix(PREFIX) == Some(name))
    }

    /// Notes what can be used and was hardly meant so.
    pub(super) fn warn(&mut self, message: String) {
        self.warnings.push(message);
    }

    /// Names that are no setting may be why another is missing.
    pub(super) fn tell_misspelt(&mut self) {
        for name in std::mem::take(&mut self.unknown) {
            if let Some(nearest) = nearest(&name) {
                let message = format!("is no setting; did you mean {nearest}?");
                self.problems.push(Problem {
                    variable: name,
                    message,
                });
            }
        }
    }

    /// Parses a setting; on failure notes `expected` and falls back to the default (whose value then matters no more).
    pub(super) fn parse<T>(
        &mut self,
        name: &'static str,
        expected: &str,
        parse: impl Fn(&str) -> Option<T>,
    ) -> Option<T> {
        let text = self.text(name)?.to_owned();
        let value = parse(&text);
        if value.is_none() {
            self.problem(name, format!("`{text}` is not {expected}"));
            return setting(name)?.default.and_then(parse);
        }
        value
    }

    /// A whole number within `range`.
    pub(super) fn number<T>(&mut self, name: &'static str, range: RangeInclusive<T>) -> T
    where
        T: FromStr + PartialOrd + Display + Copy,
    {
        let expected = format!("a whole number from {} to {}", range.start(), range.end());
        self.parse(name, &expected, |text| {
            text.parse().ok().filter(|value| range.contains(value))
        })
        .unwrap_or(*range.start())
    }

    /// A size in bytes within `range`: `1048576`, `512KiB`, `64 MiB`, `10GiB`.
    pub(super) fn bytes(&mut self, name: &'static str, range: RangeInclusive<u64>) -> u64 {
        let expected = format!(
            "a size from {} to {}, such as 65536, 512KiB or 10GiB",
            size(*range.start()),
            size(*range.end())
        );
        self.parse(name, &expected, |text| {
            parse_size(text).filter(|value| range.contains(value))
        })
        .unwrap_or(*range.start())
    }

    /// `true` or `false`.
    pub(super) fn flag(&mut self, name: &'static str) -> bool {
        self.parse(name, "true or false", |text| text.parse().ok())
            .unwrap_or(false)
    }
}

/// A size with or without a binary unit.
pub(crate) fn parse_size(text: &str) -> Option<u64> {
    let digits = text
        .find(|c: char| !c.is_ascii_digit())
        .unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    let factor: u64 = match unit.trim() {
        "" | "B" => 1,
        "KiB" => 1 << 10,
        "MiB" => 1 << 20,
        "GiB" => 1 << 30,
        "TiB" => 1 << 40,
        _ => return None,
    };
    number.parse::<u64>().ok()?.checked_mul(factor)
}

/// A size as one would type it.
pub(super) fn size(bytes: u64) -> String {
    const UNITS: [(u64, &str); 4] = [
        (1 << 40, "TiB"),
        (1 << 30, "GiB"),
        (1 << 20, "MiB"),
        (1 << 10, "KiB"),
    ];
    UNITS
        .iter()
        .find(|(factor, _)| bytes >= *factor && bytes.is_multiple_of(*factor))
        .map_or_else(
            || bytes.to_string(),
            |(factor, unit)| format!("{}{unit}", bytes / factor),
        )
}

/// How alike two names must be for one to be a slip of the other (Jaro-Winkler, 0 to 1).
const ALIKE: f64 = 0.85;

/// Whether somebody typed only a part of a name.
fn is_part(whole: &str, part: &str) -> bool {
    part.len() >= 5 && whole.contains(part)
}

/// The variable that an operator probably meant, for a name that is none.
pub(super) fn nearest(unknown: &str) -> Option<String> {
    let name = unknown.strip_prefix(PREFIX)?.to_ascii_uppercase();
    let likeness = |setting: &Setting| strsim::jaro_winkler(setting.name, &name);
    SETTINGS
        .iter()
        .map(|setting| (likeness(setting), setting))
        .filter(|(likeness, setting)| *likeness >= ALIKE || is_part(setting.name, &name))
        .max_by(|(one, _), (other, _)| one.total_cmp(other))
        .map(|(_, setting)| format!("{PREFIX}{}", setting.name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_read_with_and_without_units() {
        assert_eq!(parse_size("512KiB"), Some(524_288));
        assert_eq!(parse_size("64 MiB"), Some(67_108_864));
        assert_eq!(parse_size("17"), Some(17));
        for wrong in ["", "KiB", "1.5GiB", "-1", "1kb", "99999999999TiB"] {
            assert_eq!(parse_size(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn sizes_are_shown_as_they_are_typed() {
        for text in ["512KiB", "64MiB", "10GiB", "17"] {
            assert_eq!(size(parse_size(text).unwrap()), text);
        }
    }

    #[test]
    fn a_misspelt_variable_is_answered_with_the_nearest() {
        for (typed, meant) in [
            ("KAFKA_BROKER", "KAFKA_BROKERS"),
            ("KAKFA_BROKERS", "KAFKA_BROKERS"),
            ("KAFKA_TOPICS", "KAFKA_TOPIC"),
            ("kafka_topic", "KAFKA_TOPIC"),
            ("WEBHOOK_SECRETS", "WEBHOOK_SECRET"),
            ("WEBHOOK_SECRET_FILES", "WEBHOOK_SECRET_FILE"),
            ("SECRET_FILES", "APP_SECRET_FILES"),
            ("BROKERS", "KAFKA_BROKERS"),
            ("RETENTION_HOURS", "JOURNAL_RETENTION_HOURS"),
            ("JOURNAL_DIRECTORY", "JOURNAL_DIR"),
            ("MAX_BODY_SIZE", "MAX_BODY_BYTES"),
            ("LOGFORMAT", "LOG_FORMAT"),
        ] {
            let answer = nearest(&format!("{PREFIX}{typed}"));
            assert_eq!(answer, Some(format!("{PREFIX}{meant}")), "{typed}");
        }
        for typed in ["XYZ", "", "DATABASE_URL"] {
            assert_eq!(nearest(&format!("{PREFIX}{typed}")), None, "{typed}");
        }
    }
}
