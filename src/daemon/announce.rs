//! Which model serves, in log, metrics and readiness.

use std::sync::Arc;

use tokio::sync::watch;

use super::{device, models};
use crate::config::{Budget, Config};
use crate::health::Health;
use crate::metrics::{Bound, Metrics};
use crate::pipeline::Serving;

/// Announces every model that takes over.
pub(super) async fn announce_all(
    mut seen: watch::Receiver<Arc<Serving>>,
    config: Arc<Config>,
    health: Arc<Health>,
    metrics: Arc<Metrics>,
) {
    while seen.changed().await.is_ok() {
        let serving = Arc::clone(&seen.borrow_and_update());
        announce(&config, &serving, &health, &metrics);
    }
}

/// Says in log and metrics what serves from now on.
pub(super) fn announce(config: &Config, serving: &Serving, health: &Health, metrics: &Metrics) {
    models::say(serving, health);
    device::announce(&serving.device, &config.compute, health, metrics);
    let (budget, policy, model) = (config.detect.budget, &serving.policy, &serving.model);
    metrics
        .model_info
        .set(&serving.version, &model.schema_fingerprint());
    let newest = model.provenance.to.as_deref();
    if let Some(Ok(newest)) = newest.map(str::parse::<jiff::Timestamp>) {
        metrics.model_trained.set(newest.as_second());
    }
    metrics.budget.set(policy.threshold.budget);
    for &bound in Bound::ALL {
        metrics.threshold.get(bound).set(policy.threshold.p);
    }
    tracing::info!(
        version = serving.version,
        trained_to = newest.unwrap_or("unknown"),
        rows = model.provenance.rows,
        "model serves"
    );
    if let (Budget::PerDay(alerts), Some(records)) = (budget, model.provenance.records_per_day) {
        tracing::info!(
            alerts,
            records,
            p = policy.threshold.p,
            "a budget a day for the whole topic: this p at the rate of training, and from then on each \
             partition's own, hour by hour of record time"
        );
    }
    if !policy.threshold.attested() {
        tracing::warn!(
            "the budget of {:.3} % is finer than {} calibration rows can attest: outliers are those \
             odder than all of them, about {:.3} % of ordinary records",
            policy.threshold.budget * 100.0,
            model.calibration.rows(),
            policy.threshold.p * 100.0
        );
    }
}
