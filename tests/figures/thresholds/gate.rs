//! What was promised, what came of it, and what chance allows.

use anyhow::Context;
use outlierd::config::Budget;
use outlierd::detect::Exceedances;
use outlierd::detect::Threshold;
use outlierd::evaluate::KolmogorovSmirnov;

use super::split::Protocol;
use super::trial::Trial;

/// Chance is given so many of all cases.
const LEVEL: f64 = 0.99;

/// A rate within this factor of the budget is good, whatever chance allows.
const FACTOR: f64 = 2.0;

/// Scores whose distributions differ by more than chance once in a thousand times do.
const LEAST_P: f64 = 1e-3;

pub const HEADER: &str = "set           data        seed  rows    p in force  allowed            realised     KS p    file order  recall  gate";

/// A threshold before its judge.
pub struct Gate {
    calibration_rows: usize,
    cross_fitted: bool,
    /// The p-value in force.
    p: f64,
    /// Least and largest rate that pass.
    allowed: (f64, f64),
    realised: f64,
    recall: Option<f64>,
    same: KolmogorovSmirnov,
}

impl Trial {
    fn threshold(&self, budget: f64) -> anyhow::Result<Threshold> {
        Threshold::new(Budget::Share(budget), &self.calibration, None).map_err(anyhow::Error::msg)
    }

    /// The share of unseen normal rows that a budget flags.
    pub fn realised(&self, budget: f64) -> anyhow::Result<f64> {
        let p = self.threshold(budget)?.p;
        self.share(&self.normal, p)
            .context("there are no unseen normal rows")
    }

    fn share(&self, scores: &[f32], p: f64) -> Option<f64> {
        let flagged = scores
            .iter()
            .filter(|&&score| self.calibration.p_value(score) <= p);
        (!scores.is_empty()).then(|| flagged.count() as f64 / scores.len() as f64)
    }
}

impl Gate {
    pub fn of(trial: &Trial, protocol: Protocol, budget: f64) -> anyhow::Result<Gate> {
        let p = trial.threshold(budget)?.p;
        // Those that no tail reaches set no threshold.
        let calibration_rows = trial.calibration.rows() - trial.calibration.suspects().outlying;
        // p counts the row itself among rows + 1; the grain keeps 1 / (n + 1) x (n + 1) whole.
        let rank = (p * (calibration_rows + 1) as f64 + 1e-6) as usize;
        let unseen = trial.normal.len();
        let chance = Exceedances::new(rank, calibration_rows, unseen).context("no rank")?;
        let (least, most) = chance.interval(LEVEL);
        let share = |count: usize| count as f64 / unseen as f64;
        Ok(Gate {
            calibration_rows,
            cross_fitted: trial.calibration.cross_fitted,
            p,
            allowed: (share(least).min(p / FACTOR), share(most).max(p * FACTOR)),
            realised: trial.realised(budget)?,
            recall: trial.share(&trial.anomalous, p),
            same: sameness(trial, protocol).context("there are no scores to compare")?,
        })
    }

    pub fn passed(&self) -> bool {
        let (least, most) = self.allowed;
        (least..=most).contains(&self.realised) && self.same.p > LEAST_P
    }

    /// One line of the table. `beside`: the realised rate in file order.
    pub fn line(&self, set: &str, protocol: Protocol, seed: u64, beside: Option<f64>) -> String {
        let percent = |share: f64| format!("{:.2} %", share * 100.0);
        let maybe = |share: Option<f64>| share.map_or_else(|| "-".into(), percent);
        let (least, most) = self.allowed;
        format!(
            "{set:13} {:11} {seed:>4}  {:>6}{} {:>9}  {:>7} - {:>7}  {:>8}  {:>8.4}  {:>10}  {:>7}  {}",
            protocol.to_string(),
            self.calibration_rows,
            if self.cross_fitted { "x" } else { " " },
            percent(self.p),
            percent(least),
            percent(most),
            percent(self.realised),
            self.same.p,
            maybe(beside),
            maybe(self.recall),
            if self.passed() { "passed" } else { "FAILED" },
        )
    }
}

/// Whether calibration scores and unseen ones are of one distribution. Unlabelled rows are compared
/// with all unseen rows, anomalies too, as the calibration rows hold them.
fn sameness(trial: &Trial, protocol: Protocol) -> Option<KolmogorovSmirnov> {
    let mut unseen = trial.normal.clone();
    if protocol == Protocol::Unlabelled {
        unseen.extend(&trial.anomalous);
    }
    KolmogorovSmirnov::between(trial.calibration.scores(), &unseen)
}
