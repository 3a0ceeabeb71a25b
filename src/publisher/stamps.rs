//! With which timestamp a record goes to Kafka.
//!
//! A record is stamped with the time of its acceptance, and never with one in our future. Brokers refuse a timestamp for two reasons: it is
//! older than the topic takes (`message.timestamp.before.max.ms`, without limit by default), or in the broker's future
//! (`message.timestamp.after.max.ms`, an hour by default), which then means that our clock and the broker's differ. The code,
//! `INVALID_TIMESTAMP`, is the same for both, and neither is a record's fault: the acceptance stands in `ce_time`, which is always true.
//!
//! Guarantees: a refused timestamp never sets a record aside, and never stops the line while there is a timestamp that the broker takes. Old
//! records are suspected first: those of the topic that are older than half the age that was refused are stamped with the present. Where a
//! record with the present time is refused, the clocks differ: the present is taken to be earlier, by an hour, two, four and so on up to some
//! four years, then later, by half an hour, an hour, two and so on. What was found out is believed for ten minutes, since somebody may change the topic
//! or set the clock.
use crate::domain::delivery::Millis;
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

/// The first guess of how much our clock is ahead. Less is not refused, by default.
const FIRST: i64 = 3_600_000;
/// The number of guesses in each direction; the last is some four years.
const GUESSES: u32 = 16;
/// How long what was found out is believed.
const BELIEVED: Duration = Duration::from_secs(600);
/// A refused age below this means that all records of the topic are to be stamped with the present.
const YOUNG: u64 = 100;

/// What a refused timestamp has taught.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lesson {
    /// Records of the topic that are older than so many milliseconds are stamped with the present from now on.
    TooOld(u64),
    /// Our clock is taken to be ahead of the brokers' by so many milliseconds, or behind (negative).
    ClockAhead(i64),
    /// No guess has helped; the next begins from the front, after a pause.
    Nothing,
}

/// What is known of the brokers' limits and of our clock.
#[derive(Default)]
pub struct Stamps {
    /// Ages, in milliseconds, from which on the records of a topic are stamped with the present.
    present_from: BTreeMap<String, u64>,
    /// Which guess of the difference between the clocks is in use; 0 is none.
    guess: u32,
    since: Option<Instant>,
}

impl Stamps {
    /// The present, as the brokers are thought to see it.
    pub fn present(&mut self, now: Millis) -> Millis {
        if self.since.is_some_and(|since| since.elapsed() > BELIEVED) {
            *self = Self::default();
        }
        Millis(now.0.saturating_add_signed(-ahead(self.guess)))
    }

    /// The timestamp of a record that would have `wanted`.
    pub fn stamp(&mut self, topic: &str, wanted: Millis, now: Millis) -> Millis {
        let present = self.present(now);
        if self.present_from.is_empty() {
            return wanted.min(present);
        }
        let age = present.0.saturating_sub(wanted.0);
        match self.present_from.get(topic) {
            Some(&from) if age >= from => present,
            _ => wanted.min(present),
        }
    }

    /// A broker has refused this timestamp on this topic: the youngest, of several.
    pub fn refused(&mut self, topic: &str, stamp: Millis, now: Millis) -> Lesson {
        self.too_old(topic, stamp, now)
            .unwrap_or_else(|| self.refused_present())
    }

    /// This timestamp was refused as too old, if it was not the present.
    pub fn too_old(&mut self, topic: &str, stamp: Millis, now: Millis) -> Option<Lesson> {
        let age = self.present(now).0.saturating_sub(stamp.0);
        let known = self.present_from.get(topic).copied();
        if known == Some(0) {
            return None;
        }
        self.since = Some(Instant::now());
        let half = (age / 2).min(known.unwrap_or(u64::MAX) / 2);
        let from = if half < YOUNG { 0 } else { half };
        self.present_from.insert(topic.to_owned(), from);
        Some(Lesson::TooOld(from))
    }

    /// A broker has refused the present: the clocks differ.
    pub fn refused_present(&mut self) -> Lesson {
        self.since = Some(Instant::now());
        self.guess += 1;
        if self.guess > 2 * GUESSES {
            *self = Self::default();
            return Lesson::Nothing;
        }
        Lesson::ClockAhead(ahead(self.guess))
    }
}

/// By how many milliseconds our clock is ahead, by a guess.
fn ahead(guess: u32) -> i64 {
    match guess {
        0 => 0,
        earlier @ 1..=GUESSES => FIRST << (earlier - 1),
        later => -(FIRST << (later - GUESSES - 1)) / 2,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: u64 = 3_600_000;
    const NOW: Millis = Millis(1_000_000 * HOUR);

    /// Offers records of these ages until all are taken; their stamps, relative to the present, and how many offers it took.
    fn offer(ages: &[u64], taken: impl Fn(i64) -> bool) -> Option<(Vec<i64>, usize)> {
        let mut stamps = Stamps::default();
        for tries in 1..100 {
            let offered: Vec<_> = ages
                .iter()
                .map(|age| stamps.stamp("t", Millis(NOW.0 - age), NOW))
                .collect();
            let relative: Vec<_> = offered
                .iter()
                .map(|stamp| stamp.0.cast_signed() - NOW.0.cast_signed())
                .collect();
            let refused = relative.iter().zip(&offered).filter(|(it, _)| !taken(**it));
            let Some(youngest) = refused.map(|(_, stamp)| *stamp).max() else {
                return Some((relative, tries));
            };
            stamps.refused("t", youngest, NOW);
        }
        None
    }

    #[test]
    fn the_time_of_acceptance_is_the_stamp_and_never_one_in_the_future() {
        let mut stamps = Stamps::default();
        assert_eq!(stamps.stamp("t", Millis(5), Millis(9)), Millis(5));
        assert_eq!(stamps.stamp("t", Millis(9), Millis(5)), Millis(5));
    }

    #[test]
    fn what_is_too_old_is_stamped_with_the_present_and_what_is_not_keeps_its_time() {
        let limit = i64::try_from(HOUR).unwrap();
        let (stamps, tries) = offer(&[5 * HOUR, HOUR / 2, 20], |it| it >= -limit).unwrap();
        assert_eq!(stamps, [0, -(limit / 2), -20]);
        assert_eq!(tries, 2);
    }

    #[test]
    fn any_limit_is_met_however_small() {
        for limit in [1, 50, 1000, 60_000, 600_000, 5_000_000] {
            let ages = [48 * HOUR, HOUR, 90_000, 900, 30, 2];
            let (_, tries) = offer(&ages, |it| it >= -limit).unwrap();
            assert!(tries < 16, "{limit}: {tries}");
        }
    }

    #[test]
    fn a_clock_that_is_ahead_is_told_from_an_old_record() {
        for ahead in [2, 3, 30, 9000] {
            let latest = i64::try_from(HOUR).unwrap() * (1 - ahead);
            let (stamps, tries) = offer(&[0, 70_000], |it| it <= latest).unwrap();
            assert!(stamps.iter().all(|stamp| *stamp <= latest));
            assert!(tries < 30, "{ahead}: {tries}");
        }
    }

    #[test]
    fn a_clock_that_is_behind_a_limit_is_met_by_later_stamps() {
        let hour = i64::try_from(HOUR).unwrap();
        let behind = |it: i64| (2 * hour..=4 * hour).contains(&it);
        offer(&[0, 70_000], behind).unwrap();
    }

    #[test]
    fn another_topic_is_not_concerned() {
        let mut stamps = Stamps::default();
        let old = Millis(NOW.0 - HOUR);
        assert_eq!(stamps.refused("a", old, NOW), Lesson::TooOld(HOUR / 2));
        assert_eq!(stamps.stamp("a", old, NOW), NOW);
        assert_eq!(stamps.stamp("b", old, NOW), old);
    }

    #[test]
    fn what_may_have_been_too_old_says_nothing_of_the_clocks() {
        let mut stamps = Stamps::default();
        let old = Millis(NOW.0 - HOUR);
        assert_eq!(
            stamps.too_old("t", old, NOW),
            Some(Lesson::TooOld(HOUR / 2))
        );
        assert_eq!(stamps.too_old("t", NOW, NOW), Some(Lesson::TooOld(0)));
        assert_eq!(stamps.too_old("t", NOW, NOW), None);
        assert_eq!(stamps.present(NOW), NOW);
    }

    #[test]
    fn stamps_go_back_by_an_hour_and_then_twice_as_far_each_time_and_nothing_is_tried_for_ever() {
        let mut stamps = Stamps::default();
        let mut lessons = Vec::new();
        while lessons.last() != Some(&Lesson::Nothing) {
            let stamp = stamps.present(NOW);
            lessons.push(stamps.refused("t", stamp, NOW));
        }
        let hour = i64::try_from(HOUR).unwrap();
        assert_eq!(
            lessons[..5],
            [
                Lesson::TooOld(0),
                Lesson::ClockAhead(hour),
                Lesson::ClockAhead(2 * hour),
                Lesson::ClockAhead(4 * hour),
                Lesson::ClockAhead(8 * hour)
            ]
        );
        assert_eq!(lessons.len(), 34);
        assert_eq!(stamps.present(NOW), NOW);
    }
}
