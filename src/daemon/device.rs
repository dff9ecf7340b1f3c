//! The device in the daemon: chosen for the model, and watched.

use std::sync::Arc;

use crate::config::Compute;
use crate::detect::Model;
use crate::health::{Health, Note};
use crate::metrics::Metrics;
use crate::vae::{Device, DeviceError, Standing};

/// Opens the device that `wanted` says for `model`, and says which it is.
///
/// # Errors
/// A GPU was asked for and cannot be used.
pub(super) fn open(
    wanted: &Compute,
    model: &Model,
    health: &Health,
    metrics: &Metrics,
) -> Result<Device, DeviceError> {
    let device = Device::open(wanted)?.for_networks(&model.shape, model.members.len());
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
    Ok(device)
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
