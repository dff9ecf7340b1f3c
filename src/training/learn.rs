//! From collected rows to a model.

use std::ops::ControlFlow;
use std::sync::Arc;

use super::collection::{Collection, Material, Source};
use super::encoded::Encoded;
use super::fold::{Fold, Plan, plan};
use super::quantiles::{quantile, sorted};
use super::terms::Terms;
use super::trainer::{Ensemble, Trained, Trainer};
use crate::config::Train;
use crate::detect::{
    Calibration, Detector, Fitted, Golden, Model, Policy, Profile, Provenance, Standard, mean_score,
};
use crate::features::{Encoding, FieldSpec, FitError, Table};
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
    #[error(
        "{fitted} rows are left to learn from, {LEAST_ROWS} are the least; {out} were left out since the model that serves \
         finds them too odd: if they are normal now, `outlierd models accept --from` learns them"
    )]
    LeftOut { fitted: usize, out: usize },
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
    Lesson::new(collection, source)?.learn(settings, progress)
}

/// What there is to learn, and on what.
pub struct Lesson {
    material: Material,
    source: Source,
    rejected: usize,
    /// Rows that no network is fitted on; they calibrate like others.
    left_out: Vec<bool>,
    device: Device,
    /// Networks that are trained at the same time.
    threads: usize,
}

impl Lesson {
    /// # Errors
    /// When the rows are too few.
    pub fn new(collection: Collection, source: Source) -> Result<Lesson, TrainingError> {
        check(&collection)?;
        let rejected = collection.rejected().values().sum();
        let material = collection.into_material();
        Ok(Lesson {
            left_out: vec![false; material.table.rows()],
            material,
            source,
            rejected,
            device: Device::cpu(),
            threads: std::thread::available_parallelism().map_or(1, usize::from),
        })
    }

    /// Networks are fitted on `device`, and calibrated on the CPU. The device may fail then.
    #[must_use]
    pub fn on(self, device: Device) -> Lesson {
        Lesson { device, ..self }
    }

    /// No more than `threads` networks are trained at the same time.
    #[must_use]
    pub fn with_threads(self, threads: usize) -> Lesson {
        let threads = threads.max(1);
        Lesson { threads, ..self }
    }

    /// The fields with the words that cells stand for.
    pub fn fields(&self) -> &[FieldSpec] {
        &self.material.fields
    }

    /// The rows in the order of time.
    pub fn rows(&self) -> &Table {
        &self.material.table
    }

    /// Takes about `share` of the rows away, in stretches over the whole time, and gives them: they are neither fitted nor
    /// calibrated on.
    pub fn withhold(&mut self, share: f64) -> Table {
        let fold = Fold::stretches(self.material.table.rows(), share);
        let withheld = self.material.table.select(fold.calibrate.into_iter());
        self.left_out = fold.fit.iter().map(|&row| self.left_out[row]).collect();
        self.material.table = self.material.table.select(fold.fit.into_iter());
        withheld
    }

    /// No network is fitted on the rows that `out` names, by their place. They calibrate like others: else every model
    /// would be a little surer than the one before of what is odd.
    pub fn leave_out(&mut self, out: impl IntoIterator<Item = usize>) {
        for row in out {
            if let Some(left_out) = self.left_out.get_mut(row) {
                *left_out = true;
            }
        }
    }

    /// Learns. `progress` may end it.
    ///
    /// # Errors
    /// When too few rows are left or they do not vary, or the training diverges or is ended.
    pub fn learn(
        self,
        settings: &Train,
        progress: &mut dyn FnMut(Progress) -> ControlFlow<()>,
    ) -> Result<Model, TrainingError> {
        let Lesson {
            material,
            source,
            rejected,
            left_out,
            device,
            threads,
        } = self;
        let rows = material.table.rows();
        let mut plan = plan(rows, settings.calibration_share);
        plan.leave_out(&left_out);
        let fitted = left_out.iter().filter(|out| !**out).count();
        if fitted < LEAST_ROWS {
            return Err(TrainingError::LeftOut {
                fitted,
                out: rows - fitted,
            });
        }
        let provenance = provenance(source, settings, &material, rejected);
        let (encoding, table) = Encoding::fit(&material.fields, material.table)?;
        let golden = golden_cells(&table);
        let profile = Profile::of(&encoding, &table);
        let shape = Shape {
            heads: encoding.heads(),
            hidden: settings.hidden,
            latent: settings.latent,
        };
        let device = &device.for_networks(&shape, 1);
        let kept: Vec<usize> = (0..rows).filter(|&row| !left_out[row]).collect();
        let mut trainer = Trainer::new(&shape, settings, device, kept.len(), &plan, progress);
        trainer.threads = threads;
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
                let ensemble = trainer.ensemble(&Encoded::of(&encoding, &table, &kept))?;
                (ensemble, terms)
            }
        };
        let cross_fitted = matches!(plan, Plan::CrossFit(_));
        let mut model = assemble(encoding, shape, ensemble, &terms, cross_fitted, provenance);
        model.profile = profile;
        model.golden = golden_rows(&model, &golden)?;
        Ok(model)
    }
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
        profile: Profile::default(),
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
