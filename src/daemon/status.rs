//! What `/status` tells.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use serde_json::{Value, json};
use tokio::sync::watch;

use super::retrain::Retraining;
use crate::config::{Budget, Config};
use crate::health::Health;
use crate::http;
use crate::metrics::{Bound, Disposition, Metrics};
use crate::pipeline::Serving;

/// The page, made anew on every request; no secret and no record is in it.
pub(super) fn page(
    config: &Arc<Config>,
    serving: watch::Receiver<Arc<Serving>>,
    retraining: Option<Arc<Mutex<Retraining>>>,
    health: &Arc<Health>,
    metrics: &Arc<Metrics>,
) -> http::Status {
    let (config, health, metrics) = (Arc::clone(config), Arc::clone(health), Arc::clone(metrics));
    let began = Instant::now();
    Arc::new(move || {
        let serving = Arc::clone(&serving.borrow());
        let unmet = health.readiness(Instant::now());
        let reasons: Vec<_> = unmet
            .iter()
            .map(|(condition, reason)| json!({"condition": condition.as_str(), "reason": reason}))
            .collect();
        let notes: Vec<_> = health
            .notes()
            .into_iter()
            .map(|(note, text)| json!({"about": note.as_str(), "text": text}))
            .collect();
        let records = Disposition::ALL
            .iter()
            .map(|&disposition| {
                let count = metrics.records.get(disposition).get();
                (disposition.as_str().to_owned(), json!(count))
            })
            .collect::<serde_json::Map<_, _>>();
        json!({
            "version": env!("CARGO_PKG_VERSION"),
            "uptime_seconds": began.elapsed().as_secs(),
            "ready": unmet.is_empty(),
            "reasons": reasons,
            "input": {"topic": config.input.topic, "group": config.input.group},
            "output": {"topic": config.output.topic, "dead_letter_topic": config.dead_letter.topic},
            "device": {
                "device": serving.device.label(),
                "name": serving.device.to_string(),
                "configured": config.compute.device.to_string(),
                "degraded": metrics.device_degraded.get() > 0,
            },
            "notes": notes,
            "model": model(&serving),
            "threshold": threshold(&serving, config.detect.budget, &metrics),
            "retrain": retraining.as_ref().map(|it| it.lock().unwrap_or_else(PoisonError::into_inner).clone()),
            "records": records,
            "flag_rate": metrics.flag_rate.get(),
            "assigned_partitions": metrics.assigned_partitions.get(),
        })
    })
}

fn model(serving: &Serving) -> Value {
    let (model, provenance) = (&serving.model, &serving.model.provenance);
    json!({
        "version": serving.version,
        "schema": model.schema_fingerprint(),
        "source": provenance.source,
        "from": provenance.from,
        "to": provenance.to,
        "rows": provenance.rows,
        "calibration_rows": model.calibration.rows(),
        "members": model.members.len(),
    })
}

fn threshold(serving: &Serving, budget: Budget, metrics: &Metrics) -> Value {
    let calibration = &serving.model.calibration;
    let p = |bound| metrics.threshold.get(bound).get();
    let (smallest, largest) = (p(Bound::Smallest), p(Bound::Largest));
    json!({
        "configured": budget.to_string(),
        "budget": metrics.budget.get(),
        "p": largest,
        // Below the others only with a budget a day, where each partition has its own.
        "smallest_p": smallest,
        "attested": match budget {
            Budget::Share(_) => serving.policy.threshold.attested(),
            Budget::PerDay(_) => smallest > calibration.resolution(),
        },
        "score": calibration.score_at(largest),
    })
}
