//! Fraud: large amounts, compromised terminals, leaked cards.

use rand::RngExt;
use rand_chacha::ChaCha8Rng;

/// The handbook's three scenarios. Where several hold, the last one is the label, as there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Pattern {
    /// Scenario 1: more than 220. Not random, to check that a detector works at all.
    LargeAmount,
    /// Scenario 2: every payment at a terminal for 28 days. Nothing in the payment is odd.
    CompromisedTerminal,
    /// Scenario 3: for 14 days, a third of a card's payments are online with five times the amount.
    LeakedCard,
}

impl Pattern {
    pub const ALL: [Self; 3] = [
        Self::LargeAmount,
        Self::CompromisedTerminal,
        Self::LeakedCard,
    ];

    pub fn name(self) -> &'static str {
        match self {
            Self::LargeAmount => "large amount",
            Self::CompromisedTerminal => "compromised terminal",
            Self::LeakedCard => "leaked card",
        }
    }
}

/// Above this an amount is fraud: 220.00.
pub(super) const LARGE_CENTS: i64 = 22_000;
/// What a misused card pays, as a multiple of its owner's amounts.
pub(super) const LEAKED_FACTOR: i64 = 5;
/// Share of a leaked card's payments that are the thief's.
pub(super) const LEAKED_SHARE: f64 = 1.0 / 3.0;

/// Two of 10000 terminals are compromised each day, for 28 days.
const TERMINALS: (f64, u32) = (2.0 / 10_000.0, 28);
/// Three of 5000 cards leak each day, for 14 days.
const CARDS: (f64, u32) = (3.0 / 5_000.0, 14);

/// Members of a population that fall ill at a steady rate and recover after some days.
#[derive(Debug, Clone)]
pub(super) struct Affected {
    per_day: f64,
    lasts: u32,
    /// New cases due so far, less those that happened.
    owed: f64,
    /// First day on which the member is well again.
    well_on: Vec<u32>,
}

impl Affected {
    pub(super) fn terminals(count: u32, scale: f64) -> Self {
        Self::new(count, scale, TERMINALS)
    }

    pub(super) fn cards(count: u32, scale: f64) -> Self {
        Self::new(count, scale, CARDS)
    }

    fn new(count: u32, scale: f64, (share_per_day, lasts): (f64, u32)) -> Self {
        Self {
            per_day: f64::from(count) * share_per_day * scale,
            lasts,
            owed: 0.0,
            well_on: vec![0; count as usize],
        }
    }

    /// New cases of `day`, which is the day after the one of the last call.
    pub(super) fn begin_day(&mut self, day: u32, rng: &mut ChaCha8Rng) {
        self.owed += self.per_day;
        while self.owed >= 1.0 {
            self.owed -= 1.0;
            let member = rng.random_range(0..self.well_on.len());
            self.well_on[member] = day + self.lasts;
        }
    }

    pub(super) fn holds(&self, member: u32, day: u32) -> bool {
        self.well_on
            .get(member as usize)
            .is_some_and(|well_on| day < *well_on)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
mod tests {
    use rand::SeedableRng;

    use super::*;

    fn affected_on(affected: &Affected, day: u32) -> usize {
        (0..affected.well_on.len() as u32)
            .filter(|member| affected.holds(*member, day))
            .count()
    }

    #[test]
    fn the_handbooks_population_has_the_handbooks_cases() {
        let mut rng = ChaCha8Rng::seed_from_u64(3);
        let mut terminals = Affected::terminals(10_000, 1.0);
        for day in 0..100 {
            terminals.begin_day(day, &mut rng);
        }
        let now = affected_on(&terminals, 99);
        assert!((54..=56).contains(&now), "{now}");
        assert_eq!(affected_on(&terminals, 99 + 28), 0);
    }

    #[test]
    fn a_small_population_has_a_case_now_and_then() {
        let mut rng = ChaCha8Rng::seed_from_u64(3);
        let mut cards = Affected::cards(100, 1.0);
        let cases: Vec<usize> = (0..34)
            .map(|day| {
                cards.begin_day(day, &mut rng);
                affected_on(&cards, day)
            })
            .collect();
        assert_eq!(cases[0], 0);
        assert_eq!(cases.iter().max(), Some(&1));
    }
}
