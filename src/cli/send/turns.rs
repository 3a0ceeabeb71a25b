//! Whose turn it is: shares dealt out evenly and exactly, so that 5% of 1000 are 50 and not 50 on average.

use super::expect::Kind;
use super::options::{Shares, WHOLE};

/// Smooth weighted round robin: each kind gains its share a turn, the one that has most goes and pays a whole.
#[derive(Debug)]
pub(super) struct Turns {
    credits: [(Kind, i64, i64); 4],
}

impl Turns {
    pub(super) fn new(shares: &Shares) -> Self {
        let Shares {
            forge,
            repeat,
            garble,
        } = *shares;
        let genuine = WHOLE.saturating_sub(forge + repeat + garble);
        let credit = |kind, share: u32| (kind, i64::from(share), 0);
        Self {
            credits: [
                credit(Kind::Genuine, genuine),
                credit(Kind::Forged, forge),
                credit(Kind::Repeated, repeat),
                credit(Kind::Garbled, garble),
            ],
        }
    }

    /// The next kind. While there is nothing to repeat, repeats are owed, and a genuine one goes where no other has a share.
    pub(super) fn next(&mut self, can_repeat: bool) -> Kind {
        for (_, share, credit) in &mut self.credits {
            *credit += *share;
        }
        let able = |kind: Kind| kind != Kind::Repeated || can_repeat;
        let next = self
            .credits
            .iter_mut()
            .filter(|(kind, share, _)| able(*kind) && (*share > 0 || *kind == Kind::Genuine))
            .reduce(|most, other| if other.2 > most.2 { other } else { most });
        match next {
            Some((kind, _, credit)) => {
                *credit -= i64::from(WHOLE);
                *kind
            }
            None => Kind::Genuine,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn dealt(shares: [u32; 3], turns: usize, can_repeat: impl Fn(usize) -> bool) -> [usize; 4] {
        let [forge, repeat, garble] = shares.map(|percent| percent * WHOLE / 100);
        let mut all = Turns::new(&Shares {
            forge,
            repeat,
            garble,
        });
        let mut counts = [0; 4];
        for turn in 0..turns {
            counts[match all.next(can_repeat(turn)) {
                Kind::Genuine => 0,
                Kind::Forged => 1,
                Kind::Repeated => 2,
                _ => 3,
            }] += 1;
        }
        counts
    }

    #[test]
    fn shares_are_dealt_exactly() {
        assert_eq!(dealt([5, 2, 1], 1000, |_| true), [920, 50, 20, 10]);
        assert_eq!(dealt([0, 0, 0], 10, |_| true), [10, 0, 0, 0]);
        assert_eq!(dealt([100, 0, 0], 10, |_| true), [0, 10, 0, 0]);
        assert_eq!(dealt([50, 0, 50], 10, |_| true), [0, 5, 0, 5]);
    }

    #[test]
    fn repeats_that_could_not_be_are_made_up_for() {
        assert_eq!(dealt([0, 10, 0], 1000, |turn| turn > 500), [900, 0, 100, 0]);
        assert_eq!(dealt([0, 100, 0], 10, |turn| turn > 2), [3, 0, 7, 0]);
    }
}
