//! From collected rows to a model.

use std::ops::ControlFlow;
use std::sync::Arc;

use super::collection::{Collection, Material, Source};
use super::encoded::Encoded;
use super::fold::{Plan, plan};
use super::quantiles::{quantile, sorted};
use super::terms::Terms;
use super::trainer::{Ensemble, Trained, Trainer};
use crate::config::Train;
use crate::detect::{
    Calibration, Detector, Fitted, Golden, Model, Policy, Provenance, Standard, mean_score,
};
use crate::features::{Encoding, FitError, Table};
use crate::vae::{Device, RowsError, Shape, TrainError, WeightError};

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
        "there is no record to learn from: give a file with records, or a time range in which the \
         topic has some"
    )]
    NoRecords,
    #[error(
        "{rows} usable rows are too few to learn from, {LEAST_ROWS} are the least; of {records} \
         records, {rejected} were unusable{first} and {filtered} did not match input.where: give more \
         records or a longer time range, or mend the fields"
    )]
    TooFewRows {
        rows: usize,
        records: usize,
        rejected: usize,
        filtered: usize,
        /// What was wrong with the first unusable one.
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

/// Learns a model from what was collected. `progress` may end the training.
///
/// # Errors
/// When the rows are too few or do not vary, or the training diverges or is ended.
pub fn learn(
    collection: Collection,
    source: Source,
    settings: &Train,
    progress: &mut dyn FnMut(Progress) -> ControlFlow<()>,
) -> Result<Model, TrainingError> {
    learn_on(&Device::cpu(), collection, source, settings, progress)
}

/// The same on another device: networks are fitted there, and calibrated on the CPU.
///
/// # Errors
/// As [`learn`]; the device may fail too.
pub fn learn_on(
    device: &Device,
    collection: Collection,
    source: Source,
    settings: &Train,
    progress: &mut dyn FnMut(Progress) -> ControlFlow<()>,
) -> Result<Model, TrainingError> {
    check(&collection)?;
    let rejected = collection.rejected().values().sum();
    let material = collection.into_material();
    let rows = material.table.rows();
    let provenance = provenance(source, settings, &material, rejected);
    let plan = plan(rows, settings.calibration_share);
    let (encoding, table) = Encoding::fit(&material.fields, material.table)?;
    let golden = golden_cells(&table);
    let shape = Shape {
        heads: encoding.heads(),
        hidden: settings.hidden,
        latent: settings.latent,
    };
    let device = &device.clone().for_networks(&shape, 1);
    let mut trainer = Trainer::new(&shape, settings, device, rows, &plan, progress);
    let (ensemble, terms) = match &plan {
        Plan::HoldOut(fold) => {
            let fit = Encoded::of(&encoding, &table, &fold.fit);
            let calibrate = Encoded::of(&encoding, &table, &fold.calibrate);
            // The cells are twice as large as what they are encoded to, and have served.
            drop(table);
            let ensemble = trainer.ensemble(&fit)?;
            let terms = Terms::of(&shape, &ensemble.members, &calibrate)?;
            (ensemble, terms)
        }
        Plan::CrossFit(folds) => {
            let mut terms = Terms::default();
            for fold in folds {
                let ensemble = trainer.ensemble(&Encoded::of(&encoding, &table, &fold.fit))?;
                let block = Encoded::of(&encoding, &table, &fold.calibrate);
                terms.append(Terms::of(&shape, &ensemble.members, &block)?);
            }
            let all: Vec<usize> = (0..rows).collect();
            let ensemble = trainer.ensemble(&Encoded::of(&encoding, &table, &all))?;
            (ensemble, terms)
        }
    };
    let cross_fitted = matches!(plan, Plan::CrossFit(_));
    let mut model = assemble(encoding, shape, ensemble, &terms, cross_fitted, provenance);
    model.golden = golden_rows(&model, &golden)?;
    Ok(model)
}

fn check(collection: &Collection) -> Result<(), TrainingError> {
    let rows = collection.rows();
    if collection.offered() == 0 {
        return Err(TrainingError::NoRecords);
    }
    if rows < LEAST_ROWS {
        let first = collection.first_error();
        return Err(TrainingError::TooFewRows {
            rows,
            records: collection.offered(),
            rejected: collection.rejected().values().sum(),
            filtered: collection.filtered(),
            first: first
                .map(|error| format!(" (the first: {error})"))
                .unwrap_or_default(),
        });
    }
    Ok(())
}

fn assemble(
    encoding: Encoding,
    shape: Shape,
    Ensemble { members, linear }: Ensemble,
    terms: &Terms,
    cross_fitted: bool,
    provenance: Provenance,
) -> Model {
    let mut fitted = Vec::with_capacity(members.len());
    for (index, Trained { member, mixture }) in members.into_iter().enumerate() {
        fitted.push(Fitted {
            member,
            mixture,
            nll: standard(&terms.nll[index]),
            code_nll: standard(&terms.code_nll[index]),
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
        linear,
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

/// Rows from all over the time.
fn golden_cells(table: &Table) -> Table {
    let every = (table.rows() / GOLDEN_ROWS).max(1);
    table.select((0..table.rows()).step_by(every).take(GOLDEN_ROWS))
}

fn golden_rows(model: &Model, cells: &Table) -> Result<Vec<Golden>, TrainingError> {
    let policy = Arc::new(Policy::open(cells.fields()));
    let mut detector = Detector::new(Arc::new(model.clone()), policy)?;
    cells
        .iter()
        .map(|cells| Ok(Golden::new(cells, detector.score(cells)?[0].score)))
        .collect()
}

fn provenance(
    source: Source,
    settings: &Train,
    material: &Material,
    rejected: usize,
) -> Provenance {
    let span = material.span;
    let rfc3339 = |seconds: f64| {
        jiff::Timestamp::from_millisecond((seconds * 1000.0) as i64)
            .map(|time| time.to_string())
            .ok()
    };
    Provenance {
        source: source.name,
        offsets: source.offsets,
        rows: material.table.rows(),
        usable: material.usable,
        rejected,
        from: span.and_then(|(first, _)| rfc3339(first)),
        to: span.and_then(|(_, last)| rfc3339(last)),
        records_per_day: material.records_per_day(),
        data: settings.data,
        seed: settings.seed,
        parent: None,
    }
}
