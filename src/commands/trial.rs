//! The second judgement of a candidate: beside what serves, on what has come since it was made (`retrain.shadow`).

use anyhow::Context;
use jiff::Timestamp;
use serde_json::json;

use super::gate;
use super::material::{self, Material};
use super::retrain::{Teller, serving};
use crate::config::Config;
use crate::kafka::Bounds;
use crate::metrics::RetrainOutcome;
use crate::registry::{Store, Trainer};
use crate::retrain::{self, LEAST};

/// Until when a candidate of now is tried, if it is.
pub(super) fn end(config: &Config) -> Option<Timestamp> {
    config
        .retrain
        .shadow
        .map(|shadow| Timestamp::now() + shadow)
}

pub(super) fn run(
    version: &str,
    config: &Config,
    (store, trainer): (&Store, &Trainer),
    tell: &Teller,
) -> anyhow::Result<()> {
    let ledger = store.ledger()?;
    let since = match ledger.get(version) {
        Some(entry) if entry.shadow_until.is_some() => entry.since.parse::<Timestamp>()?,
        // Somebody has decided meanwhile.
        _ => {
            let done = json!({"event": "done", "outcome": RetrainOutcome::DoneBefore.as_str(), "version": version});
            return tell.end(&done, || format!("{version} is tried no longer"));
        }
    };
    let candidate = store.load(version)?;
    let serving = serving(config)?.context("no model serves that it could be tried beside")?;
    tell.say(&json!({"event": "progress", "phase": "trial"}))?;
    let bounds = Bounds {
        from_ms: Some(since.as_millisecond()),
        ..Bounds::default()
    };
    let Material { collection, .. } = material::from_topic(config, bounds)?;
    if collection.rows() < LEAST {
        let found = collection.rows();
        let until = end(config).unwrap_or_else(Timestamp::now);
        store.change(|ledger, _| {
            trainer.check(ledger)?;
            ledger.prolong(version, until);
            Ok(())
        })?;
        let done = json!({"event": "done", "outcome": RetrainOutcome::Shadow.as_str(), "version": version});
        return tell.end(&done, || {
            format!("{version}: {found} records have come since, and {LEAST} are needed: it is tried until {until}")
        });
    }
    let report = retrain::trial(config, &candidate, &serving, collection)?;
    let serves = store.settle(version, &report, config.retrain.promote, trainer)?;
    let outcome = match (serves, report.passed()) {
        (true, _) => RetrainOutcome::Serves,
        (false, true) => RetrainOutcome::Candidate,
        (false, false) => RetrainOutcome::Refused,
    };
    let outcome = outcome.as_str();
    let done = json!({
        "event": "done",
        "outcome": outcome,
        "refusals": store.ledger()?.refusals(),
        "version": version,
        "gate": report,
    });
    tell.end(&done, || {
        let checks = gate::checks(&report);
        format!(
            "{version}: {outcome}, beside {}\n{}",
            serving.version,
            checks.trim_end()
        )
    })
}
