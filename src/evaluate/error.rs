//! Why detectors were not compared.

use super::baselines::BaselineError;
use super::ranking::RankingError;
use crate::files::FileError;
use crate::record::PathError;
use crate::training::{LEAST_ROWS, TrainingError};
use crate::vae::{RowsError, WeightError};

/// Why detectors were not compared.
#[derive(Debug, thiserror::Error)]
pub enum EvaluationError {
    #[error("{0}")]
    Usage(String),
    #[error(
        "{file} has no column `{label}` to say which rows are anomalies: name it with --label (there \
         are {columns})"
    )]
    NoLabel {
        file: String,
        label: String,
        columns: String,
    },
    #[error("no record of {file} has a field `{name}`: check {option}")]
    NoSuchField {
        file: String,
        option: &'static str,
        name: String,
    },
    #[error(
        "the label `{0}` is among the fields, which tells the detector the answer: remove it there"
    )]
    LabelIsField(String),
    #[error("{file} has no field that a model could use{left_out}: name fields with --config")]
    NoFields { file: String, left_out: String },
    #[error("{file} has no usable row{first}: give a CSV or NDJSON file with one record a row")]
    NoRows { file: String, first: String },
    #[error(
        "{rows} usable rows to train on are too few, {LEAST_ROWS} are the least: give more rows, or \
         --protocol contaminated, which trains on all"
    )]
    TooFewRows { rows: usize },
    #[error(
        "all {rows} scored rows are {class}, of both kinds there must be one at least to compare \
         detectors: check --label, where 1 or true is an anomaly{elsewhere}"
    )]
    OneClass {
        rows: usize,
        class: &'static str,
        elsewhere: &'static str,
    },
    #[error(transparent)]
    File(#[from] FileError),
    #[error(transparent)]
    Path(#[from] PathError),
    #[error(transparent)]
    Training(#[from] TrainingError),
    #[error("{name}: {source}")]
    Baseline { name: String, source: BaselineError },
    #[error(transparent)]
    Ranking(#[from] RankingError),
    #[error("the model cannot be used: {0}; this is a defect, please report it")]
    Weights(#[from] WeightError),
    #[error(transparent)]
    Rows(#[from] RowsError),
}

impl EvaluationError {
    /// Whether other arguments would mend it.
    #[must_use]
    pub fn is_usage(&self) -> bool {
        use EvaluationError::{LabelIsField, NoLabel, NoSuchField, Usage};
        matches!(
            self,
            Usage(_) | NoLabel { .. } | NoSuchField { .. } | LabelIsField(_)
        )
    }
}
