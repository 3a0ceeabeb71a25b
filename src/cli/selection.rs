//! The options that say which deliveries are meant: the same for every command that looks for some.

use crate::domain::delivery::Millis;
use crate::domain::outcome::Fate;
use crate::domain::selection::Selection;
use crate::ingest::wall_clock;
use clap::Args;
use clap::builder::{PossibleValuesParser, TypedValueParser};
use jiff::civil::Date;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use std::time::Duration;
use uuid::Uuid;

/// Criteria on the command line. Values of one option widen it, options narrow each other.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Which deliveries")]
pub(super) struct Criteria {
    /// With this id (`ce_id`; the id that the sender was told)
    #[arg(long = "id", value_name = "UUID", value_delimiter = ',')]
    ids: Vec<Uuid>,
    /// Accepted at or after this time: RFC 3339, a date (UTC), or an age such as 90m, 2h, 3d
    #[arg(long, value_name = "TIME", value_parser = point_in_time)]
    since: Option<Millis>,
    /// Accepted before this time, of the same form
    #[arg(long, value_name = "TIME", value_parser = point_in_time)]
    until: Option<Millis>,
    /// Of this event, such as organizationTransaction; also one that is not understood
    #[arg(long = "event", value_name = "NAME", value_delimiter = ',')]
    events: Vec<String>,
    /// Of the organization with this id
    #[arg(long = "organization", value_name = "ID", value_delimiter = ',')]
    organizations: Vec<String>,
    /// Taken by this app; /webhook is `default`
    #[arg(long = "app", value_name = "NAME", value_delimiter = ',')]
    apps: Vec<String>,
    /// With this outcome
    #[arg(long = "outcome", value_name = "OUTCOME", value_delimiter = ',', value_parser = fates())]
    fates: Vec<Fate>,
}

impl Criteria {
    /// What they mean; the problem in a sentence where they contradict each other.
    pub(super) fn selection(self) -> Result<Selection, String> {
        if let (Some(since), Some(until)) = (self.since, self.until)
            && since >= until
        {
            return Err("--since must be earlier than --until".to_owned());
        }
        Ok(Selection {
            ids: self.ids,
            since: self.since,
            until: self.until,
            events: self.events,
            organizations: self.organizations,
            apps: self.apps,
            fates: self.fates,
        })
    }
}

fn fates() -> impl TypedValueParser<Value = Fate> {
    let names = Fate::ALL.iter().map(|fate| fate.name());
    PossibleValuesParser::new(names)
        .try_map(|name| Fate::from_name(&name).ok_or("no outcome of this name"))
}

fn point_in_time(text: &str) -> Result<Millis, String> {
    read_time(text, wall_clock()).ok_or_else(|| {
        "expected a time such as 2026-11-26T08:00:00Z, a date such as 2026-11-26 (midnight UTC), or an age such as 90m, 2h or 3d"
            .to_owned()
    })
}

/// A length of time such as 30s or 5m.
pub(super) fn duration(text: &str) -> Result<Duration, String> {
    text.parse::<SignedDuration>()
        .ok()
        .and_then(|length| Duration::try_from(length).ok())
        .ok_or_else(|| "expected a time such as 30s, 5m or 1h 30m".to_owned())
}

fn read_time(text: &str, now: Millis) -> Option<Millis> {
    if let Ok(time) = text.parse::<Timestamp>() {
        return u64::try_from(time.as_millisecond()).ok().map(Millis);
    }
    if let Ok(date) = text.parse::<Date>() {
        let midnight = date.to_zoned(TimeZone::UTC).ok()?.timestamp();
        return u64::try_from(midnight.as_millisecond()).ok().map(Millis);
    }
    let age = match text.strip_suffix('d') {
        // Days are 24 hours here: an age is no calendar.
        Some(days) => {
            SignedDuration::from_hours(days.trim_end().parse::<u32>().ok()?.checked_mul(24)?.into())
        }
        None => text.parse::<SignedDuration>().ok()?,
    };
    let age = u64::try_from(age.as_millis()).ok()?;
    now.0.checked_sub(age).map(Millis)
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Millis = Millis(1_790_000_000_000);

    #[test]
    fn times_dates_and_ages_are_read() {
        let read = |text| read_time(text, NOW).map(|time| time.0);
        assert_eq!(read("1970-01-01T00:00:01Z"), Some(1000));
        assert_eq!(read("1970-01-01T01:00:00.5+01:00"), Some(500));
        assert_eq!(read("1970-01-02"), Some(86_400_000));
        for (age, seconds) in [
            ("90m", 5_400),
            ("2h", 7_200),
            ("3d", 259_200),
            ("1h 30m", 5_400),
            ("0s", 0),
        ] {
            assert_eq!(read(age), Some(NOW.0 - seconds * 1000), "{age}");
        }
    }

    #[test]
    fn what_is_neither_is_refused() {
        for wrong in [
            "",
            "yesterday",
            "-2h",
            "2",
            "1960-01-01",
            "99999999d",
            "2026-13-01",
        ] {
            assert_eq!(read_time(wrong, NOW), None, "{wrong}");
        }
    }
}
