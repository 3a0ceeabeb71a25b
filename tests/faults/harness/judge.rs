//! The judge: reads the topics back with a consumer of its own, and compares them with what the sender was told.

use super::load::{Deliveries, Fate, Sent};
use crate::support::kafka::{OwnedRecord, RealKafka};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use std::collections::hash_map::Entry;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::hash::{DefaultHasher, Hash, Hasher};
use uuid::Uuid;

/// What the topics say about the promise.
#[derive(Debug, Clone, Default)]
pub struct Verdict {
    /// Distinct deliveries on the topic, and on the quarantine topic.
    pub published: u64,
    pub quarantined: u64,
    /// Records that repeat an earlier one.
    pub duplicated: u64,
    /// Answered 202, and nowhere.
    pub lost: Vec<Uuid>,
    /// Answered 202, and nowhere, because the fault itself destroyed them.
    pub taken: u64,
    /// First occurrences that stand behind a later one of their key.
    pub out_of_order: u64,
    /// The numbers of all that are on one of the topics.
    pub numbers: HashSet<u64>,
    /// Whatever else is not as it must be.
    pub problems: Vec<String>,
}

/// Judges. `earlier` are records of topics that are no more; `taken` are the deliveries that the fault itself destroyed on disk: they need not
/// be anywhere; `forbidden` are the numbers of those that must be nowhere.
pub fn judge(
    kafka: &RealKafka,
    (topic, quarantine): (&str, &str),
    earlier: &[OwnedRecord],
    deliveries: &Deliveries,
    sent: &[Sent],
    taken: &HashSet<Uuid>,
    forbidden: &HashSet<u64>,
) -> Verdict {
    let mut reading = Reading {
        quarantine,
        deliveries,
        seen: HashMap::new(),
        last: HashMap::new(),
        verdict: Verdict::default(),
    };
    earlier.iter().for_each(|record| reading.take(record));
    kafka.each_now(&[topic, quarantine], |record| reading.take(&record));
    let Reading {
        seen, mut verdict, ..
    } = reading;
    compare(&seen, deliveries, sent, taken, &mut verdict);
    acceptance_order(&seen, sent, &mut verdict);
    verdict.numbers = seen.values().filter_map(|first| first.number).collect();
    for number in seen.values().filter_map(|first| first.number) {
        if forbidden.contains(&number) {
            verdict
                .problems
                .push(format!("delivery {number} was taken, and must not be"));
        }
    }
    verdict
}

/// A record's first occurrence.
struct First {
    sequence: u64,
    /// The number of the delivery, where the record says.
    number: Option<u64>,
    quarantined: bool,
    /// Of key, headers and value.
    content: u64,
}

struct Reading<'a> {
    quarantine: &'a str,
    deliveries: &'a Deliveries,
    seen: HashMap<Uuid, First>,
    /// The last sequence of each key, by first occurrences.
    last: HashMap<Vec<u8>, u64>,
    verdict: Verdict,
}

impl Reading<'_> {
    fn take(&mut self, record: &OwnedRecord) {
        let id = record.header("ce_id").and_then(|id| id.parse().ok());
        let sequence = record
            .header("ce_journalsequence")
            .and_then(|it| it.parse().ok());
        let (Some(id), Some(sequence)) = (id, sequence) else {
            let place = (record.topic.as_str(), record.partition, record.offset);
            return self.problem(format!("a record without id or sequence at {place:?}"));
        };
        let quarantined = record.topic == self.quarantine;
        let first = First {
            sequence,
            number: self.number(record),
            quarantined,
            content: content(record),
        };
        match self.seen.entry(id) {
            Entry::Occupied(known) => {
                self.verdict.duplicated += 1;
                if known.get().content != first.content {
                    self.problem(format!("{id} stands there twice, with different contents"));
                }
                return;
            }
            Entry::Vacant(place) => place.insert(first),
        };
        let count = match quarantined {
            true => &mut self.verdict.quarantined,
            false => &mut self.verdict.published,
        };
        *count += 1;
        // Quarantined ones have no key, and so no order.
        if let Some(key) = &record.key {
            let last = self.last.entry(key.clone()).or_default();
            if sequence < *last {
                self.verdict.out_of_order += 1;
            }
            *last = sequence.max(*last);
        }
    }

    fn number(&self, record: &OwnedRecord) -> Option<u64> {
        let value: serde_json::Value = serde_json::from_slice(record.value.as_deref()?).ok()?;
        if let Some(state) = value.get("state") {
            return self.deliveries.number(state.as_str()?);
        }
        // In quarantine stands the whole body.
        let payload = STANDARD.decode(value.get("signedData")?.as_str()?).ok()?;
        self.deliveries.number_of(&payload)
    }

    fn problem(&mut self, problem: String) {
        if self.verdict.problems.len() < 10 {
            self.verdict.problems.push(problem);
        }
    }
}

/// Every 202 is there, once, with its own contents, on the topic where it belongs.
fn compare(
    seen: &HashMap<Uuid, First>,
    deliveries: &Deliveries,
    sent: &[Sent],
    taken: &HashSet<Uuid>,
    verdict: &mut Verdict,
) {
    let mut answered = HashMap::new();
    let mut problems = Vec::new();
    for delivery in sent {
        let id = match delivery.fate {
            Fate::Accepted(id) => id,
            Fate::Duplicate(id) => {
                problems.push(format!(
                    "delivery {} was taken for a repeat of {id}",
                    delivery.number
                ));
                continue;
            }
            _ => continue,
        };
        if let Some(other) = answered.insert(id, delivery.number) {
            problems.push(format!(
                "the deliveries {other} and {} got the same id {id}",
                delivery.number
            ));
        }
        let Some(first) = seen.get(&id) else {
            match taken.contains(&id) {
                true => verdict.taken += 1,
                false => verdict.lost.push(id),
            }
            continue;
        };
        let belongs = deliveries.is_for_quarantine(delivery.number);
        if first.quarantined != belongs {
            problems.push(format!("{id} is on the wrong topic"));
        } else if first.number != Some(delivery.number) {
            problems.push(format!(
                "{id} was given to delivery {} and carries {:?}",
                delivery.number, first.number
            ));
        }
    }
    let mut sequences: BTreeMap<u64, Uuid> = BTreeMap::new();
    for (id, first) in seen {
        if let Some(other) = sequences.insert(first.sequence, *id) {
            problems.push(format!("{id} and {other} have the same sequence"));
        }
    }
    // Ids are in the order of acceptance.
    let ids: Vec<_> = sequences.values().collect();
    let turned = ids.windows(2).filter(|pair| pair[0] >= pair[1]).count();
    if turned > 0 {
        problems.push(format!("{turned} ids are not in the order of sequences"));
    }
    problems.truncate(10);
    verdict.problems.extend(problems);
}

/// A delivery that was sent after another had been answered has the later sequence: known from the sender's side alone.
fn acceptance_order(seen: &HashMap<Uuid, First>, sent: &[Sent], verdict: &mut Verdict) {
    let stored = sent.iter().filter_map(|delivery| match delivery.fate {
        Fate::Accepted(id) => Some((delivery, seen.get(&id)?.sequence)),
        _ => None,
    });
    let mut by_sending: Vec<_> = stored.collect();
    let mut by_answer = by_sending.clone();
    by_sending.sort_by_key(|(delivery, _)| delivery.sent);
    by_answer.sort_by_key(|(delivery, _)| delivery.answered);
    let mut answers = by_answer.into_iter().peekable();
    let (mut last, mut turned) = (0, 0);
    for (delivery, sequence) in by_sending {
        while let Some((_, earlier)) =
            answers.next_if(|(earlier, _)| earlier.answered < delivery.sent)
        {
            last = last.max(earlier);
        }
        turned += u64::from(sequence < last);
    }
    if turned > 0 {
        verdict.problems.push(format!(
            "{turned} deliveries have an earlier sequence than one answered before they were sent"
        ));
    }
}

fn content(record: &OwnedRecord) -> u64 {
    let mut hasher = DefaultHasher::new();
    (&record.topic, &record.key, &record.headers, &record.value).hash(&mut hasher);
    hasher.finish()
}
