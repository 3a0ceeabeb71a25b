//! What faults have in common: a bridge to break, load, and a judge.
#![allow(dead_code, reason = "offered to faults that are yet to be written")]

pub mod away;
pub mod client;
pub mod codes;
pub mod damage;
pub mod greedy;
pub mod judge;
pub mod limits;
pub mod load;
pub mod proxy;
pub mod shim;
pub mod stage;
pub mod table;
pub mod volume;

use icr_bridge::load::NoAnswer;
use stage::Stage;

/// One way to break the bridge.
pub struct Fault {
    /// What it is called on the command line, in the table and in the README's failure table: `[a-z0-9-]+`.
    pub name: &'static str,
    /// What happens, in one line.
    pub title: &'static str,
    /// Which deliveries may go without a 202.
    pub excuse: Excuse,
    /// The story: breaks the bridge under load, and mends what it broke. What it leaves is settled, judged and printed by the harness.
    pub run: fn(&mut Stage),
}

/// Why deliveries may go without a 202. Anything else that is not 202 is a violation.
#[derive(Debug, Clone, Copy)]
pub enum Excuse {
    /// None may.
    Nothing,
    /// Those without an answer: no process was there.
    NoProcess(&'static str),
    /// Those whose connection was refused: no process listened.
    NobodyListens(&'static str),
    /// Those answered 503 with one of these reasons.
    Refusals(&'static [&'static str], &'static str),
    /// Those answered 403 as unproven, if they are on their topic all the same in the end.
    Unproven(&'static str),
}

impl Excuse {
    /// What the table says.
    pub fn why(&self) -> Option<&'static str> {
        match self {
            Self::Nothing => None,
            Self::NoProcess(why)
            | Self::NobodyListens(why)
            | Self::Refusals(_, why)
            | Self::Unproven(why) => Some(why),
        }
    }

    /// Whether it covers a delivery's fate.
    pub fn covers(&self, fate: &load::Fate) -> bool {
        use load::Fate;
        match (self, fate) {
            (_, Fate::Accepted(_)) => true,
            (Self::NoProcess(_), Fate::NoAnswer(why)) => {
                matches!(why, NoAnswer::Refused | NoAnswer::Reset | NoAnswer::Closed)
            }
            (Self::NobodyListens(_), Fate::NoAnswer(why)) => *why == NoAnswer::Refused,
            (Self::Refusals(reasons, _), Fate::Status(503, reason)) => {
                reasons.contains(&reason.as_str())
            }
            (Self::Unproven(_), Fate::Status(403, reason)) => reason == "signature_wrong",
            _ => false,
        }
    }
}
