//! Which model is to serve: the store may say another one at any time.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::fit::{Misfit, policy};
use crate::config::Config;
use crate::health::{Health, Note};
use crate::metrics::Metrics;
use crate::pipeline::Serving;
use crate::registry::{Store, StoreError, Stored};
use crate::vae::Device;

/// Between two looks at the store.
const LOOK: Duration = Duration::from_millis(250);

/// A model that could not be used is tried again after this: its store may have been out of reach.
const AGAIN: Duration = Duration::from_secs(30);

/// Watches what the store says.
pub(super) struct Models {
    store: Option<Store>,
    /// What was asked for last, and failed.
    refused: Option<(String, Instant)>,
    /// What was wrong with the ledger at the last look.
    unreadable: Option<String>,
}

/// Why a model cannot take over.
#[derive(Debug, thiserror::Error)]
enum Refusal {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Misfit(#[from] Misfit),
    #[error("reading it ended in a panic")]
    Panic,
}

/// What follows from a model for this configuration.
///
/// # Errors
/// It was trained on other fields, or does not know what the budget needs.
pub(super) fn serving(config: &Config, stored: Stored, device: &Device) -> Result<Serving, Misfit> {
    let policy = Arc::new(policy(config, &stored.model)?);
    let (shape, members) = (&stored.model.shape, stored.model.members.len());
    Ok(Serving {
        device: device.clone().for_networks(shape, members),
        model: stored.model,
        version: stored.version,
        policy,
    })
}

/// Says in readiness what serves.
pub(super) fn say(serving: &Serving, health: &Health) {
    let text = format!("{} serves", serving.version);
    health.note(Note::Model, Some(text));
}

impl Models {
    pub(super) fn of(store: Option<Store>) -> Models {
        Models {
            store,
            refused: None,
            unreadable: None,
        }
    }

    /// Waits until the store has another model serve than `now`, and that one can. One that cannot is said, and `now` goes
    /// on.
    pub(super) async fn change(
        &mut self,
        config: &Arc<Config>,
        now: &Serving,
        health: &Health,
        metrics: &Metrics,
    ) -> Arc<Serving> {
        loop {
            tokio::time::sleep(LOOK).await;
            let Some(wanted) = self.wanted().await else {
                continue;
            };
            if wanted == now.version {
                if self.refused.take().is_some() {
                    say(now, health);
                }
                continue;
            }
            let refused = self
                .refused
                .as_ref()
                .filter(|(version, _)| *version == wanted);
            if refused.is_some_and(|(_, at)| at.elapsed() < AGAIN) {
                continue;
            }
            let is_new = refused.is_none();
            match self.load(&wanted, config, &now.device).await {
                Ok(serving) => {
                    self.refused = None;
                    return Arc::new(serving);
                }
                Err(error) => {
                    let why = format!("{wanted} is to serve and cannot: {error}");
                    if is_new {
                        tracing::error!("{why}; {} goes on", now.version);
                        metrics.models_refused.inc();
                    }
                    health.note(Note::Model, Some(format!("{why}; {} serves", now.version)));
                    self.refused = Some((wanted, Instant::now()));
                }
            }
        }
    }

    /// The version that is to serve; none where there is no store, or it cannot say.
    async fn wanted(&mut self) -> Option<String> {
        let store = self.store.clone()?;
        // It may be asked over a network, and nobody who wants to end the daemon waits for that.
        let asked = tokio::task::spawn_blocking(move || store.ledger());
        match asked.await.ok()? {
            Ok(ledger) => {
                self.unreadable = None;
                Some(ledger.serving()?.version.clone())
            }
            Err(error) => {
                let said = error.to_string();
                if self.unreadable.as_ref() != Some(&said) {
                    tracing::error!("{said}; what serves goes on");
                    self.unreadable = Some(said);
                }
                None
            }
        }
    }

    async fn load(
        &self,
        version: &str,
        config: &Arc<Config>,
        device: &Device,
    ) -> Result<Serving, Refusal> {
        let Some(store) = self.store.clone() else {
            return Err(Refusal::Panic);
        };
        let (version, config, device) = (version.to_owned(), Arc::clone(config), device.clone());
        let loaded = tokio::task::spawn_blocking(move || {
            let stored = store.load(&version).map_err(StoreError::from)?;
            Ok(serving(&config, stored, &device)?)
        });
        loaded.await.unwrap_or(Err(Refusal::Panic))
    }
}
