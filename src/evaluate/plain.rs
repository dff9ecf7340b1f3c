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
        let (specs, table, times) = collection.into_rows();
        let (encoding, table) = Encoding::fit(&specs, table)
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
            rate: records_per_day(&times),
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

fn records_per_day(times: &[f64]) -> Option<f64> {
    let (first, last) = times.first().zip(times.last())?;
    let days = (last - first) / 86_400.0;
    (days > 0.0).then(|| times.len() as f64 / days)
}
