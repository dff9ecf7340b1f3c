//! What is measured of a detector.

use std::collections::BTreeMap;

use super::{DailyScore, OperatingPoint, Ranking, RankingError, card_precision};

/// Keys that an investigator looks at in a day, as in the Fraud Detection Handbook.
const CARDS_A_DAY: usize = 100;

const DAY: f64 = 86_400.0;

/// What is known of the scored rows.
#[derive(Debug, Clone, Default)]
pub struct Truth {
    pub anomalous: Vec<bool>,
    /// What each row belongs to; empty if that was not asked for.
    pub keys: Vec<Option<String>>,
    /// Seconds since 1970; empty if that was not asked for.
    pub times: Vec<f64>,
}

/// What a detector made of the scored rows once.
#[derive(Debug, Clone)]
pub struct Run {
    pub name: String,
    /// One a row, higher for odder rows.
    pub scores: Vec<f32>,
    /// Which rows are flagged at the budget. A member alone has no calibration of its own: none.
    pub flagged: Option<Vec<bool>>,
    /// Wall time of training, seconds.
    pub train_s: Option<f64>,
    /// Wall time of scoring on one thread, microseconds a row, from cells to score.
    pub score_us: Option<f64>,
    /// How many of the training rows it was fitted on, where there is a cap on them.
    pub capped_at: Option<usize>,
}

/// The figures of one run. `None` where a figure is not defined.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Figures {
    pub auroc: Option<f64>,
    pub average_precision: Option<f64>,
    /// At the budget.
    pub false_alarm_rate: Option<f64>,
    pub recall: Option<f64>,
    pub precision: Option<f64>,
    pub train_s: Option<f64>,
    pub score_us: Option<f64>,
    /// Keys with rows of both classes, and the means of their areas.
    pub keys: Option<usize>,
    pub key_auroc: Option<f64>,
    pub key_average_precision: Option<f64>,
    /// Card precision at 100 a day.
    pub card_precision: Option<f64>,
}

/// A detector's figures over all seeds.
#[derive(Debug, Clone, PartialEq)]
pub struct Outcome {
    pub name: String,
    pub capped_at: Option<usize>,
    /// One a seed; one alone for a detector without chance.
    pub runs: Vec<Figures>,
}

/// A mean over runs, and their standard deviation (of a sample) if they are two or more.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Spread {
    pub mean: f64,
    pub deviation: Option<f64>,
}

impl Figures {
    /// # Errors
    /// The scores are not one a row, or one is not a number.
    pub fn of(run: &Run, truth: &Truth) -> Result<Figures, RankingError> {
        let ranking = Ranking::new(&run.scores, &truth.anomalous)?;
        let point = run.flagged.as_ref();
        let point = point.map(|flagged| operating_point(flagged, &truth.anomalous));
        let mut figures = Figures {
            auroc: ranking.auroc(),
            average_precision: ranking.average_precision(),
            false_alarm_rate: point.and_then(|point| point.false_alarm_rate),
            recall: point.and_then(|point| point.recall),
            precision: point.and_then(|point| point.precision),
            train_s: run.train_s,
            score_us: run.score_us,
            ..Figures::default()
        };
        if !truth.keys.is_empty() {
            figures.add_keys(run, truth)?;
        }
        Ok(figures)
    }

    fn add_keys(&mut self, run: &Run, truth: &Truth) -> Result<(), RankingError> {
        let mut keys: BTreeMap<&str, (Vec<f32>, Vec<bool>)> = BTreeMap::new();
        let rows = run.scores.iter().zip(&truth.anomalous).zip(&truth.keys);
        for ((&score, &anomalous), key) in rows {
            let Some(key) = key else { continue };
            let (scores, labels) = keys.entry(key).or_default();
            scores.push(score);
            labels.push(anomalous);
        }
        let mut areas = Vec::new();
        for (scores, labels) in keys.values() {
            let ranking = Ranking::new(scores, labels)?;
            areas.extend(ranking.auroc().zip(ranking.average_precision()));
        }
        self.keys = Some(areas.len());
        self.key_auroc = mean(areas.iter().map(|area| area.0));
        self.key_average_precision = mean(areas.iter().map(|area| area.1));
        if truth.times.is_empty() {
            return Ok(());
        }
        let rows = run.scores.iter().enumerate().filter_map(|(row, &score)| {
            Some(DailyScore {
                day: (truth.times[row] / DAY).floor() as i64,
                key: truth.keys[row].as_deref()?,
                score,
                anomalous: truth.anomalous[row],
            })
        });
        self.card_precision = card_precision(&rows.collect::<Vec<_>>(), CARDS_A_DAY);
        Ok(())
    }
}

impl Outcome {
    /// The mean of a figure over the runs in which it is defined.
    pub fn spread(&self, of: impl Fn(&Figures) -> Option<f64>) -> Option<Spread> {
        Spread::of(self.runs.iter().filter_map(of))
    }

    /// [`Outcome::spread`] without the spread.
    pub fn mean(&self, of: impl Fn(&Figures) -> Option<f64>) -> Option<f64> {
        self.spread(of).map(|spread| spread.mean)
    }
}

impl Spread {
    /// `None` of nothing.
    pub fn of(values: impl Iterator<Item = f64>) -> Option<Spread> {
        let values: Vec<f64> = values.collect();
        let mean = mean(values.iter().copied())?;
        let squares: f64 = values.iter().map(|value| (value - mean).powi(2)).sum();
        let degrees = values.len() - 1;
        Some(Spread {
            mean,
            deviation: (degrees > 0).then(|| (squares / degrees as f64).sqrt()),
        })
    }
}

fn mean(values: impl Iterator<Item = f64>) -> Option<f64> {
    let (count, sum) = values.fold((0, 0.0), |(count, sum), value| (count + 1, sum + value));
    (count > 0).then(|| sum / f64::from(count))
}

/// What becomes of the rows if those that are flagged are called anomalies.
fn operating_point(flagged: &[bool], anomalous: &[bool]) -> OperatingPoint {
    let count = |anomaly: bool, flag: bool| {
        let of = flagged.iter().zip(anomalous);
        of.filter(|&(&flagged, &anomalous)| anomalous == anomaly && (flagged || !flag))
            .count() as f64
    };
    let share = |part: f64, whole: f64| (whole > 0.0).then(|| part / whole);
    let (hits, alarms) = (count(true, true), count(false, true));
    OperatingPoint {
        precision: share(hits, hits + alarms),
        recall: share(hits, count(true, false)),
        false_alarm_rate: share(alarms, count(false, false)),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn run(scores: &[f32]) -> Run {
        Run {
            name: "some".into(),
            scores: scores.to_vec(),
            flagged: Some(scores.iter().map(|&score| score > 2.5).collect()),
            train_s: None,
            score_us: Some(1.0),
            capped_at: None,
        }
    }

    #[test]
    fn figures_are_those_of_the_ranking_and_of_the_flags() {
        let truth = Truth {
            anomalous: vec![false, true, false, true, false],
            ..Truth::default()
        };
        let found = Figures::of(&run(&[0.0, 9.0, 3.0, 2.0, 1.0]), &truth).unwrap();
        assert_eq!(found.auroc, Some(5.0 / 6.0));
        assert_eq!((found.recall, found.precision), (Some(0.5), Some(0.5)));
        assert_eq!(found.false_alarm_rate, Some(1.0 / 3.0));
        assert_eq!((found.keys, found.train_s), (None, None));
        let quiet = Figures::of(&run(&[0.0; 5]), &truth).unwrap();
        assert_eq!((quiet.precision, quiet.recall), (None, Some(0.0)));
        let mut alone = run(&[0.0; 5]);
        alone.flagged = None;
        let alone = Figures::of(&alone, &truth).unwrap();
        assert_eq!((alone.recall, alone.auroc), (None, Some(0.5)));
    }

    #[test]
    fn keys_count_if_they_have_rows_of_both_classes() {
        let key = |name: &str| Some(name.to_owned());
        let truth = Truth {
            anomalous: vec![false, true, false, true, true],
            keys: vec![key("a"), key("a"), key("b"), key("b"), None],
            times: vec![0.0, 1.0, 86_400.0, 86_401.0, 5.0],
        };
        let found = Figures::of(&run(&[0.0, 9.0, 3.0, 2.0, 1.0]), &truth).unwrap();
        assert_eq!((found.keys, found.key_auroc), (Some(2), Some(0.5)));
        assert_eq!(found.key_average_precision, Some(0.75));
        assert_eq!(found.card_precision, Some(1.0));
    }

    #[test]
    fn a_spread_is_mean_and_sample_deviation() {
        let spread = Spread::of([1.0, 3.0].into_iter()).unwrap();
        assert_eq!(spread.mean, 2.0);
        assert!((spread.deviation.unwrap() - 2.0_f64.sqrt()).abs() < 1e-12);
        assert_eq!(Spread::of([1.0].into_iter()).unwrap().deviation, None);
        assert_eq!(Spread::of(std::iter::empty()), None);
    }
}
