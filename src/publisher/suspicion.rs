//! Which record makes a broker hang up.
//!
//! Some brokers do not refuse what they do not take: they end the connection (`socket.request.max.bytes` does, and so do proxies). librdkafka then sends
//! the same batch again, for ever. But connections end for many reasons, so an end says little about a record: brokers restart, and networks
//! drop what they like.
//!
//! Guarantees: a record is set aside for this only when the leader ended the connection [`TRIALS`] times while this record alone was under way, and
//! acknowledged another record between any two of these times and after the last. If a record that was suspected is acknowledged after all, connections end at random, and
//! every count starts anew. With connections that end with any probability *p*, a record is set aside wrongly with one of less than
//! (*p*(1−*p*))^TRIALS, at most 1 in 65,536 even at *p* = ½. Meanwhile others pass, but none with the same key on the same topic: order holds.
//!
//! Pure: the loop sends one record at a time while it searches, and says here what happened.
use super::verdict::FailureReason;
use crate::domain::reasons::QuarantineReason;
use crate::journal::Sequence;
use std::collections::BTreeMap;

/// How often the same record must end the connection.
pub const TRIALS: u32 = 8;

/// How many connections must have ended while batches were under way, without any progress, before a search begins.
pub const HANG_UPS: u64 = 4;

/// After so many records in a row, none of which was acknowledged, it is the broker and not the records.
const MOST_PASSED: usize = 64;

/// What trouble of this kind is counted as.
pub const REASON: FailureReason = FailureReason::RecordRefused;

/// A record that is under way, alone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Subject {
    /// The delivery.
    pub sequence: Sequence,
    /// Its topic.
    pub topic: String,
    /// Its key: those of the same key and topic must not overtake it.
    pub key: Option<Vec<u8>>,
    /// What it weighs.
    pub bytes: usize,
    /// Why it goes to quarantine, if it does.
    pub quarantined: Option<QuarantineReason>,
}

#[derive(Debug)]
struct Suspect {
    subject: Subject,
    broker: i32,
    /// How often it ended the connection, each time after another record was acknowledged.
    trials: u32,
    /// Whether another record was acknowledged by this broker since.
    witnessed: bool,
    /// It is not tried again before another one is acknowledged.
    passed: bool,
}

/// What an acknowledgement means.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Heard {
    /// These are found guilty.
    pub condemned: Vec<(Subject, QuarantineReason)>,
    /// Suspects are to be tried again: read on from the first that has no outcome.
    pub again: bool,
}

/// The search for records that make a broker hang up.
#[derive(Debug, Default)]
pub struct Suspicion {
    suspects: BTreeMap<Sequence, Suspect>,
    /// The largest record that was acknowledged meanwhile.
    largest: usize,
}

impl Suspicion {
    /// The broker ended the connection while this record alone was under way.
    pub fn hung_up(&mut self, subject: Subject, broker: i32) {
        let fresh = |subject| Suspect {
            subject,
            broker,
            trials: 0,
            witnessed: true,
            passed: true,
        };
        let sequence = subject.sequence;
        let suspect = self
            .suspects
            .entry(sequence)
            .or_insert_with(|| fresh(subject));
        if suspect.broker != broker {
            // Another leader: what the former did says nothing about this one.
            *suspect = fresh(suspect.subject.clone());
        }
        suspect.trials += u32::from(suspect.witnessed);
        suspect.witnessed = false;
        suspect.passed = true;
    }

    /// A broker has acknowledged a record that was under way alone.
    pub fn acknowledged(&mut self, sequence: Sequence, bytes: usize, broker: i32) -> Heard {
        self.largest = self.largest.max(bytes);
        if self.suspects.remove(&sequence).is_some() {
            for suspect in self.suspects.values_mut() {
                suspect.trials = 0;
            }
        }
        let mut heard = Heard::default();
        for suspect in self.suspects.values_mut() {
            if suspect.broker == broker {
                suspect.witnessed = true;
                heard.again |= suspect.passed;
                suspect.passed = false;
            }
        }
        let guilty = |_: &Sequence, suspect: &mut Suspect| {
            suspect.broker == broker && suspect.trials >= TRIALS
        };
        for (_, Suspect { subject, .. }) in self.suspects.extract_if(.., guilty) {
            let reason = match subject.bytes > self.largest {
                true => QuarantineReason::RecordTooLarge,
                false => QuarantineReason::RecordInvalid,
            };
            heard.condemned.push((subject, reason));
        }
        heard
    }

    /// Whether a record is to be passed over for now: it is suspected itself, or must not overtake a suspect.
    pub fn passes_over(&self, sequence: Sequence, topic: &str, key: Option<&[u8]>) -> bool {
        let mut passed = self.suspects.values().filter(|suspect| suspect.passed);
        passed.any(|suspect| {
            let subject = &suspect.subject;
            subject.sequence == sequence
                || (key.is_some() && subject.key.as_deref() == key && subject.topic == topic)
        })
    }

    /// Whether suspects are passed over at present.
    pub fn is_passing(&self) -> bool {
        self.suspects.values().any(|suspect| suspect.passed)
    }

    /// Whether it is of no use to try yet another record.
    pub fn is_hopeless(&self) -> bool {
        let passed = self.suspects.values().filter(|suspect| suspect.passed);
        passed.count() >= MOST_PASSED
    }

    /// There is no other record to try: what is suspected is tried again, which counts for nothing.
    pub fn try_again(&mut self) {
        for suspect in self.suspects.values_mut() {
            suspect.passed = false;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn subject(sequence: Sequence, bytes: usize) -> Subject {
        Subject {
            sequence,
            topic: "t".to_owned(),
            key: Some(vec![u8::try_from(sequence % 5).unwrap()]),
            bytes,
            quarantined: None,
        }
    }

    /// Sends records one at a time, as the loop does, to a broker that hangs up as `hangs_up` says; which are set aside, and what was
    /// acknowledged in which order.
    fn search(
        sizes: &[usize],
        mut hangs_up: impl FnMut(Sequence, usize) -> bool,
        rounds: usize,
    ) -> (Vec<Sequence>, Vec<Sequence>) {
        let mut suspicion = Suspicion::default();
        let (mut aside, mut taken) = (Vec::new(), Vec::new());
        for _ in 0..rounds {
            let next = sizes.iter().zip(1..).find(|(bytes, sequence)| {
                let it = subject(*sequence, **bytes);
                let done = aside.contains(sequence) || taken.contains(sequence);
                !done && !suspicion.passes_over(*sequence, "t", it.key.as_deref())
            });
            let Some((&bytes, sequence)) = next.filter(|_| !suspicion.is_hopeless()) else {
                suspicion.try_again();
                continue;
            };
            if hangs_up(sequence, bytes) {
                suspicion.hung_up(subject(sequence, bytes), 1);
                continue;
            }
            taken.push(sequence);
            let heard = suspicion.acknowledged(sequence, bytes, 1);
            aside.extend(heard.condemned.iter().map(|(subject, _)| subject.sequence));
        }
        (aside, taken)
    }

    #[test]
    fn a_record_that_is_too_large_for_the_broker_is_found_and_all_others_pass_before() {
        let mut sizes = vec![4000; 40];
        sizes[3] = 270_000;
        let (aside, taken) = search(&sizes, |_, bytes| bytes > 150_000, 1000);
        assert_eq!(aside, [4]);
        assert_eq!(taken.len(), 39);
    }

    #[test]
    fn several_of_them_in_a_row_are_found() {
        let mut sizes = vec![4000; 60];
        sizes[5..8].fill(270_000);
        sizes[20] = 200_000;
        let (mut aside, taken) = search(&sizes, |_, bytes| bytes > 150_000, 1000);
        aside.sort_unstable();
        assert_eq!(aside, [6, 7, 8, 21]);
        assert_eq!(taken.len(), 56);
    }

    #[test]
    fn without_others_there_is_no_verdict() {
        let (aside, _) = search(&[270_000], |_, _| true, 1000);
        assert!(aside.is_empty());
        let (aside, _) = search(&[4000; 50], |_, _| true, 1000);
        assert!(aside.is_empty(), "a broker that hangs up on everything");
    }

    #[test]
    fn another_leader_is_another_matter() {
        let mut suspicion = Suspicion::default();
        for trial in 0..4 * TRIALS {
            suspicion.hung_up(subject(1, 9000), (trial % 2).cast_signed());
            let heard = suspicion.acknowledged(2 + u64::from(trial), 10, (trial % 2).cast_signed());
            assert!(heard.condemned.is_empty());
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(24))]

        /// Connections that end at random set nothing aside, however often they do; and no key is overtaken.
        #[test]
        fn random_ends_set_nothing_aside(seed in any::<u64>(), percent in 5_u64..70) {
            let mut state = seed;
            let mut random = move || {
                state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                (state >> 33) % 100
            };
            let sizes: Vec<usize> = (0..30).map(|n| 1000 + n * 37 % 500).collect();
            let (aside, taken) = search(&sizes, |_, _| random() < percent, 3000);
            prop_assert_eq!(aside, Vec::<Sequence>::new());
            for key in 0..5 {
                let of_key: Vec<_> = taken.iter().filter(|it| **it % 5 == key).collect();
                prop_assert!(of_key.is_sorted());
            }
        }
    }
}
