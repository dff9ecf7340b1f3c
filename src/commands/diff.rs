//! `outlierd models diff`: what two models make of the same stream.

use std::sync::Arc;

use crate::config::{Budget, Config};
use crate::detect::{Detector, Model, Policy, Threshold};
use crate::features::Renumbering;
use crate::registry::Stored;

/// Prints the two beside each other.
pub(super) fn print(config: &Config, one: &Stored, other: &Stored) -> anyhow::Result<()> {
    let line = |what: &str, of: &dyn Fn(&Stored) -> String| -> std::io::Result<()> {
        let (one, other) = (of(one), of(other));
        let mark = if one == other { " " } else { "*" };
        say!("{mark} {what:26} {one:>24} {other:>24}");
        Ok(())
    };
    line("version", &|it| it.version.clone())?;
    line("trained on rows", &|it| {
        it.model.provenance.rows.to_string()
    })?;
    line("up to", &|it| {
        it.model.provenance.to.clone().unwrap_or("unknown".into())
    })?;
    line("fields", &|it| it.model.schema_fingerprint())?;
    line("fields that say nothing", &|it| {
        it.model.unused_fields().count().to_string()
    })?;
    line("networks", &|it| it.model.members.len().to_string())?;
    line("columns", &|it| it.model.encoding.width().to_string())?;
    line("calibration rows", &|it| {
        it.model.calibration.rows().to_string()
    })?;
    let budget = config.detect.budget;
    line(&format!("score at {budget}"), &|it| {
        threshold(&it.model, budget)
    })?;
    line("held-out ELBO, nats", &|it| {
        format!("{:.3}", it.model.held_out.elbo)
    })?;
    line("held-out error", &|it| {
        format!("{:.3}", it.model.held_out.reconstruction_error)
    })?;
    if one.model.schema_fingerprint() != other.model.schema_fingerprint() {
        say!("  they read other fields: no row can be shown to both");
        return Ok(());
    }
    let severities = |model| severities(model, &one.model, &other.model);
    let (left, right) = (severities(&one.model)?, severities(&other.model)?);
    say!("  severities of {} rows of both", left.len());
    for (one, other) in left.iter().zip(&right) {
        say!("  {:26} {one:>24.3} {other:>24.3}", "");
    }
    let apart = left
        .iter()
        .zip(&right)
        .map(|(one, other)| (one - other).abs());
    say!(
        "  mean distance {:.3}",
        apart.sum::<f64>() / left.len().max(1) as f64
    );
    Ok(())
}

fn threshold(model: &Model, budget: Budget) -> String {
    let rate = model.provenance.records_per_day;
    match Threshold::new(budget, &model.calibration, rate) {
        Ok(threshold) => format!("{:.3}", model.calibration.score_at(threshold.p)),
        Err(_) => "unknown".to_owned(),
    }
}

/// What `model` says of the golden rows of `one` and then of those of `other`, each in its own numbers of words.
fn severities(model: &Arc<Model>, one: &Model, other: &Model) -> anyhow::Result<Vec<f64>> {
    let policy = Arc::new(Policy::open(model.encoding.fields.len()));
    let mut detector = Detector::new(Arc::clone(model), policy)?;
    let mut cells = Vec::new();
    for of in [one, other] {
        let renumbering = Renumbering::between(&of.encoding, &model.encoding);
        for golden in &of.golden {
            let mut row = golden.row();
            renumbering.apply(&mut row);
            cells.extend(row);
        }
    }
    let scored = detector.score(&cells)?;
    Ok(scored.iter().map(|scored| scored.severity()).collect())
}
