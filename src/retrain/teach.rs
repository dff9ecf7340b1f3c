//! From collected rows to a candidate with its gate's report.

use std::ops::ControlFlow;
use std::sync::Arc;

use super::cases::{self, CasesError};
use super::gate::gate;
use super::labelled::Labelled;
use super::scoring::{Rows, ScoringError};
use crate::config::Config;
use crate::detect::{Model, Threshold};
use crate::record::PathError;
use crate::registry::{ModelError, Report, Store, Stored};
use crate::training::{Collection, Lesson, Progress, Source, TrainingError};
use crate::vae::Device;

/// Why there is no candidate.
#[derive(Debug, thiserror::Error)]
pub enum TeachError {
    #[error(transparent)]
    Training(#[from] TrainingError),
    #[error("the model that serves cannot score the rows: {0}")]
    Serving(ScoringError),
    #[error("the gate cannot measure: {0}")]
    Gate(ScoringError),
    #[error(transparent)]
    Paths(#[from] PathError),
    #[error(transparent)]
    Cases(#[from] CasesError),
    #[error("what was learnt does not come back from its bytes: {0}")]
    Model(#[from] ModelError),
    #[error("{0}")]
    Budget(String),
}

/// What a retrain goes by.
pub struct Teaching<'a> {
    pub config: &'a Config,
    pub store: &'a Store,
    /// What people have said of records that are learnt from.
    pub labelled: Labelled,
    /// What serves, if anything does.
    pub serving: Option<&'a Stored>,
    pub device: Device,
    /// Whether the stream has changed, and somebody knows: odd rows are fitted on, and what compares with the model that
    /// serves does not count.
    pub accept: bool,
}

/// A candidate.
pub struct Taught {
    pub packed: (Vec<u8>, Stored),
    pub report: Report,
    /// Rows that were not fitted on since the model that serves finds them odd.
    pub left_out: usize,
}

/// Learns a candidate from what was collected, and measures it. `progress` may end the training.
///
/// # Errors
/// When the rows are too few or do not vary, training fails or is ended, or the candidate is not what was learnt.
pub fn teach(
    teaching: &Teaching<'_>,
    collection: Collection,
    source: Source,
    progress: &mut dyn FnMut(Progress) -> ControlFlow<()>,
) -> Result<Taught, TeachError> {
    let settings = &teaching.config.retrain;
    let mut lesson = Lesson::new(collection, source)?
        .on(teaching.device.clone())
        .with_threads(settings.threads);
    let withheld = lesson.withhold(settings.gate_share);
    let serving = teaching
        .serving
        .filter(|stored| reads(&stored.model, &lesson));
    let odd = match serving.filter(|_| !teaching.accept) {
        Some(stored) => odd_rows(&stored.model, &lesson, settings.leave_out_severity)
            .map_err(TeachError::Serving)?,
        None => Vec::new(),
    };
    let odd = without(
        odd,
        &teaching.labelled.rows(teaching.config, &lesson)?,
        &lesson,
    );
    let left_out = odd.len();
    lesson.leave_out(odd);
    let fields = lesson.fields().to_vec();
    let mut model = lesson.learn(&teaching.config.train, progress)?;
    model.provenance.parent = teaching.serving.map(|stored| stored.version.clone());
    let packed = teaching.store.pack(&model)?;
    let candidate = &packed.1.model;
    let threshold = threshold_of(teaching.config, candidate)?;
    let rows = Rows {
        fields: &fields,
        table: &withheld,
    };
    let mut report = gate(
        candidate,
        serving.map(|stored| (stored.version.as_str(), &stored.model)),
        &rows,
        threshold,
        &settings.gate,
        teaching.accept,
    )
    .map_err(TeachError::Gate)?;
    let served = serving
        .map(|stored| threshold_of(teaching.config, &stored.model).map(|p| (&stored.model, p)))
        .transpose()?;
    let labelled = &teaching.labelled;
    let checked = cases::check_labelled(labelled, teaching.config, (candidate, threshold), served)?;
    report.checks.extend(checked);
    if let Some(path) = &settings.cases {
        let check = cases::check(path, teaching.config, candidate, threshold)?;
        report.checks.push(check);
    }
    Ok(Taught {
        packed,
        report,
        left_out,
    })
}

/// The p-value at or below which a model flags.
pub(super) fn threshold_of(config: &Config, model: &Model) -> Result<f64, TeachError> {
    let rate = model.provenance.records_per_day;
    let threshold = Threshold::new(config.detect.budget, &model.calibration, rate);
    Ok(threshold.map_err(TeachError::Budget)?.p)
}

/// Those of `odd` whose cells are none of `rightful`.
fn without(odd: Vec<usize>, rightful: &[Vec<f64>], lesson: &Lesson) -> Vec<usize> {
    let is_same = |one: &f64, other: &f64| one.to_bits() == other.to_bits();
    let is_rightful = |row: &usize| {
        let cells = lesson.rows().row(*row);
        let same = |other: &Vec<f64>| cells.iter().zip(other).all(|(a, b)| is_same(a, b));
        rightful.iter().any(same)
    };
    odd.into_iter().filter(|row| !is_rightful(row)).collect()
}

/// Whether a model reads the fields of these rows.
fn reads(model: &Model, lesson: &Lesson) -> bool {
    let learnt = model
        .encoding
        .fields
        .iter()
        .map(|field| (&field.path, field.kind));
    learnt.eq(lesson
        .fields()
        .iter()
        .map(|field| (&field.path, field.kind)))
}

/// The rows that `model` finds odder than `severity`.
fn odd_rows(
    model: &Arc<Model>,
    lesson: &Lesson,
    severity: f64,
) -> Result<Vec<usize>, ScoringError> {
    let rows = Rows {
        fields: lesson.fields(),
        table: lesson.rows(),
    };
    let mut odd = Vec::new();
    rows.score(model, |detector, first, _| {
        let scored = detector.scored().iter().enumerate();
        let found = scored.filter(|(_, scored)| scored.severity() > severity);
        odd.extend(found.map(|(row, _)| first + row));
    })?;
    Ok(odd)
}
