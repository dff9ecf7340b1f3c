//! Records whose verdicts are settled: what every model must flag, and what none may.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::Deserialize;

use crate::config::Config;
use crate::detect::{Detector, Model, Policy};
use crate::record::{Decoder, PathError, Vocabularies};
use crate::registry::Check;
use crate::vae::{RowsError, WeightError};

/// A line of the file.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Case {
    must: Must,
    record: serde_json::Value,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Must {
    Flag,
    Pass,
}

/// Why cases cannot be tried.
#[derive(Debug, thiserror::Error)]
pub enum CasesError {
    #[error("retrain.cases: {path}: {source}", path = path.display())]
    Io {
        path: PathBuf,
        source: std::io::Error,
    },
    #[error(
        "retrain.cases: {path}:{line}: {why}; a line is {{\"must\": \"flag\" or \"pass\", \"record\": {{...}}}}",
        path = path.display()
    )]
    Line {
        path: PathBuf,
        /// From 1.
        line: usize,
        why: String,
    },
    #[error(transparent)]
    Paths(#[from] PathError),
    #[error(transparent)]
    Weights(#[from] WeightError),
    #[error(transparent)]
    Rows(#[from] RowsError),
}

/// Tries every case of the file on `model`, by a threshold on p.
///
/// # Errors
/// The file cannot be read, or a line of it is no case.
pub(super) fn check(
    path: &Path,
    config: &Config,
    model: &Arc<Model>,
    threshold: f64,
) -> Result<Check, CasesError> {
    let text = fs::read_to_string(path).map_err(|source| CasesError::Io {
        path: path.to_owned(),
        source,
    })?;
    let mut decoder = Decoder::new(&config.fields, &config.input)?;
    let mut words = Vocabularies::frozen(model.encoding.vocabularies());
    let policy = Arc::new(Policy::open(config.fields.len()));
    let mut detector = Detector::new(Arc::clone(model), policy)?;
    let mut cells = vec![f64::NAN; config.fields.len()];
    let (mut cases, mut failed) = (0, Vec::new());
    for (index, line) in text.lines().enumerate() {
        let line_number = index + 1;
        if line.trim().is_empty() {
            continue;
        }
        let wrong = |why: String| CasesError::Line {
            path: path.to_owned(),
            line: line_number,
            why,
        };
        let case: Case = serde_json::from_str(line).map_err(|error| wrong(error.to_string()))?;
        let record = case.record.to_string();
        match decoder.decode(record.as_bytes(), &mut words, &mut cells) {
            Ok(decoded) if decoded.filtered => {
                return Err(wrong("the record does not match input.where".to_owned()));
            }
            Ok(_) => {}
            Err(rejection) => return Err(wrong(rejection.to_string())),
        }
        cases += 1;
        let flagged = detector.score(&cells)?.iter().any(|it| it.p <= threshold);
        if flagged != (case.must == Must::Flag) {
            failed.push(line_number.to_string());
        }
    }
    let limit = match failed.is_empty() {
        true => format!("none of {cases} may be decided otherwise"),
        false => format!(
            "none of {cases} may be decided otherwise: lines {}",
            failed.join(", ")
        ),
    };
    Ok(Check {
        name: "pinned cases that fail".to_owned(),
        value: Some(failed.len() as f64),
        limit,
        passed: failed.is_empty(),
        waived: false,
    })
}
