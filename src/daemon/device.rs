//! The device in the daemon: said when a model begins to serve on it, and watched.

use std::sync::Arc;

use crate::config::Compute;
use crate::health::{Health, Note};
use crate::metrics::Metrics;
use crate::vae::{Device, Standing};

/// Says on what a model scores from now on, and why if it could have been a GPU.
pub(super) fn announce(device: &Device, wanted: &Compute, health: &Health, metrics: &Metrics) {
    metrics
        .device_info
        .set(&device.label(), &wanted.device.to_string());
    match device.reason() {
        Some(reason) => {
            tracing::info!("scoring on {device}: {reason}");
            health.note(Note::Device, Some(format!("{device}: {reason}")));
        }
        None => tracing::info!("scoring on {device}"),
    }
}

/// Says it in readiness and in a metric whenever the device gets worse.
pub(super) async fn watch(device: Device, health: Arc<Health>, metrics: Arc<Metrics>) {
    let mut standing = device.standing();
    while standing.changed().await.is_ok() {
        let now = standing.borrow_and_update().clone();
        let label = device.label();
        let note = match now {
            Standing::Works => None,
            Standing::Smaller { why } => Some(format!("{label}: smaller batches ({why})")),
            Standing::Lost { why } => Some(format!(
                "{label} is lost, the CPU scores until a restart ({why})"
            )),
        };
        metrics.device_degraded.set(i64::from(note.is_some()));
        health.note(Note::Device, note);
    }
}
