//! A budget of alerts a day: from the pace of a partition to its threshold.

use std::collections::BTreeMap;

use super::{Model, Pace, Threshold};
use crate::config::Budget;

/// Beyond half of the records an outlier is no outlier.
const LARGEST_SHARE: f64 = 0.5;

/// So many alerts a day of the whole topic.
///
/// Each partition has a fixed share of the alerts, so that nobody needs to know what the others
/// do: the share of the records that it had in training. As long as the partitions keep those
/// shares, all thresholds are one; when they do not, the alerts of a day still add up.
#[derive(Debug, Clone, PartialEq)]
pub struct DailyBudget {
    /// Above 0.
    pub alerts: f64,
    /// Records a day of the whole topic in training, above 0.
    pub records: f64,
    /// The smallest p-value that the calibration rows attest.
    pub resolution: f64,
    /// Share of the training records by partition, of those that had any.
    pub shares: BTreeMap<i32, f64>,
}

impl DailyBudget {
    /// `None` for a budget that is a share of the records, and for a model that knows no rate (which
    /// [`Threshold::new`] refuses). `topic` is the one that is read: the partitions of another one
    /// say nothing of its own.
    pub fn new(budget: Budget, model: &Model, topic: &str) -> Option<DailyBudget> {
        let Budget::PerDay(alerts) = budget else {
            return None;
        };
        let learnt = &model.provenance;
        let records = learnt.records_per_day.filter(|rate| *rate > 0.0)?;
        let of_this_topic = learnt.source == format!("topic {topic}");
        let spans = learnt.offsets.iter().filter(|_| of_this_topic);
        let counts: BTreeMap<i32, f64> = spans
            .map(|&(partition, first, next)| (partition, (next - first) as f64))
            .filter(|(_, count)| *count > 0.0)
            .collect();
        let total: f64 = counts.values().sum();
        Some(DailyBudget {
            alerts,
            records,
            resolution: model.calibration.resolution(),
            shares: counts
                .into_iter()
                .map(|(partition, count)| (partition, count / total))
                .collect(),
        })
    }

    /// The share of the topic's alerts that belongs to `partition`; an equal one among `partitions`,
    /// the number that the topic has, if training has seen no record of it.
    pub fn share(&self, partition: i32, partitions: i32) -> f64 {
        let equal = 1.0 / f64::from(partitions.max(1));
        self.shares.get(&partition).copied().unwrap_or(equal)
    }

    /// The records a day of a partition with this share and pace.
    pub fn records_of(&self, share: f64, pace: &Pace) -> f64 {
        let learnt = self.records * share;
        learnt * pace.relative(learnt)
    }

    /// The threshold of a partition with this share and pace.
    pub fn threshold(&self, share: f64, pace: &Pace) -> Threshold {
        let as_learnt = self.alerts / self.records;
        let budget = (as_learnt / pace.relative(self.records * share)).min(LARGEST_SHARE);
        Threshold {
            budget,
            p: budget.max(self.resolution),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR_MS: i64 = 3_600_000;

    fn budget(shares: &[(i32, f64)]) -> DailyBudget {
        DailyBudget {
            alerts: 20.0,
            records: 2400.0,
            resolution: 1e-5,
            shares: shares.iter().copied().collect(),
        }
    }

    /// The pace of a partition that has had `an_hour` records in each of three days' hours.
    fn steady(an_hour: i64) -> Pace {
        let mut pace = Pace::default();
        for hour in 1..72 {
            for record in 0..an_hour {
                pace.observe(hour * HOUR_MS + record, hour * an_hour + record);
            }
        }
        pace
    }

    #[test]
    fn the_training_rate_holds_until_an_hour_is_known() {
        let budget = budget(&[]);
        let threshold = budget.threshold(budget.share(0, 4), &Pace::default());
        assert_eq!(threshold.budget, 20.0 / 2400.0);
        assert!(threshold.attested());
    }

    #[test]
    fn the_alerts_of_all_partitions_add_up_to_the_budget_whatever_their_rates() {
        for (shares, equal) in [(&[(0, 0.7), (1, 0.3)][..], false), (&[], true)] {
            let budget = budget(shares);
            let mut alerts = 0.0;
            for (partition, an_hour) in [(0, 100), (1, 9)] {
                let share = budget.share(partition, 2);
                let threshold = budget.threshold(share, &steady(an_hour));
                alerts += threshold.p * an_hour as f64 * 24.0;
                assert_eq!(share == 0.5, equal);
            }
            assert!((alerts / 20.0 - 1.0).abs() < 1e-9, "{alerts} alerts");
        }
    }

    #[test]
    fn partitions_that_keep_their_shares_have_one_threshold() {
        let budget = budget(&[(0, 0.9), (1, 0.1)]);
        let of = |partition, an_hour| {
            let share = budget.share(partition, 2);
            budget.threshold(share, &steady(an_hour)).p
        };
        assert!((of(0, 900) / of(1, 100) - 1.0).abs() < 1e-12);
        assert!((of(0, 900) - 20.0 / 24_000.0).abs() < 1e-12);
    }

    #[test]
    fn a_threshold_is_never_above_half_nor_below_what_the_rows_attest() {
        let mut budget = budget(&[]);
        budget.alerts = 1e6;
        assert_eq!(budget.threshold(1.0, &steady(10)).p, 0.5);
        budget.alerts = 1e-9;
        let threshold = budget.threshold(1.0, &steady(10));
        assert_eq!(threshold.p, 1e-5);
        assert!(!threshold.attested());
    }
}
