//! Does a model fit the configuration, and what follows from both?

use crate::config::{Config, Kind};
use crate::detect::{FieldPolicy, Model, Policy, Threshold};

/// Why a model cannot serve this configuration.
#[derive(Debug, thiserror::Error)]
pub enum Misfit {
    #[error(
        "the model was trained on other fields than the configuration names ({differences}): train \
         again with `outlierd train`"
    )]
    Fields { differences: String },
    #[error("{0}")]
    Budget(String),
}

/// The policy that `config` and `model` give together.
///
/// # Errors
/// When their fields differ, or the budget needs something that the model does not know.
pub fn policy(config: &Config, model: &Model) -> Result<Policy, Misfit> {
    let configured = config
        .fields
        .iter()
        .map(|field| (field.path.as_str(), field.kind));
    let learnt = model
        .encoding
        .fields
        .iter()
        .map(|field| (field.path.as_str(), field.kind));
    if !configured.clone().eq(learnt.clone()) {
        let (configured, learnt): (Vec<_>, Vec<_>) = (configured.collect(), learnt.collect());
        let only = |these: &[(&str, Kind)], those: &[(&str, Kind)], what: &str| {
            let missing = these.iter().filter(|field| !those.contains(field));
            let missing: Vec<String> = missing
                .map(|(path, kind)| format!("{path} ({kind:?})"))
                .collect();
            (!missing.is_empty()).then(|| format!("{what}: {}", missing.join(", ").to_lowercase()))
        };
        let differences: Vec<String> = [
            only(&configured, &learnt, "not in the model"),
            only(&learnt, &configured, "not in the configuration"),
        ]
        .into_iter()
        .flatten()
        .collect();
        return Err(Misfit::Fields {
            differences: if differences.is_empty() {
                "the same ones in another order".into()
            } else {
                differences.join("; ")
            },
        });
    }
    let rate = model.provenance.records_per_day;
    let threshold =
        Threshold::new(config.detect.budget, &model.calibration, rate).map_err(Misfit::Budget)?;
    Ok(Policy {
        threshold,
        fields: config.fields.iter().map(FieldPolicy::of).collect(),
    })
}
