//! Records whose verdicts are settled: what every model must flag, and what none may.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::Deserialize;

use super::Labelled;
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

/// What a model decides of single records.
struct Decider {
    decoder: Decoder,
    words: Vocabularies,
    detector: Detector,
    cells: Vec<f64>,
    threshold: f64,
}

impl Decider {
    fn new(config: &Config, model: &Arc<Model>, threshold: f64) -> Result<Decider, CasesError> {
        let policy = Arc::new(Policy::open(config.fields.len()));
        Ok(Decider {
            decoder: Decoder::new(&config.fields, &config.input)?,
            words: Vocabularies::frozen(model.encoding.vocabularies()),
            detector: Detector::new(Arc::clone(model), policy)?,
            cells: vec![f64::NAN; config.fields.len()],
            threshold,
        })
    }

    /// Whether a record is flagged; or why it cannot be scored.
    fn flags(&mut self, record: &[u8]) -> Result<Result<bool, String>, CasesError> {
        match self
            .decoder
            .decode(record, &mut self.words, &mut self.cells)
        {
            Ok(decoded) if decoded.filtered => {
                return Ok(Err("the record does not match input.where".to_owned()));
            }
            Ok(_) => {}
            Err(rejection) => return Ok(Err(rejection.to_string())),
        }
        let scored = self.detector.score(&self.cells)?;
        Ok(Ok(scored.iter().any(|it| it.p <= self.threshold)))
    }
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
    let mut decider = Decider::new(config, model, threshold)?;
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
        let flagged = decider
            .flags(case.record.to_string().as_bytes())?
            .map_err(wrong)?;
        cases += 1;
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

/// Tries the outliers that people have said something of. A budget brings false alarms with it, and nobody can learn each
/// of them: a candidate must decide no fewer of them rightly than what serves. None where nobody has said anything.
pub(super) fn check_labelled(
    labelled: &Labelled,
    config: &Config,
    candidate: (&Arc<Model>, f64),
    serving: Option<(&Arc<Model>, f64)>,
) -> Result<Option<Check>, CasesError> {
    let all = labelled.confirmed.len() + labelled.false_alarms.len();
    if all == 0 {
        return Ok(None);
    }
    let right = |(model, threshold)| -> Result<usize, CasesError> {
        let mut decider = Decider::new(config, model, threshold)?;
        let mut right = 0;
        for (records, flagged) in [(&labelled.confirmed, true), (&labelled.false_alarms, false)] {
            for record in records {
                right += usize::from(decider.flags(record)? == Ok(flagged));
            }
        }
        Ok(right)
    };
    let (value, least) = (right(candidate)?, serving.map_or(Ok(0), right)?);
    Ok(Some(Check {
        name: "labelled outliers decided rightly".to_owned(),
        value: Some(value as f64),
        limit: format!("at least {least} of {all}, as what serves"),
        passed: value >= least,
        waived: false,
    }))
}
