//! Verdicts by thresholds that follow the rate: one a partition, where the budget is one a day.
//!
//! A partition's threshold depends on its own records in their order, and nothing but the publish
//! thread sees the rows of all score threads in that order. So the score threads leave the verdicts
//! open, and they are made here, row by row. A flagged row is judged once more, alone, for its
//! reasons: that gives the same bits, and flagged rows are few.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::{Batch, Judge, Judged};
use crate::detect::{DailyBudget, Pace, Threshold};
use crate::kafka::Position;
use crate::metrics::{Bound, Metrics};

/// Makes the verdicts of pending rows.
pub(super) struct Verdicts {
    pub(super) thresholds: Thresholds,
    pub(super) judge: Judge,
}

/// The thresholds of the partitions that are ours.
pub(super) struct Thresholds {
    budget: DailyBudget,
    metrics: Arc<Metrics>,
    partitions: BTreeMap<i32, Partition>,
}

struct Partition {
    /// Of the topic's alerts.
    share: f64,
    pace: Pace,
    /// What follows from both: the one in force for the next record.
    threshold: Threshold,
}

impl Verdicts {
    /// Gives every pending row of `judged` its disposition.
    pub(super) fn make(&mut self, batch: &Batch, judged: &mut Judged) {
        let judge = &mut self.judge;
        self.thresholds.decide(batch, judged, |threshold, record| {
            judge.judge_at(threshold, batch, record)
        });
    }
}

impl Thresholds {
    pub(super) fn new(budget: DailyBudget, metrics: Arc<Metrics>) -> Thresholds {
        Thresholds {
            budget,
            metrics,
            partitions: BTreeMap::new(),
        }
    }

    /// Goes by the budget of another model from here on; the partitions keep their paces.
    pub(super) fn go_by(&mut self, budget: DailyBudget) {
        for partition in self.partitions.values_mut() {
            partition.threshold = budget.threshold(partition.share, &partition.pace);
        }
        self.budget = budget;
        self.report();
    }

    /// Goes on with a partition where its note says that it was.
    pub(super) fn assigned(&mut self, position: &Position) {
        let share = self.budget.share(position.partition, position.partitions);
        let pace = position.note.pace.clone().unwrap_or_default();
        let partition = Partition {
            share,
            threshold: self.budget.threshold(share, &pace),
            pace,
        };
        tracing::info!(
            partition = position.partition,
            p = partition.threshold.p,
            records_a_day = self.budget.records_of(share, &partition.pace),
            known_hours = partition.pace.hours(),
            since = partition.pace.since(),
            "threshold of the budget a day"
        );
        self.partitions.insert(position.partition, partition);
        self.report();
    }

    pub(super) fn revoked(&mut self, partitions: &[i32]) {
        for partition in partitions {
            self.partitions.remove(partition);
        }
        self.report();
    }

    /// The pace of each of `partitions` that is ours, up to the last row that was decided.
    pub(super) fn paces<'a>(
        &self,
        partitions: impl Iterator<Item = &'a i32>,
    ) -> BTreeMap<i32, Pace> {
        partitions
            .filter_map(|number| Some((*number, self.partitions.get(number)?.pace.clone())))
            .collect()
    }

    /// Decides the pending rows in their order: each by the threshold that the rows before it left.
    /// `judge_at` gives the verdict on a record whose p is at or below a threshold.
    fn decide(
        &mut self,
        batch: &Batch,
        judged: &mut Judged,
        mut judge_at: impl FnMut(f64, usize) -> Judged,
    ) {
        let mut closed = false;
        for row in std::mem::take(&mut judged.pending) {
            let record = &batch.records()[row.record];
            let partition = self.partitions.get_mut(&record.partition);
            let threshold = match &partition {
                Some(partition) => partition.threshold.p,
                // Not ours any more: nothing of it will be committed.
                None => self.budget.threshold(1.0, &Pace::default()).p,
            };
            if row.p > threshold {
                judged.normal += 1;
            } else {
                judged.settle(judge_at(threshold, row.record));
            }
            if let Some(partition) = partition
                && partition.pace.observe(row.time_ms, record.offset)
            {
                partition.threshold = self.budget.threshold(partition.share, &partition.pace);
                closed = true;
                tracing::debug!(
                    partition = record.partition,
                    from = partition.pace.since(),
                    p = partition.threshold.p,
                    "an hour of record time has closed"
                );
            }
        }
        if closed {
            self.report();
        }
    }

    /// Shows the thresholds in force; those of the start stay while no partition is ours.
    fn report(&self) {
        let thresholds = self.partitions.values().map(|each| each.threshold.p);
        let Some((smallest, largest)) = thresholds
            .map(|p| (p, p))
            .reduce(|(low, high), (p, _)| (low.min(p), high.max(p)))
        else {
            return;
        };
        self.metrics.threshold.get(Bound::Smallest).set(smallest);
        self.metrics.threshold.get(Bound::Largest).set(largest);
        let (mut alerts, mut records) = (0.0, 0.0);
        for each in self.partitions.values() {
            let rate = self.budget.records_of(each.share, &each.pace);
            alerts += each.threshold.budget * rate;
            records += rate;
        }
        if records > 0.0 {
            self.metrics.budget.set(alerts / records);
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::kafka::Note;
    use crate::pipeline::Pending;

    const HOUR_MS: i64 = 3_600_000;
    const DAY_MS: i64 = 24 * HOUR_MS;

    /// A scored record of a log of two partitions.
    #[derive(Debug, Clone, Copy)]
    struct Logged {
        partition: i32,
        offset: i64,
        time_ms: i64,
        p: f64,
    }

    /// 20 alerts a day for a topic that had 2,000 records a day in training.
    fn thresholds() -> Thresholds {
        let budget = DailyBudget {
            alerts: 20.0,
            records: 2000.0,
            resolution: 1e-6,
            shares: BTreeMap::new(),
        };
        let metrics = Metrics::new(prometheus::Registry::new(), &[]).unwrap();
        Thresholds::new(budget, metrics)
    }

    fn assign(thresholds: &mut Thresholds, paces: &BTreeMap<i32, Pace>) {
        for partition in 0..2 {
            thresholds.assigned(&Position {
                partition,
                next: 0,
                committed: true,
                note: Note {
                    partitions: 2,
                    topic: None,
                    all: false,
                    open: true,
                    pace: paces.get(&partition).cloned(),
                    model: None,
                },
                partitions: 2,
                loss: None,
                halted: false,
                suspect_until: None,
            });
        }
    }

    /// Decides `log` as one batch; returns what was flagged.
    fn decide(thresholds: &mut Thresholds, log: &[Logged]) -> Vec<(i32, i64)> {
        let (mut batch, mut judged) = (Batch::default(), Judged::default());
        for (index, row) in log.iter().enumerate() {
            batch.push(row.partition, row.offset, -1, None, Some(b"{}"));
            judged.pending.push(Pending {
                record: index,
                p: row.p,
                time_ms: row.time_ms,
            });
        }
        let mut flagged = Vec::new();
        thresholds.decide(&batch, &mut judged, |threshold, record| {
            assert!(log[record].p <= threshold);
            flagged.push((log[record].partition, log[record].offset));
            Judged {
                normal: 1,
                ..Judged::default()
            }
        });
        assert_eq!(judged.records(), log.len() as u64);
        flagged
    }

    /// `a_day` records a day for so many days, in turn on both partitions, with p as of records
    /// like those that were learnt.
    fn days(a_day: i64, days: i64) -> Vec<Logged> {
        let golden = (5.0_f64.sqrt() - 1.0) / 2.0;
        (0..a_day * days)
            .map(|number| Logged {
                partition: (number % 2) as i32,
                offset: number / 2,
                time_ms: 20_000 * DAY_MS + number * DAY_MS / a_day,
                p: (number as f64 * golden).fract(),
            })
            .collect()
    }

    #[test]
    fn once_a_day_is_known_the_alerts_are_those_of_the_budget_whatever_the_rate() {
        for a_day in [500, 2000, 40_000] {
            let mut thresholds = thresholds();
            assign(&mut thresholds, &BTreeMap::new());
            let log = days(a_day, 5);
            let (first, rest) = log.split_at(2 * a_day as usize);
            decide(&mut thresholds, first);
            let alerts = decide(&mut thresholds, rest).len();
            assert!((54..=66).contains(&alerts), "{alerts} alerts in three days");
        }
    }

    #[test]
    fn what_is_in_force_is_shown() {
        let mut thresholds = thresholds();
        assign(&mut thresholds, &BTreeMap::new());
        let metrics = Arc::clone(&thresholds.metrics);
        let shown = |bound| metrics.threshold.get(bound).get();
        assert_eq!(
            (shown(Bound::Smallest), shown(Bound::Largest)),
            (0.01, 0.01)
        );
        // One partition comes to twice its rate, the other one stays away.
        let log = days(2000, 3);
        let log: Vec<Logged> = log
            .into_iter()
            .map(|row| Logged {
                partition: 0,
                ..row
            })
            .collect();
        decide(&mut thresholds, &log);
        assert!((shown(Bound::Smallest) - 0.005).abs() < 1e-4);
        assert_eq!(shown(Bound::Largest), 0.01);
        // Twenty alerts for three thousand records.
        assert!((metrics.budget.get() - 20.0 / 3000.0).abs() < 1e-4);
        thresholds.revoked(&[0]);
        assert_eq!(shown(Bound::Smallest), 0.01);
    }

    #[test]
    fn rows_of_a_partition_that_is_not_ours_leave_no_trace() {
        let mut thresholds = thresholds();
        assign(&mut thresholds, &BTreeMap::new());
        thresholds.revoked(&[1]);
        decide(&mut thresholds, &days(2000, 2));
        let paces = thresholds.paces([0, 1].iter());
        assert_eq!(paces.keys().collect::<Vec<_>>(), [&0]);
    }

    proptest! {
        #[test]
        fn batches_and_restarts_change_no_flag(
            rows in proptest::collection::vec((0_i32..2, 1_i64..2_000_000, 0_f64..0.1), 1..600),
            cuts in proptest::collection::vec((any::<prop::sample::Index>(), any::<bool>()), 0..8),
        ) {
            let (mut now, mut next) = (20_000 * DAY_MS, [0, 0]);
            let log: Vec<Logged> = rows
                .into_iter()
                .map(|(partition, pause, p)| {
                    now += pause;
                    next[partition as usize] += 1;
                    let offset = next[partition as usize] - 1;
                    Logged { partition, offset, time_ms: now, p }
                })
                .collect();
            let mut undisturbed = thresholds();
            assign(&mut undisturbed, &BTreeMap::new());
            let wanted = decide(&mut undisturbed, &log);

            let mut cuts: Vec<(usize, bool)> =
                cuts.into_iter().map(|(at, restart)| (at.index(log.len()), restart)).collect();
            cuts.sort_unstable();
            let mut running = thresholds();
            assign(&mut running, &BTreeMap::new());
            let (mut found, mut done) = (Vec::new(), 0);
            for (at, restart) in cuts {
                found.extend(decide(&mut running, &log[done..at]));
                done = at;
                if restart {
                    let notes = running.paces([0, 1].iter());
                    running = thresholds();
                    assign(&mut running, &notes);
                }
            }
            found.extend(decide(&mut running, &log[done..]));
            prop_assert_eq!(found, wanted);
        }
    }
}
