//! Labelled frauds against flagged records.

use std::collections::{BTreeMap, BTreeSet};

use super::chance;
use crate::demo::transactions::{Label, Pattern};

/// Below this chance of being luck, catches are the model's.
const LUCK: f64 = 0.001;

/// With fewer cases than this, catching none says nothing.
const CASES: u64 = 20;

/// Cases and those of them that were flagged.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Caught {
    pub cases: u64,
    pub flagged: u64,
}

impl Caught {
    /// Flagged over all; `None` without cases.
    pub fn share(&self) -> Option<f64> {
        (self.cases > 0).then(|| self.flagged as f64 / self.cases as f64)
    }

    fn add(&mut self, flagged: bool) {
        self.cases += 1;
        self.flagged += u64::from(flagged);
    }
}

/// Whether the model sees a pattern of fraud.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Visibility {
    /// Flagged far more often than genuine payments.
    Seen,
    /// Flagged no more often than genuine payments would be by chance.
    Unseen,
    /// Too few cases to tell.
    Undecided,
}

/// Everything that was scored, with its label. Records broken on purpose belong to the dead letters
/// and are only counted.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Frauds {
    pub broken: u64,
    pub genuine: Caught,
    by_pattern: BTreeMap<Pattern, Caught>,
}

impl Frauds {
    /// The account of the records in `labels`, of which `flagged` became outliers. A key is whatever
    /// names a record: its number, or partition and offset.
    pub fn of<K: Ord>(labels: &BTreeMap<K, Label>, flagged: &BTreeSet<K>) -> Self {
        let mut frauds = Self::default();
        for (key, label) in labels {
            frauds.add(label, flagged.contains(key));
        }
        frauds
    }

    pub fn add(&mut self, label: &Label, flagged: bool) {
        match label {
            Label {
                broken: Some(_), ..
            } => self.broken += 1,
            Label {
                fraud: Some(pattern),
                ..
            } => self.by_pattern.entry(*pattern).or_default().add(flagged),
            _ => self.genuine.add(flagged),
        }
    }

    /// All frauds together; their share is the recall.
    pub fn all(&self) -> Caught {
        self.by_pattern
            .values()
            .fold(Caught::default(), |sum, caught| Caught {
                cases: sum.cases + caught.cases,
                flagged: sum.flagged + caught.flagged,
            })
    }

    /// The frauds of one pattern; their share is its recall.
    pub fn of_pattern(&self, pattern: Pattern) -> Caught {
        self.by_pattern.get(&pattern).copied().unwrap_or_default()
    }

    /// Share of the flagged records that are fraud; `None` when nothing was flagged.
    pub fn precision(&self) -> Option<f64> {
        let fraud = self.all().flagged;
        let flagged = fraud + self.genuine.flagged;
        (flagged > 0).then(|| fraud as f64 / flagged as f64)
    }

    /// Compares a pattern's recall with the share of genuine payments that were flagged: a model that
    /// is blind to the pattern flags it just as often.
    pub fn visibility(&self, pattern: Pattern) -> Visibility {
        let Caught { cases, flagged } = self.of_pattern(pattern);
        let Some(by_chance) = self.genuine.share() else {
            return Visibility::Undecided;
        };
        if flagged > 0 && chance::at_least(flagged, cases, by_chance) < LUCK {
            Visibility::Seen
        } else if cases >= CASES {
            Visibility::Unseen
        } else {
            Visibility::Undecided
        }
    }

    /// The patterns that this model cannot see.
    pub fn unseen(&self) -> Vec<Pattern> {
        Pattern::ALL
            .into_iter()
            .filter(|pattern| self.visibility(*pattern) == Visibility::Unseen)
            .collect()
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
mod tests {
    use super::*;

    fn label(fraud: Option<Pattern>, broken: Option<&'static str>) -> Label {
        Label {
            card_id: "card-1".to_owned(),
            fraud,
            broken,
        }
    }

    fn filled(cases: &[(Option<Pattern>, u64, u64)]) -> Frauds {
        let mut frauds = Frauds::default();
        for (fraud, count, flagged) in cases {
            for index in 0..*count {
                frauds.add(&label(*fraud, None), index < *flagged);
            }
        }
        frauds
    }

    #[test]
    fn precision_and_recall_are_counted_over_what_could_be_scored() {
        let labels = BTreeMap::from([
            ((0, 0), label(None, None)),
            ((0, 1), label(Some(Pattern::LeakedCard), None)),
            ((1, 0), label(Some(Pattern::LeakedCard), None)),
            ((1, 1), label(None, None)),
            ((1, 2), label(Some(Pattern::LeakedCard), Some("empty"))),
        ]);
        let frauds = Frauds::of(&labels, &BTreeSet::from([(0, 1), (1, 1), (7, 7)]));
        assert_eq!(frauds.broken, 1);
        assert_eq!(frauds.precision(), Some(0.5));
        assert_eq!(frauds.all().share(), Some(0.5));
        assert_eq!(frauds.of_pattern(Pattern::LargeAmount).share(), None);
    }

    #[test]
    fn a_pattern_flagged_as_often_as_genuine_payments_is_unseen() {
        let frauds = filled(&[
            (None, 10_000, 10),
            (Some(Pattern::LargeAmount), 5, 5),
            (Some(Pattern::CompromisedTerminal), 300, 1),
            (Some(Pattern::LeakedCard), 100, 40),
        ]);
        assert_eq!(frauds.visibility(Pattern::LargeAmount), Visibility::Seen);
        assert_eq!(frauds.visibility(Pattern::LeakedCard), Visibility::Seen);
        assert_eq!(frauds.unseen(), [Pattern::CompromisedTerminal]);
    }

    #[test]
    fn few_cases_decide_nothing() {
        let frauds = filled(&[(None, 1000, 1), (Some(Pattern::LeakedCard), 3, 0)]);
        assert_eq!(
            frauds.visibility(Pattern::LeakedCard),
            Visibility::Undecided
        );
        assert_eq!(
            frauds.visibility(Pattern::LargeAmount),
            Visibility::Undecided
        );
        assert_eq!(Frauds::default().precision(), None);
        assert!(Frauds::default().unseen().is_empty());
    }
}
