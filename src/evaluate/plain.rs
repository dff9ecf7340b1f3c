//! The detectors to compare with, fitted to the same rows.

use std::time::Instant;

use super::baselines::{self, Autoencoder, BaselineError, Kind};
use super::cells::{Columns, collect, decode};
use super::{EvaluationError, Run, Trial};
use crate::config::{Budget, TrainingData};
use crate::detect::{Calibration, Threshold};
use crate::features::Encoding;
use crate::training::Fold;
use crate::vae::Shape;

/// The rows of a trial as plain detectors see them.
pub(super) struct Plain {
    train: Columns,
    test: Columns,
    shape: Shape,
    fold: Fold,
    /// Seconds that encoding takes for one of the scored rows.
    encoding_s: f64,
    /// Records a day in training, where times are known.
    rate: Option<f64>,
}

/// A detector that was made for comparison.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Which {
    Autoencoder,
    Kind(Kind),
}

impl Which {
    pub fn name(self) -> &'static str {
        match self {
            Which::Autoencoder => Autoencoder::NAME,
            Which::Kind(kind) => kind.name(),
        }
    }
}

impl Plain {
    /// Scales and words are those of all training rows, as for the model.
    pub fn new(trial: &Trial) -> Result<Plain, EvaluationError> {
        let rows = trial.trained();
        let collection = collect(&trial.fields, &trial.input, trial.train.max_rows, rows)?;
        let material = collection.into_material();
        let rate = material.records_per_day();
        let (encoding, table) = Encoding::fit(&material.fields, material.table)
            .map_err(|error| EvaluationError::Training(error.into()))?;
        let cells = decode(&encoding, &trial.fields, &trial.input, trial.tested())?;
        let began = Instant::now();
        let test = Columns::of_cells(&encoding, &cells);
        let encoding_s = began.elapsed().as_secs_f64() / test.count() as f64;
        Ok(Plain {
            train: Columns::of_table(&encoding, &table),
            shape: Shape {
                heads: encoding.heads(),
                hidden: trial.train.hidden,
                latent: trial.train.latent,
            },
            fold: Fold::stretches(table.rows(), trial.train.calibration_share),
            rate,
            test,
            encoding_s,
        })
    }

    /// Whether another seed could give other scores.
    pub fn depends_on_chance(&self, which: Which) -> bool {
        let capped = self.train.count() > baselines::MOST_ROWS;
        match which {
            Which::Kind(Kind::Pca | Kind::SquaredZ) => false,
            Which::Kind(Kind::NearestNeighbours) => capped,
            Which::Kind(_) | Which::Autoencoder => true,
        }
    }

    /// Fits a detector to all training rows, and scores the rows with it: that is its ranking, and
    /// what its times are of.
    ///
    /// It brings no threshold of its own. So it is fitted a second time, to the rows that a model's
    /// networks are fitted on, and calibrated on those that calibrate a model's: a row is flagged if
    /// its conformal p-value among them is within the budget, both by the scores of the second fit.
    /// No row calibrates a detector that was fitted on it, and all detectors have the same promise.
    pub fn run(&self, which: Which, trial: &Trial, seed: u64) -> Result<Run, EvaluationError> {
        let failed = |source| EvaluationError::Baseline {
            name: which.name().to_owned(),
            source,
        };
        let steps = trial.train.max_steps;
        let fit = |rows: &Columns, score: &[&Columns]| {
            fit(which, &self.shape, rows, score, steps, seed).map_err(failed)
        };
        let first = fit(&self.train, &[&self.test])?;
        let held_out = self.train.select(&self.fold.calibrate);
        let second = fit(&self.train.select(&self.fold.fit), &[&held_out, &self.test])?;
        let [calibrating, judged] = &second.scores[..] else {
            return Err(failed(BaselineError::TooFewRows { rows: 0 }));
        };
        let flagged = self.flags(calibrating, judged, trial.budget)?;
        let scoring = first.score_s / self.test.count() as f64 + self.encoding_s;
        Ok(Run {
            name: which.name().to_owned(),
            scores: first.scores.into_iter().flatten().collect(),
            flagged: Some(flagged),
            train_s: Some(first.train_s),
            score_us: Some(scoring * 1e6),
            capped_at: (first.rows < trial.split.train.len()).then_some(first.rows),
        })
    }

    fn flags(
        &self,
        calibrating: &[f32],
        scores: &[f32],
        budget: Budget,
    ) -> Result<Vec<bool>, EvaluationError> {
        let known = Calibration::fit(calibrating.to_vec(), TrainingData::Clean, false);
        let threshold = Threshold::new(budget, &known, self.rate);
        let threshold = threshold.map_err(|_| {
            EvaluationError::Usage(format!(
                "--budget {budget} needs the rate of records: name --time, or a share such as \"1%\""
            ))
        })?;
        let within = |&score: &f32| known.p_value(score) <= threshold.p;
        Ok(scores.iter().map(within).collect())
    }
}

/// A fit with the scores that it gives, and the seconds that both took.
struct Fit {
    /// By set of rows.
    scores: Vec<Vec<f32>>,
    train_s: f64,
    score_s: f64,
    rows: usize,
}

fn fit(
    which: Which,
    shape: &Shape,
    rows: &Columns,
    score: &[&Columns],
    max_steps: usize,
    seed: u64,
) -> Result<Fit, BaselineError> {
    let began = Instant::now();
    let (scores, fitted, trained) = match which {
        Which::Autoencoder => {
            let fitted = Autoencoder::fit(shape, rows.rows(shape)?, max_steps, seed)?;
            let trained = began.elapsed();
            let scores = score.iter().map(|rows| fitted.scores(rows.rows(shape)?));
            let scores = scores.collect::<Result<_, _>>()?;
            (scores, fitted.fitted_rows(), trained)
        }
        Which::Kind(kind) => {
            let matrices = score.iter().map(|rows| rows.matrix());
            let matrices: Vec<_> = matrices.collect::<Result<_, _>>()?;
            let rows = rows.matrix()?;
            let began_fit = Instant::now();
            let fitted = baselines::fit(kind, &rows, seed)?;
            let trained = began_fit.elapsed() + (began_fit - began);
            let scores = matrices.iter().map(|rows| fitted.scores(rows)).collect();
            (scores, fitted.fitted_rows(), trained)
        }
    };
    Ok(Fit {
        scores,
        train_s: trained.as_secs_f64(),
        score_s: (began.elapsed().saturating_sub(trained)).as_secs_f64(),
        rows: fitted,
    })
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::evaluate::Protocol;
    use crate::evaluate::contest::tests::trial;

    /// Flags by the definition: a fit without the rows held out, and the share of those, the new one
    /// among them, that score at least as high.
    fn expected(plain: &Plain, kind: Kind, share: f64) -> Vec<bool> {
        let matrix = |columns: &Columns| columns.matrix().unwrap();
        let fitted = matrix(&plain.train.select(&plain.fold.fit));
        let fitted = baselines::fit(kind, &fitted, 1).unwrap();
        let held_out = fitted.scores(&matrix(&plain.train.select(&plain.fold.calibrate)));
        let all = (held_out.len() + 1) as f64;
        let flag = |&score: &f32| {
            let as_odd = held_out.iter().filter(|&&known| known >= score).count();
            (as_odd + 1) as f64 / all <= share.max(1.0 / all)
        };
        let scores = fitted.scores(&matrix(&plain.test));
        scores.iter().map(flag).collect()
    }

    #[test]
    fn a_row_is_flagged_by_held_out_rows_of_a_fit_without_them() {
        let mut trial = trial(Protocol::OneClass, "knn");
        for share in [0.2, 0.05, 1e-4] {
            trial.budget = Budget::Share(share);
            let plain = Plain::new(&trial).unwrap();
            let run = plain.run(Which::Kind(Kind::NearestNeighbours), &trial, 1);
            let flagged = run.unwrap().flagged.unwrap();
            assert!(flagged.contains(&true), "{share}");
            let expected = expected(&plain, Kind::NearestNeighbours, share);
            assert_eq!(flagged, expected, "{share}");
        }
    }

    #[test]
    fn a_ranking_is_that_of_a_fit_to_all_training_rows() {
        let trial = trial(Protocol::OneClass, "knn");
        let plain = Plain::new(&trial).unwrap();
        assert_eq!((plain.train.count(), plain.test.count()), (135, 165));
        let kind = Kind::NearestNeighbours;
        let run = plain.run(Which::Kind(kind), &trial, 1).unwrap();
        let fitted = baselines::fit(kind, &plain.train.matrix().unwrap(), 1).unwrap();
        assert_eq!(run.scores, fitted.scores(&plain.test.matrix().unwrap()));
        assert_eq!(run.capped_at, None);
        assert!(!plain.depends_on_chance(Which::Kind(kind)));
    }

    #[test]
    fn a_budget_a_day_takes_the_rate_from_the_times() {
        let mut trial = trial(Protocol::OneClass, "z2");
        // A row every ten minutes, of which the protocol trains on nine in ten.
        trial.budget = Budget::PerDay(13.0);
        let plain = Plain::new(&trial).unwrap();
        assert!(
            (plain.rate.unwrap() - 130.0).abs() < 2.0,
            "{:?}",
            plain.rate
        );
        let which = Which::Kind(Kind::SquaredZ);
        let a_day = plain.run(which, &trial, 1).unwrap().flagged;
        assert_eq!(a_day.unwrap(), expected(&plain, Kind::SquaredZ, 0.1));
        for record in &mut trial.records {
            record.time = None;
        }
        let refused = Plain::new(&trial).unwrap().run(which, &trial, 1);
        assert!(refused.unwrap_err().to_string().contains("name --time"));
    }
}
