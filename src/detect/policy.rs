//! What the user set: the budget, and per field which deviations count.

use super::Calibration;
use crate::config::{self, Budget, Direction};

/// What makes a record an outlier, apart from the model.
#[derive(Debug, Clone, PartialEq)]
pub struct Policy {
    pub threshold: Threshold,
    /// One a field, in the order of the encoding.
    pub fields: Vec<FieldPolicy>,
}

impl Policy {
    /// For whoever wants scores alone: every deviation of `fields` fields counts, and half of the
    /// rows are flagged.
    pub fn open(fields: usize) -> Policy {
        let open = FieldPolicy {
            direction: Direction::Both,
            min_deviation: 0.0,
        };
        Policy {
            threshold: Threshold {
                budget: 0.5,
                p: 0.5,
            },
            fields: vec![open; fields],
        }
    }
}

/// Which deviations of one field count.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct FieldPolicy {
    pub direction: Direction,
    /// In the field's own units.
    pub min_deviation: f64,
}

/// The p-value at or below which a record is flagged.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Threshold {
    /// The share of records that the budget allows.
    pub budget: f64,
    /// The p-value in force: the budget, or what the calibration rows can attest if that is more.
    pub p: f64,
}

impl Threshold {
    /// `records_per_day` is the rate of the whole topic in training; a budget per day needs it.
    ///
    /// # Errors
    /// A sentence with its remedy, when a budget per day meets a model that knows no rate.
    pub fn new(
        budget: Budget,
        calibration: &Calibration,
        records_per_day: Option<f64>,
    ) -> Result<Threshold, String> {
        let budget = match (budget, records_per_day) {
            (Budget::Share(share), _) => share,
            (Budget::PerDay(alerts), Some(rate)) if rate > 0.0 => (alerts / rate).min(0.5),
            (Budget::PerDay(alerts), _) => {
                return Err(format!(
                    "detect.budget = \"{alerts}/day\" needs the rate of records, and this model was \
                     trained on rows without a time: set a share such as \"0.1%\", or train on the topic"
                ));
            }
        };
        Ok(Threshold {
            budget,
            p: budget.max(calibration.resolution()),
        })
    }

    /// Whether the calibration rows carry the budget.
    pub fn attested(&self) -> bool {
        self.p <= self.budget
    }
}

impl FieldPolicy {
    pub fn of(field: &config::Field) -> FieldPolicy {
        FieldPolicy {
            direction: field.direction,
            min_deviation: field.min_deviation,
        }
    }

    /// Whether every deviation counts.
    pub fn is_open(&self) -> bool {
        self.direction == Direction::Both && self.min_deviation <= 0.0
    }

    /// Whether `observed - expected` counts.
    pub fn admits(&self, deviation: f64) -> bool {
        let side = match self.direction {
            Direction::Both => true,
            Direction::Above => deviation > 0.0,
            Direction::Below => deviation < 0.0,
        };
        side && deviation.abs() >= self.min_deviation
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::config::TrainingData;

    fn rows(count: u16) -> Calibration {
        Calibration::fit(
            (0..count).map(f32::from).collect(),
            TrainingData::Clean,
            false,
        )
    }

    #[test]
    fn a_budget_finer_than_the_rows_attest_is_said_to_be_so() {
        let coarse = Threshold::new(Budget::Share(0.001), &rows(99), None).unwrap();
        assert_eq!(coarse.p, 0.01);
        assert!(!coarse.attested());
        let fine = Threshold::new(Budget::Share(0.05), &rows(99), None).unwrap();
        assert!(fine.attested());
    }

    #[test]
    fn a_budget_per_day_is_divided_by_the_rate_and_needs_one() {
        let threshold = Threshold::new(Budget::PerDay(20.0), &rows(999), Some(2000.0)).unwrap();
        assert_eq!(threshold.budget, 0.01);
        let refused = Threshold::new(Budget::PerDay(20.0), &rows(999), None).unwrap_err();
        assert!(refused.contains("detect.budget") && refused.contains("0.1%"));
    }

    #[test]
    fn only_deviations_on_the_wanted_side_and_of_some_size_count() {
        let above = FieldPolicy {
            direction: Direction::Above,
            min_deviation: 2.0,
        };
        assert!(above.admits(2.0) && !above.admits(1.9) && !above.admits(-5.0));
        assert!(!above.is_open());
    }
}
