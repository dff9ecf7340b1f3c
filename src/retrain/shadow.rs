//! A candidate beside the model that serves, on records that have come since it was made.
//!
//! The records are read back from the topic, as training reads them: what would have been said of them is the same then,
//! and the line pays nothing for it.

use std::sync::Arc;

use super::gate::gate;
use super::scoring::{Rows, ScoringError};
use super::teach::{TeachError, threshold_of};
use crate::config::Config;
use crate::detect::Model;
use crate::registry::{Check, Report, Stored};
use crate::training::Collection;

/// Fewer records say too little.
pub const LEAST: usize = 50;

/// Judges `candidate` beside `serving` on what was collected: by the gate, and with the share of verdicts that differ.
///
/// # Errors
/// A model cannot score, or its calibration does not know the budget.
pub fn trial(
    config: &Config,
    candidate: &Stored,
    serving: &Stored,
    collection: Collection,
) -> Result<Report, TeachError> {
    let material = collection.into_material();
    let rows = Rows {
        fields: &material.fields,
        table: &material.table,
    };
    let threshold = threshold_of(config, &candidate.model)?;
    let beside = Some((serving.version.as_str(), &serving.model));
    let limits = &config.retrain.gate;
    let mut report = gate(&candidate.model, beside, &rows, threshold, limits, false)
        .map_err(TeachError::Gate)?;
    let flagged = |model: &Arc<Model>, threshold| flagged(model, &rows, threshold);
    let new = flagged(&candidate.model, threshold).map_err(TeachError::Gate)?;
    let old = flagged(&serving.model, threshold_of(config, &serving.model)?)
        .map_err(TeachError::Serving)?;
    report.checks.push(difference(&new, &old));
    Ok(report)
}

/// Which rows a model flags.
fn flagged(model: &Arc<Model>, rows: &Rows<'_>, threshold: f64) -> Result<Vec<bool>, ScoringError> {
    let mut flagged = Vec::with_capacity(rows.table.rows());
    rows.score(model, |detector, _, _| {
        flagged.extend(detector.scored().iter().map(|it| it.p <= threshold));
    })?;
    Ok(flagged)
}

/// Where the stream has moved, a good candidate differs most: this is for people, and refuses nothing.
fn difference(new: &[bool], old: &[bool]) -> Check {
    let only = |one: &[bool], other: &[bool]| {
        let pairs = one.iter().zip(other);
        pairs.filter(|(one, other)| **one && !**other).count()
    };
    let (new_alone, old_alone) = (only(new, old), only(old, new));
    let share = (new_alone + old_alone) as f64 / new.len().max(1) as f64;
    Check {
        name: "verdicts that differ".to_owned(),
        value: Some(share),
        limit: format!(
            "to be looked at: {new_alone} are flagged by the new one alone, {old_alone} by what serves alone"
        ),
        passed: true,
        waived: false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn verdicts_that_differ_are_counted_from_both_sides() {
        let new = [true, true, false, false];
        let old = [true, false, true, true];
        let found = difference(&new, &old);
        assert_eq!(found.value, Some(0.75));
        assert!(
            found
                .limit
                .contains("1 are flagged by the new one alone, 2 by")
        );
    }
}
