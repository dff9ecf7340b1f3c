//! From collected rows to a model.

use std::ops::ControlFlow;
use std::sync::Arc;

use super::collection::{Collection, Source};
use super::encoded::Encoded;
use super::fold::{Plan, plan};
use super::quantiles::{quantile, sorted};
use super::terms::Terms;
use super::trainer::{Trained, Trainer};
use crate::config::Train;
use crate::detect::{
    Calibration, Detector, Fitted, Golden, Model, Policy, Provenance, Standard, mean_score,
};
use crate::features::{Encoding, FitError, Table};
use crate::vae::{RowsError, Shape, TrainError, WeightError};

/// Fewer rows than this make no model.
pub const LEAST_ROWS: usize = 50;

/// Rows kept in the model with their scores, to check it by.
const GOLDEN_ROWS: usize = 8;

/// Calibration scores kept at most: beyond, their quantiles do not move.
const MOST_SCORES: usize = 50_000;

/// Why there is no model.
#[derive(Debug, thiserror::Error)]
pub enum TrainingError {
    #[error(
        "{rows} usable rows are too few to learn from, {LEAST_ROWS} are the least ({rejected} \
         records were unusable{first}): give a longer time range or check the fields"
    )]
    TooFewRows {
        rows: usize,
        rejected: usize,
        first: String,
    },
    #[error(transparent)]
    Fit(#[from] FitError),
    #[error(transparent)]
    Train(#[from] TrainError),
    #[error("the trained network cannot be used: {0}; this is a defect, please report it")]
    Weights(#[from] WeightError),
    #[error("the encoded rows cannot be used: {0}; this is a defect, please report it")]
    Rows(#[from] RowsError),
}

/// How far the training is.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Progress {
    /// Optimiser steps done and to do, over all networks.
    pub step: usize,
    pub steps: usize,
    /// Of the network at hand.
    pub loss: f32,
}

/// Learns a model from what was collected. `created`: now, RFC 3339. `progress` may end the
/// training.
///
/// # Errors
/// When the rows are too few or do not vary, or the training diverges or is ended.
pub fn learn(
    collection: Collection,
    source: Source,
    settings: &Train,
    created: String,
    progress: &mut dyn FnMut(Progress) -> ControlFlow<()>,
) -> Result<Model, TrainingError> {
    let rejected = collection.rejected().values().sum();
    let first = collection
        .first_error()
        .map(|error| format!(", the first: {error}"));
    let (specs, table, times) = collection.into_rows();
    if table.rows() < LEAST_ROWS {
        return Err(TrainingError::TooFewRows {
            rows: table.rows(),
            rejected,
            first: first.unwrap_or_default(),
        });
    }
    let plan = plan(table.rows(), settings.calibration_share);
    let (encoding, table) = Encoding::fit(&specs, table)?;
    let shape = Shape {
        heads: encoding.heads(),
        hidden: settings.hidden,
        latent: settings.latent,
    };
    let rows = Encoded::new(&encoding, &table);
    let mut trainer = Trainer::new(&shape, settings, rows.count, &plan, progress);
    let (members, terms) = match &plan {
        Plan::HoldOut(fold) => {
            let members = trainer.ensemble(&rows.select(&fold.fit))?;
            let terms = Terms::of(&shape, &members, &rows.select(&fold.calibrate))?;
            (members, terms)
        }
        Plan::CrossFit(folds) => {
            let mut terms = Terms::default();
            for fold in folds {
                let members = trainer.ensemble(&rows.select(&fold.fit))?;
                let block = rows.select(&fold.calibrate);
                terms.append(Terms::of(&shape, &members, &block)?);
            }
            (trainer.ensemble(&rows)?, terms)
        }
    };
    let provenance = provenance(source, settings, created, &times, rejected);
    let cross_fitted = matches!(plan, Plan::CrossFit(_));
    let mut model = assemble(encoding, shape, members, &terms, cross_fitted, provenance);
    model.golden = golden_rows(&model, &table)?;
    Ok(model)
}

fn assemble(
    encoding: Encoding,
    shape: Shape,
    members: Vec<Trained>,
    terms: &Terms,
    cross_fitted: bool,
    provenance: Provenance,
) -> Model {
    let mut fitted = Vec::with_capacity(members.len());
    for (index, Trained { member, mixture }) in members.into_iter().enumerate() {
        let heads = terms.heads[index].iter();
        fitted.push(Fitted {
            member,
            mixture,
            nll: standard(&terms.nll[index]),
            code_nll: standard(&terms.code_nll[index]),
            head_medians: heads.map(|nll| quantile(&sorted(nll), 0.5)).collect(),
        });
    }
    let scores: Vec<f32> = (0..terms.rows)
        .map(|row| {
            mean_score(fitted.iter().enumerate().map(|(index, fitted)| {
                fitted.score(terms.nll[index][row], terms.code_nll[index][row])
            }))
        })
        .collect();
    // Evenly thinned in time, not by size: what remains is a sample of the same distribution.
    let step = scores.len().div_ceil(MOST_SCORES).max(1);
    let scores = scores.into_iter().step_by(step).collect();
    Model {
        encoding,
        shape,
        members: fitted,
        calibration: Calibration::fit(scores, provenance.data, cross_fitted),
        held_out: terms.held_out(),
        provenance,
        golden: Vec::new(),
    }
}

/// Median and 0.9 quantile as 0 and 1.
fn standard(values: &[f32]) -> Standard {
    let sorted = sorted(values);
    let center = quantile(&sorted, 0.5);
    Standard {
        center,
        spread: (quantile(&sorted, 0.9) - center).max(1e-3),
    }
}

fn golden_rows(model: &Model, table: &Table) -> Result<Vec<Golden>, TrainingError> {
    let every = (table.rows() / GOLDEN_ROWS).max(1);
    let chosen = table.select((0..table.rows()).step_by(every).take(GOLDEN_ROWS));
    let policy = Arc::new(Policy::open(table.fields()));
    let mut detector = Detector::new(Arc::new(model.clone()), policy)?;
    chosen
        .iter()
        .map(|cells| Ok(Golden::new(cells, detector.score(cells)?[0].score)))
        .collect()
}

fn provenance(
    source: Source,
    settings: &Train,
    created: String,
    times: &[f64],
    rejected: usize,
) -> Provenance {
    let known = !times.iter().any(|time| time.is_nan());
    let ends = times.first().zip(times.last()).filter(|_| known);
    let rfc3339 = |&seconds: &f64| {
        jiff::Timestamp::from_millisecond((seconds * 1000.0) as i64)
            .map(|time| time.to_string())
            .ok()
    };
    Provenance {
        created,
        source: source.name,
        offsets: source.offsets,
        rows: times.len(),
        rejected,
        from: ends.and_then(|(first, _)| rfc3339(first)),
        to: ends.and_then(|(_, last)| rfc3339(last)),
        records_per_day: ends
            .map(|(first, last)| (last - first) / 86_400.0)
            .filter(|days| *days > 0.0)
            .map(|days| times.len() as f64 / days),
        data: settings.data,
        seed: settings.seed,
        parent: None,
    }
}
