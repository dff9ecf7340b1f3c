//! Which calibration scores may be those of outliers, where nothing is labelled.
//!
//! Whether a high score is an outlier's or that of a rare normal row cannot be told for sure. So
//! there are two bounds: beyond the one no believable tail reaches, beyond the other it is open.

use serde::{Deserialize, Serialize};

/// The axis on which a tail is judged: 0 at the median of the scores, 1 at this quantile.
const UPPER: f64 = 0.9;

/// The shape of the heaviest Pareto tail that can be one population's: from 1 on it has no mean.
/// Measured on 12 tabular sets: at 1, normal rows of mammography are cut; from 1.1 to 1.4 none, and
/// the outliers of PageBlocks still are; at 1.6 not even those.
const HEAVIEST: f64 = 1.2;

/// Only so large a share of the rows, the oddest, is judged by it: nearer to the quantile that the
/// axis is taken from, chance crosses it.
const JUDGED: f64 = 0.05;

/// How many of the highest calibration scores are taken for outliers, and how many of the next
/// may be.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Suspects {
    /// Beyond the heaviest believable tail.
    pub outlying: usize,
    /// Beyond the outer fence of what remains.
    pub doubtful: usize,
}

impl Suspects {
    /// Among the scores `sorted` (ascending and finite).
    pub(super) fn among(sorted: &[f32]) -> Suspects {
        let within = &sorted[..within_believable_tail(sorted)];
        let fence = outer_fence(within);
        let ordinary = within.partition_point(|&score| score <= fence);
        Suspects {
            outlying: sorted.len() - within.len(),
            doubtful: within.len() - ordinary,
        }
    }

    pub(super) fn all(&self) -> usize {
        self.outlying + self.doubtful
    }
}

/// How many scores lie before the first that a Pareto tail through the median and the upper
/// quantile, of the heaviest shape, does not reach at its rank.
fn within_believable_tail(sorted: &[f32]) -> usize {
    let rows = sorted.len();
    let (Some(middle), Some(upper)) = (quantile(sorted, 0.5), quantile(sorted, UPPER)) else {
        return rows;
    };
    let spread = f64::from(upper) - f64::from(middle);
    if spread <= 0.0 {
        return rows;
    }
    let judged = rows - (rows as f64 * JUDGED) as usize;
    let beyond = |row: &usize| {
        let as_odd = (rows - row) as f64 / (rows + 1) as f64;
        let along = 1.0 + (f64::from(sorted[*row]) - f64::from(middle)) / spread;
        along > 2.0 * ((1.0 - UPPER) / as_odd).powf(HEAVIEST)
    };
    (judged..rows).find(beyond).unwrap_or(rows)
}

/// The score beyond the upper quartile plus three interquartile ranges (Tukey 1977), on a
/// logarithmic axis.
fn outer_fence(sorted: &[f32]) -> f32 {
    match (quantile(sorted, 0.25), quantile(sorted, 0.75)) {
        (Some(lower), Some(upper)) if lower < upper => {
            let (lower, upper) = (logarithmic(lower), logarithmic(upper));
            let fence = upper + 3.0 * (upper - lower);
            (fence.signum() * fence.abs().exp_m1()) as f32
        }
        _ => f32::INFINITY,
    }
}

/// By nearest rank; `None` of nothing.
fn quantile(sorted: &[f32], share: f64) -> Option<f32> {
    let last = sorted.len().saturating_sub(1) as f64;
    sorted.get((share * last).round() as usize).copied()
}

/// sign(s) ln(1 + |s|): a logarithmic axis that holds negative scores as well.
fn logarithmic(score: f32) -> f64 {
    let score = f64::from(score);
    score.signum() * score.abs().ln_1p()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Quantiles of a Pareto tail of this shape, ascending.
    fn pareto(rows: u32, shape: f64) -> Vec<f32> {
        let quantile = |rank: u32| ((f64::from(rows - rank) - 0.5) / f64::from(rows)).powf(-shape);
        (0..rows).map(|rank| quantile(rank) as f32).collect()
    }

    #[test]
    fn a_light_tail_has_no_suspects() {
        let exponential: Vec<f32> = pareto(2000, 1.0).iter().map(|score| score.ln()).collect();
        assert_eq!(Suspects::among(&exponential), Suspects::default());
    }

    #[test]
    fn a_heavy_tail_is_doubtful_and_none_of_it_taken_for_outliers() {
        let suspects = Suspects::among(&pareto(2000, 0.9));
        assert_eq!(suspects.outlying, 0);
        assert!(suspects.doubtful > 20, "{suspects:?}");
    }

    #[test]
    fn a_cluster_that_no_tail_reaches_is_outlying() {
        let mut scores = pareto(1000, 0.2);
        scores.extend([500.0; 20]);
        assert_eq!(Suspects::among(&scores).outlying, 20);
    }

    #[test]
    fn equal_scores_and_none_have_no_suspects() {
        assert_eq!(Suspects::among(&[]), Suspects::default());
        assert_eq!(Suspects::among(&[3.0; 500]), Suspects::default());
    }

    proptest! {
        #[test]
        fn suspects_are_a_minority_and_only_the_oddest_can_be_outlying(
            mut scores in proptest::collection::vec(-1e3_f32..1e3, 1..400), power in 1..4,
        ) {
            scores.iter_mut().for_each(|score| *score = score.powi(power));
            scores.sort_unstable_by(f32::total_cmp);
            let suspects = Suspects::among(&scores);
            prop_assert!(suspects.outlying as f64 <= JUDGED * scores.len() as f64);
            prop_assert!(suspects.all() * 3 <= scores.len());
        }
    }
}
