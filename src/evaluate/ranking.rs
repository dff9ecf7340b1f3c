//! How well scores rank anomalies above normal rows.

/// Points of a curve at most: a plot shows no more.
const CURVE_POINTS: usize = 500;

/// Rows in the order of their scores, the highest first, equal scores together.
#[derive(Debug, Clone, PartialEq)]
pub struct Ranking {
    levels: Vec<Level>,
    anomalies: usize,
    normals: usize,
}

/// What lies at or above one of the scores.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Level {
    score: f32,
    hits: usize,
    false_alarms: usize,
}

/// What a threshold does. Each is a share in [0, 1].
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct OperatingPoint {
    /// Anomalies among the rows at or above the threshold; `None` if there are no such rows.
    pub precision: Option<f64>,
    /// Anomalies at or above the threshold among all anomalies; `None` without anomalies.
    pub recall: Option<f64>,
    /// Normal rows at or above the threshold among all normal rows; `None` without normal rows.
    pub false_alarm_rate: Option<f64>,
}

/// A point of a curve in the unit square.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Point {
    pub x: f64,
    pub y: f64,
}

/// Why scores rank nothing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RankingError {
    #[error("there are {scores} scores for {labels} labels, one each is needed")]
    Lengths { scores: usize, labels: usize },
    #[error(
        "the score of row {row} (counted from 0) is not a number; this is a defect of the detector, \
         please report it"
    )]
    NotANumber { row: usize },
}

impl Ranking {
    /// Ranks rows by `scores`, of which higher ones are odder; `anomalous` says which rows are
    /// anomalies. Infinite scores are scores.
    ///
    /// # Errors
    /// The lengths differ, or a score is not a number.
    pub fn new(scores: &[f32], anomalous: &[bool]) -> Result<Ranking, RankingError> {
        if scores.len() != anomalous.len() {
            return Err(RankingError::Lengths {
                scores: scores.len(),
                labels: anomalous.len(),
            });
        }
        if let Some(row) = scores.iter().position(|score| score.is_nan()) {
            return Err(RankingError::NotANumber { row });
        }
        let mut rows: Vec<(f32, bool)> = scores
            .iter()
            .copied()
            .zip(anomalous.iter().copied())
            .collect();
        rows.sort_unstable_by(|a, b| b.0.total_cmp(&a.0));
        let mut levels = Vec::new();
        let (mut hits, mut false_alarms) = (0, 0);
        // `==` and not the order of the sort: 0 and -0 are one score.
        for group in rows.chunk_by(|a, b| a.0 == b.0) {
            let anomalies = group.iter().filter(|row| row.1).count();
            hits += anomalies;
            false_alarms += group.len() - anomalies;
            levels.push(Level {
                score: group[0].0,
                hits,
                false_alarms,
            });
        }
        Ok(Ranking {
            levels,
            anomalies: hits,
            normals: false_alarms,
        })
    }

    #[must_use]
    pub fn rows(&self) -> usize {
        self.anomalies + self.normals
    }

    #[must_use]
    pub fn anomalies(&self) -> usize {
        self.anomalies
    }

    /// The probability that an anomaly scores higher than a normal row, equal scores counted half:
    /// the area under the ROC curve. `None` without anomalies or without normal rows.
    #[must_use]
    pub fn auroc(&self) -> Option<f64> {
        let pairs = self.anomalies as f64 * self.normals as f64;
        let steps = self.steps().map(|(before, level)| {
            let anomalies = (level.hits - before.hits) as f64;
            let tied = (level.false_alarms - before.false_alarms) as f64;
            let below = (self.normals - level.false_alarms) as f64;
            anomalies * (below + tied / 2.0)
        });
        (pairs > 0.0).then(|| steps.sum::<f64>() / pairs)
    }

    /// The sum over the distinct scores, falling, of (R_n - R_(n-1)) P_n, with R the recall and P
    /// the precision at or above the score, as scikit-learn's `average_precision_score` has it.
    /// Unlike the area under the interpolated curve it does not flatter. Scores at random give the
    /// prevalence. `None` without anomalies.
    #[must_use]
    pub fn average_precision(&self) -> Option<f64> {
        let steps = self.steps().map(|(before, level)| {
            let gained = (level.hits - before.hits) as f64;
            gained * level.precision()
        });
        (self.anomalies > 0).then(|| steps.sum::<f64>() / self.anomalies as f64)
    }

    /// What becomes of the rows if those that score at least `threshold` are called anomalies.
    #[must_use]
    pub fn at(&self, threshold: f32) -> OperatingPoint {
        let count = self
            .levels
            .partition_point(|level| level.score >= threshold);
        let flagged = count.checked_sub(1).map(|last| self.levels[last]);
        let (hits, false_alarms) = flagged.map_or((0, 0), |level| (level.hits, level.false_alarms));
        OperatingPoint {
            precision: flagged.map(|level| level.precision()),
            recall: share(hits, self.anomalies),
            false_alarm_rate: share(false_alarms, self.normals),
        }
    }

    /// The receiver operating characteristic: x the false-alarm rate, y the recall, from (0, 0) to
    /// (1, 1), at most 500 points. Empty without anomalies or without normal rows.
    #[must_use]
    pub fn roc_curve(&self) -> Vec<Point> {
        if self.anomalies == 0 || self.normals == 0 {
            return Vec::new();
        }
        let start = Point { x: 0.0, y: 0.0 };
        let points = self.thinned().map(|level| Point {
            x: level.false_alarms as f64 / self.normals as f64,
            y: level.hits as f64 / self.anomalies as f64,
        });
        std::iter::once(start).chain(points).collect()
    }

    /// x the recall, y the precision, from recall 0 (with the precision of the highest score) to
    /// recall 1, at most 500 points. Empty without anomalies.
    #[must_use]
    pub fn precision_recall_curve(&self) -> Vec<Point> {
        if self.anomalies == 0 {
            return Vec::new();
        }
        let start = self.levels.first().map(|level| Point {
            x: 0.0,
            y: level.precision(),
        });
        let points = self.thinned().map(|level| Point {
            x: level.hits as f64 / self.anomalies as f64,
            y: level.precision(),
        });
        start.into_iter().chain(points).collect()
    }

    /// Each level with the one above it.
    fn steps(&self) -> impl Iterator<Item = (Level, Level)> {
        let top = Level {
            score: f32::INFINITY,
            hits: 0,
            false_alarms: 0,
        };
        let before = std::iter::once(top).chain(self.levels.iter().copied());
        before.zip(self.levels.iter().copied())
    }

    /// Levels about equally far apart along the ROC curve, whose length is 2 (it only ever goes up
    /// or to the right); the last one always.
    fn thinned(&self) -> impl Iterator<Item = Level> {
        let least = 2.0 / (CURVE_POINTS - 2) as f64;
        let anomalies = self.anomalies.max(1) as f64;
        let normals = self.normals.max(1) as f64;
        let last = self.levels.len().saturating_sub(1);
        let mut kept = 0.0;
        self.levels
            .iter()
            .enumerate()
            .filter_map(move |(index, level)| {
                let along = level.hits as f64 / anomalies + level.false_alarms as f64 / normals;
                let far = along - kept >= least;
                if far {
                    kept = along;
                }
                (far || index == last).then_some(*level)
            })
    }
}

impl Level {
    fn precision(self) -> f64 {
        self.hits as f64 / (self.hits + self.false_alarms) as f64
    }
}

fn share(part: usize, whole: usize) -> Option<f64> {
    (whole > 0).then(|| part as f64 / whole as f64)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// 30 rows with many ties, every fourth of them an anomaly.
    fn example() -> Ranking {
        let scores: Vec<f32> = (0..30u16)
            .map(|row| f32::from((row * 7 + 3) % 11))
            .collect();
        let anomalous: Vec<bool> = (0..30).map(|row| row % 4 == 1).collect();
        Ranking::new(&scores, &anomalous).unwrap()
    }

    #[test]
    fn areas_agree_with_scikit_learn() {
        // scikit-learn 1.9.1, roc_auc_score and average_precision_score.
        assert!((example().auroc().unwrap() - 0.465_909_090_909_090_83).abs() < 1e-12);
        assert!((example().average_precision().unwrap() - 0.270_597_678_465_325_5).abs() < 1e-12);
    }

    #[test]
    fn a_perfect_ranking_has_areas_of_one_and_constant_scores_say_nothing() {
        let perfect = Ranking::new(&[3.0, 1.0, 2.0, 9.0], &[true, false, false, true]).unwrap();
        assert_eq!(perfect.auroc(), Some(1.0));
        assert_eq!(perfect.average_precision(), Some(1.0));
        let constant = Ranking::new(&[0.0, -0.0, 0.0, 0.0], &[true, false, false, false]).unwrap();
        assert_eq!(constant.auroc(), Some(0.5));
        assert_eq!(constant.average_precision(), Some(0.25));
    }

    #[test]
    fn without_anomalies_or_normal_rows_there_is_no_area() {
        let none = Ranking::new(&[1.0, 2.0], &[false; 2]).unwrap();
        assert_eq!((none.auroc(), none.average_precision()), (None, None));
        assert_eq!(none.at(1.5).false_alarm_rate, Some(0.5));
        assert_eq!(none.at(1.5).recall, None);
        assert!(none.roc_curve().is_empty() && none.precision_recall_curve().is_empty());
        let all = Ranking::new(&[1.0, 2.0], &[true; 2]).unwrap();
        assert_eq!((all.auroc(), all.average_precision()), (None, Some(1.0)));
        assert_eq!(Ranking::new(&[], &[]).unwrap().at(0.0).precision, None);
    }

    #[test]
    fn scores_that_rank_nothing_are_refused() {
        let lengths = RankingError::Lengths {
            scores: 1,
            labels: 2,
        };
        assert_eq!(Ranking::new(&[1.0], &[true; 2]), Err(lengths));
        let undefined = RankingError::NotANumber { row: 1 };
        assert_eq!(Ranking::new(&[1.0, f32::NAN], &[true; 2]), Err(undefined));
        assert!(Ranking::new(&[f32::INFINITY, f32::NEG_INFINITY], &[true; 2]).is_ok());
    }

    #[test]
    fn long_curves_are_thinned_and_keep_their_ends_and_their_area() {
        let rows = 20_000u32;
        let scores: Vec<f32> = (0..rows).map(|row| (row * 7919 % rows) as f32).collect();
        let anomalous: Vec<bool> = scores
            .iter()
            .map(|&score| (score as u32).is_multiple_of(50))
            .collect();
        let ranking = Ranking::new(&scores, &anomalous).unwrap();
        let (roc, precision) = (ranking.roc_curve(), ranking.precision_recall_curve());
        for curve in [&roc, &precision] {
            assert!(
                (300..=CURVE_POINTS).contains(&curve.len()),
                "{}",
                curve.len()
            );
            assert_eq!((curve[0].x, curve[curve.len() - 1].x), (0.0, 1.0));
        }
        assert_eq!(roc[roc.len() - 1].y, 1.0);
        let area: f64 = roc
            .windows(2)
            .map(|pair| (pair[1].x - pair[0].x) * (pair[0].y + pair[1].y) / 2.0)
            .sum();
        assert!((area - ranking.auroc().unwrap()).abs() < 2e-3);
    }

    fn labelled() -> impl Strategy<Value = Vec<(f32, bool)>> {
        // Few distinct scores, so that there are ties.
        proptest::collection::vec(((-4_i8..4).prop_map(f32::from), any::<bool>()), 1..40)
    }

    proptest! {
        #[test]
        fn the_area_is_the_share_of_pairs_in_order(rows in labelled()) {
            let (scores, anomalous): (Vec<_>, Vec<_>) = rows.iter().copied().unzip();
            let (mut pairs, mut ordered) = (0.0, 0.0);
            for odd in rows.iter().filter(|row| row.1) {
                for normal in rows.iter().filter(|row| !row.1) {
                    pairs += 1.0;
                    ordered += f64::from(u8::from(odd.0 > normal.0));
                    ordered += 0.5 * f64::from(u8::from(odd.0 == normal.0));
                }
            }
            let expected = (pairs > 0.0).then(|| ordered / pairs);
            let found = Ranking::new(&scores, &anomalous).unwrap().auroc();
            prop_assert_eq!(found.is_some(), expected.is_some());
            prop_assert!((found.unwrap_or(0.0) - expected.unwrap_or(0.0)).abs() < 1e-12);
        }

        #[test]
        fn average_precision_is_the_mean_over_anomalies_of_the_precision_at_their_score(
            rows in labelled(),
        ) {
            let (scores, anomalous): (Vec<_>, Vec<_>) = rows.iter().copied().unzip();
            let odd: Vec<f32> = rows.iter().filter(|row| row.1).map(|row| row.0).collect();
            let precision = |score: f32| {
                let hits = odd.iter().filter(|&&other| other >= score).count();
                let flagged = scores.iter().filter(|&&other| other >= score).count();
                hits as f64 / flagged as f64
            };
            let sum: f64 = odd.iter().map(|&score| precision(score)).sum();
            let found = Ranking::new(&scores, &anomalous).unwrap().average_precision();
            prop_assert_eq!(found.is_some(), !odd.is_empty());
            prop_assert!((found.unwrap_or(0.0) * odd.len() as f64 - sum).abs() < 1e-9);
        }

        #[test]
        fn a_threshold_flags_what_is_at_or_above_it(rows in labelled(), threshold in -5_i8..5) {
            let (scores, anomalous): (Vec<_>, Vec<_>) = rows.iter().copied().unzip();
            let threshold = f32::from(threshold);
            let count = |anomaly: bool, flagged: bool| {
                let of = rows.iter().filter(|row| row.1 == anomaly);
                of.filter(|row| !flagged || row.0 >= threshold).count()
            };
            let (hits, alarms) = (count(true, true), count(false, true));
            let found = Ranking::new(&scores, &anomalous).unwrap().at(threshold);
            prop_assert_eq!(found.precision, share(hits, hits + alarms));
            prop_assert_eq!(found.recall, share(hits, count(true, false)));
            prop_assert_eq!(found.false_alarm_rate, share(alarms, count(false, false)));
        }
    }
}
