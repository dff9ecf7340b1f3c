//! What a line is built from, and its start.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::watch;

use super::DaemonError;
use crate::config::Config;
use crate::health::{Condition, Health};
use crate::kafka::{Connection, Trail};
use crate::metrics::Metrics;
use crate::pipeline::{Line, LineError, Oversize, Parts, Probe, Serving};

/// Between attempts to reach a cluster that does not answer.
pub(super) const RECONNECT: Duration = Duration::from_secs(2);

/// What a line is built from, as often as it has to be.
#[derive(Clone)]
pub(super) struct Plan {
    pub(super) config: Arc<Config>,
    /// What a line begins with.
    pub(super) serving: Arc<Serving>,
    /// What serves, as the line says.
    pub(super) served: watch::Sender<Arc<Serving>>,
    /// How many fields drift, as the line says.
    pub(super) drifting: watch::Sender<usize>,
    pub(super) probe: Option<Probe>,
    pub(super) oversize: Arc<Oversize>,
    pub(super) trail: Arc<Trail>,
    pub(super) health: Arc<Health>,
    pub(super) metrics: Arc<Metrics>,
}

impl Plan {
    /// Starts the line, again and again after errors that pass by themselves.
    pub(super) async fn connect(
        &self,
        passes: fn(&LineError) -> bool,
    ) -> Result<Line, DaemonError> {
        loop {
            let plan = self.clone();
            let attempt = tokio::task::spawn_blocking(move || plan.start());
            match attempt.await.map_err(|_| DaemonError::Supervisor)? {
                Err(error) if passes(&error) => {
                    tracing::warn!("{error}; trying again in {RECONNECT:?}");
                    if error.is_unreachable() {
                        self.health.set(Condition::Broker, Err(error.to_string()));
                    }
                    self.wait(&error);
                    tokio::time::sleep(RECONNECT).await;
                }
                outcome => {
                    let line = outcome?;
                    self.health.set(Condition::Starting, Ok(()));
                    return Ok(line);
                }
            }
        }
    }

    /// Says in readiness that there is no line, and why. To wait for a cluster is not to stand still.
    pub(super) fn wait(&self, why: impl std::fmt::Display) {
        self.health.beat(Instant::now());
        let why = format!("no line yet: {why}");
        self.health.set(Condition::Starting, Err(why));
    }

    fn start(self) -> Result<Line, LineError> {
        // What the files of its secrets hold may have changed since the last one.
        let kafka = self.config.kafka.again().map_err(LineError::Secret)?;
        let serving = Arc::clone(&self.serving);
        let line = Line::start(&Parts {
            config: &self.config,
            connection: Connection::new(&kafka),
            serving: self.serving,
            probe: self.probe,
            oversize: self.oversize,
            trail: self.trail,
            drifting: self.drifting,
            succeeded: self.served.clone(),
            health: self.health,
            metrics: self.metrics,
        })?;
        // A model that was to take over in the line before begins with this one.
        self.served.send_if_modified(|served| {
            let changed = served.version != serving.version;
            *served = serving;
            changed
        });
        Ok(line)
    }
}
