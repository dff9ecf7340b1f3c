//! Held-out scores, and the p-value of a new one among them.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::{Pareto, Suspects};
use crate::config::TrainingData;

/// Fewer calibration rows than this carry no tail: the empirical p-value is all that they attest.
const ROWS_FOR_A_TAIL: usize = 200;

/// The tail begins at this quantile of the calibration scores.
const TAIL_QUANTILE: f64 = 0.9;

/// How far beyond its own rows a fitted tail is believed, as a factor on rows + 1.
const EXTRAPOLATION: f64 = 100.0;

/// How many times the budget is flagged at most if all doubtful rows were normal. A threshold has to
/// keep its word within a factor of 2, and chance needs room in it. On 12 tabular sets, re-split at
/// random, too low and too high a rate are balanced here: 1.5 loses more at the low end (outliers of
/// satimage-2), 2 more at the high end (normal rows of optdigits).
const DOUBT: f64 = 1.75;

/// The scores of rows that the network was not fitted on.
#[derive(Debug, Clone, PartialEq)]
pub struct Calibration {
    /// Ascending and finite.
    scores: Vec<f32>,
    suspects: Suspects,
    /// Of the scores that are not suspect.
    tail: Option<Tail>,
    /// Whether the scores come from cross-fitting (each row scored by a network that was fitted on
    /// other blocks of time) instead of from one held-out block.
    pub cross_fitted: bool,
}

/// A generalised Pareto distribution of the scores above `from`.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Tail {
    pub from: f32,
    /// Share of the calibration rows above `from`.
    pub share: f64,
    pub pareto: Pareto,
}

/// What may be said of a record's oddness with these calibration rows.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Claim {
    /// It is odder than this share of `rows`.
    OdderThan { share: f64, rows: usize },
    /// No calibration row is as odd, and there is no tail to say more.
    OdderThanAll { rows: usize },
    /// By the fitted tail, one normal record in so many looks this odd.
    OneIn { records: f64 },
}

impl fmt::Display for Claim {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Claim::OdderThan { share, rows } => {
                write!(f, "odder than {:.1} % of {rows} learnt rows", share * 100.0)
            }
            Claim::OdderThanAll { rows } => write!(f, "odder than all {rows} learnt rows"),
            Claim::OneIn { records } => {
                // Two significant digits: a tail knows no more.
                let unit = 10_f64.powf(records.log10().floor() - 1.0).max(1.0);
                let rounded = (records / unit).round() * unit;
                write!(f, "about one normal record in {rounded:.0} looks this odd")
            }
        }
    }
}

impl fmt::Display for Calibration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} rows", self.rows())?;
        if self.cross_fitted {
            write!(f, ", cross-fitted in blocks of time")?;
        }
        let Suspects { outlying, doubtful } = self.suspects;
        if outlying > 0 {
            write!(f, ", {outlying} taken for outliers")?;
        }
        if doubtful > 0 {
            write!(f, ", {doubtful} perhaps outliers")?;
        }
        match self.tail {
            Some(tail) => write!(
                f,
                ", Pareto tail of shape {:.2} from score {:.2}",
                tail.pareto.shape, tail.from
            ),
            None => write!(f, ", no tail"),
        }
    }
}

impl Calibration {
    /// Calibrates on held-out `scores`. Unlabelled rows may hold outliers of their own: the highest
    /// scores may be suspect, and a tail is fitted to what remains. Rows known to be clean give
    /// conformal quantiles alone.
    pub fn fit(mut scores: Vec<f32>, data: TrainingData, cross_fitted: bool) -> Calibration {
        scores.retain(|score| score.is_finite());
        scores.sort_unstable_by(f32::total_cmp);
        let mut calibration = Calibration {
            scores,
            suspects: Suspects::default(),
            tail: None,
            cross_fitted,
        };
        if data == TrainingData::Unlabelled {
            calibration.suspects = Suspects::among(&calibration.scores);
            calibration.tail = fit_tail(calibration.ordinary());
        }
        calibration
    }

    /// A calibration from its stored parts; `None` if the scores are not finite and ascending, or
    /// fewer than the suspects.
    pub fn from_parts(
        scores: Vec<f32>,
        suspects: Suspects,
        tail: Option<Tail>,
        cross_fitted: bool,
    ) -> Option<Calibration> {
        let sound = scores.iter().all(|score| score.is_finite()) && scores.is_sorted();
        let Suspects { outlying, doubtful } = suspects;
        let suspect = outlying.checked_add(doubtful)?;
        (sound && suspect <= scores.len()).then_some(Calibration {
            scores,
            suspects,
            tail,
            cross_fitted,
        })
    }

    /// Of all calibration rows, ascending.
    pub fn scores(&self) -> &[f32] {
        &self.scores
    }

    /// How many of the highest scores may be those of outliers.
    pub fn suspects(&self) -> Suspects {
        self.suspects
    }

    pub fn tail(&self) -> Option<Tail> {
        self.tail
    }

    pub fn rows(&self) -> usize {
        self.scores.len()
    }

    /// The smallest p-value that these rows can attest.
    pub fn resolution(&self) -> f64 {
        match self.tail {
            Some(_) => 1.0 / ((self.rows() + 1) as f64 * EXTRAPOLATION),
            None => 1.0 / (self.ordinary().len() + 1) as f64,
        }
    }

    /// P(a normal record scores at least `score`).
    ///
    /// By the tail where it reaches, else (1 + rows at least as odd) / (rows + 1), which is valid for
    /// any exchangeable rows (Vovk, Gammerman, Shafer 2005). That is so among the rows that are not
    /// suspect. The doubtful ones may be normal after all: so it is never less than 1 / 1.75 of the
    /// same with them.
    pub fn p_value(&self, score: f32) -> f64 {
        let ordinary = match self.tail {
            Some(tail) if score > tail.from => {
                let beyond = f64::from(score) - f64::from(tail.from);
                (tail.share * tail.pareto.survival(beyond)).max(self.resolution())
            }
            _ => rank_p_value(self.ordinary(), score),
        };
        if self.suspects.doubtful == 0 {
            return ordinary;
        }
        ordinary.max(self.p_value_with_doubtful(score) / DOUBT)
    }

    /// By ranks among all but the outlying rows. Beyond the highest of these the heaviest tail that
    /// is ever fitted goes on, if there is a tail at all.
    fn p_value_with_doubtful(&self, score: f32) -> f64 {
        let rows = &self.scores[..self.rows() - self.suspects.outlying];
        let ranked = rank_p_value(rows, score);
        match (self.tail, rows.last()) {
            (Some(tail), Some(&highest)) if score > highest => {
                let scale = f64::from(highest) - f64::from(tail.from);
                let heaviest = Pareto {
                    scale: scale.max(f64::MIN_POSITIVE),
                    shape: Pareto::HEAVIEST,
                };
                ranked * heaviest.survival(f64::from(score) - f64::from(highest))
            }
            _ => ranked,
        }
    }

    /// The scores that are not suspect.
    fn ordinary(&self) -> &[f32] {
        &self.scores[..self.rows() - self.suspects.all()]
    }

    /// What may be said of a record with this score.
    pub fn claim(&self, score: f32) -> Claim {
        let rows = self.rows();
        let below = self.scores.partition_point(|&known| known < score);
        match self.tail {
            Some(tail) if score > tail.from => Claim::OneIn {
                records: 1.0 / self.p_value(score),
            },
            _ if below == rows => Claim::OdderThanAll { rows },
            _ => Claim::OdderThan {
                share: below as f64 / rows as f64,
                rows,
            },
        }
    }

    /// The smallest score whose p-value is at most `p`, to show where a threshold lies.
    pub fn score_at(&self, p: f64) -> f32 {
        let mut low = self.scores.first().copied().unwrap_or(0.0);
        let mut high = self.scores.last().copied().unwrap_or(0.0).max(low) + 1.0;
        while self.p_value(high) > p && high < 1e30 {
            high = high.abs() * 2.0 + 1.0;
        }
        for _ in 0..60 {
            let middle = low + (high - low) / 2.0;
            if self.p_value(middle) <= p {
                high = middle;
            } else {
                low = middle;
            }
        }
        high
    }
}

/// (1 + rows at least as odd) / (rows + 1) among the rows with the scores `sorted`.
fn rank_p_value(sorted: &[f32], score: f32) -> f64 {
    let as_odd = sorted.len() - sorted.partition_point(|&known| known < score);
    (1 + as_odd) as f64 / (sorted.len() + 1) as f64
}

fn fit_tail(sorted: &[f32]) -> Option<Tail> {
    if sorted.len() < ROWS_FOR_A_TAIL {
        return None;
    }
    let from = sorted[(TAIL_QUANTILE * (sorted.len() - 1) as f64) as usize];
    let above = &sorted[sorted.partition_point(|&score| score <= from)..];
    let exceedances: Vec<f64> = above
        .iter()
        .map(|&score| f64::from(score) - f64::from(from))
        .collect();
    Some(Tail {
        from,
        share: above.len() as f64 / sorted.len() as f64,
        pareto: Pareto::fit(&exceedances)?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn exponential(rows: u32) -> Vec<f32> {
        (0..rows)
            .map(|rank| -((f64::from(rank) + 0.5) / f64::from(rows)).ln() as f32)
            .collect()
    }

    #[test]
    fn few_rows_never_claim_more_than_rows_plus_one() {
        let few = Calibration::fit(exponential(125), TrainingData::Unlabelled, true);
        assert_eq!(few.tail(), None);
        assert_eq!(few.p_value(1e6), 1.0 / (few.rows() + 1) as f64);
        assert_eq!(
            few.claim(1e6).to_string(),
            format!("odder than all {} learnt rows", few.rows())
        );
    }

    #[test]
    fn a_tail_extrapolates_an_exponential_and_stops_at_its_limit() {
        let many = Calibration::fit(exponential(10_000), TrainingData::Unlabelled, false);
        let p = many.p_value(12.0);
        let truth = (-12.0_f64).exp();
        assert!((p / truth).ln().abs() < 0.7, "{p} against {truth}");
        assert_eq!(many.p_value(1e9), many.resolution());
        assert!(matches!(many.claim(12.0), Claim::OneIn { .. }));
    }

    #[test]
    fn rows_known_to_be_clean_give_conformal_quantiles_alone() {
        let clean = Calibration::fit(exponential(10_000), TrainingData::Clean, false);
        assert_eq!(clean.tail(), None);
        assert_eq!(clean.rows(), 10_000);
    }

    #[test]
    fn outliers_among_unlabelled_rows_do_not_move_the_calibration() {
        let mut dirty = exponential(1000);
        dirty.extend([5_000.0; 20]);
        let fitted = Calibration::fit(dirty, TrainingData::Unlabelled, false);
        assert_eq!((fitted.rows(), fitted.suspects().outlying), (1020, 20));
        let clean = Calibration::fit(exponential(1000), TrainingData::Unlabelled, false);
        for score in [1.0, 3.0, 4.0] {
            assert_eq!(fitted.p_value(score), clean.p_value(score));
        }
        assert!(fitted.p_value(5_000.0) < 0.002);
    }

    #[test]
    fn doubtful_rows_that_were_normal_do_not_double_the_rate() {
        // A tail so heavy that the fence cuts one row in fifty.
        let heavy = |rank: u32| ((f64::from(rank) + 0.5) / 3000.0).powf(-0.9) as f32;
        let scores: Vec<f32> = (0..3000).map(heavy).collect();
        let fitted = Calibration::fit(scores.clone(), TrainingData::Unlabelled, false);
        assert!(fitted.suspects().doubtful > 30, "{fitted}");
        for budget in [0.05, 0.01, 0.002] {
            let flagged = scores
                .iter()
                .filter(|&&score| fitted.p_value(score) <= budget);
            let rate = flagged.count() as f64 / 3000.0;
            assert!(rate <= DOUBT * budget, "{rate} for {budget}");
            assert!(rate > 0.5 * budget, "{rate} for {budget}");
        }
        assert_eq!(fitted.p_value(f32::MAX), fitted.resolution());
    }

    #[test]
    fn the_score_at_a_p_value_has_that_p_value() {
        let fitted = Calibration::fit(exponential(5000), TrainingData::Unlabelled, false);
        for p in [0.5, 0.05, 0.001] {
            let score = fitted.score_at(p);
            assert!(fitted.p_value(score) <= p && fitted.p_value(score - 1e-3) > p * 0.99);
        }
    }

    proptest! {
        #[test]
        fn p_values_lie_above_zero_and_fall_with_the_score(
            scores in proptest::collection::vec(-1e3_f32..1e3, 1..600),
            a in -2e3_f32..2e3, b in -2e3_f32..2e3, clean: bool,
        ) {
            let data = if clean { TrainingData::Clean } else { TrainingData::Unlabelled };
            let fitted = Calibration::fit(scores, data, false);
            let (low, high) = (a.min(b), a.max(b));
            let (p_low, p_high) = (fitted.p_value(low), fitted.p_value(high));
            prop_assert!(p_high > 0.0 && p_low <= 1.0);
            // Where tail and ranks meet, the step is at most one rank.
            let ordinary = fitted.ordinary().len();
            prop_assert!(p_high <= p_low + 1.0 / (ordinary + 1) as f64 + 1e-12);
        }

        #[test]
        fn where_rows_are_doubtful_the_rate_on_all_that_may_be_normal_is_bounded(
            ranks in proptest::collection::vec(1e-4_f32..1.0, 1..600),
            shape in 0.5_f32..1.5, budget in 1e-3..0.5_f64,
        ) {
            let scores = ranks.into_iter().map(|rank| rank.powf(-shape)).collect();
            let fitted = Calibration::fit(scores, TrainingData::Unlabelled, false);
            let rows = &fitted.scores()[..fitted.rows() - fitted.suspects().outlying];
            let flagged = rows.iter().filter(|&&score| fitted.p_value(score) <= budget).count();
            let most = DOUBT * budget * (rows.len() + 1) as f64;
            prop_assert!(fitted.suspects().doubtful == 0 || flagged as f64 <= most);
        }

        #[test]
        fn without_a_tail_no_p_value_lies_below_one_in_rows_plus_one(
            scores in proptest::collection::vec(-1e3_f32..1e3, 0..600), score: f32, clean: bool,
        ) {
            let data = if clean { TrainingData::Clean } else { TrainingData::Unlabelled };
            let fitted = Calibration::fit(scores, data, false);
            let least = 1.0 / (fitted.rows() + 1) as f64;
            prop_assert!(fitted.tail().is_some() || fitted.p_value(score) >= least);
            prop_assert!(fitted.p_value(score) >= fitted.resolution());
        }
    }
}
