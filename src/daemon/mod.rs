//! The daemon: builds the line, serves HTTP beside it, runs until it is told to stop, and drains.
//!
//! `outlierd run` and `outlierd demo` both run exactly this.

mod fit;
mod signals;
mod status;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::watch;

use crate::config::{Budget, Config};
use crate::detect::Policy;
use crate::health::{Condition, Health};
use crate::http;
use crate::kafka::{ClientError, IntakeError, OutletError, TopicFault};
use crate::metrics::{Bound, Metrics};
use crate::pipeline::{Line, LineError, Parts};
use crate::registry::Stored;

pub use fit::{Misfit, policy};
pub use signals::Signals;

/// Between attempts to reach a cluster that does not answer.
const RECONNECT: Duration = Duration::from_secs(2);

/// The consume thread beats at least every second; a stand-still of this length is a hang.
const HEARTBEAT_LIMIT: Duration = Duration::from_secs(60);

/// Why the daemon could not start, or ended before it was told to.
#[derive(Debug, thiserror::Error)]
pub enum DaemonError {
    #[error(transparent)]
    Misfit(#[from] Misfit),
    #[error(transparent)]
    Http(#[from] http::BindError),
    #[error("metrics: {0}")]
    Metrics(#[from] prometheus::Error),
    #[error(transparent)]
    Line(#[from] LineError),
    #[error("the line's supervisor panicked")]
    Supervisor,
    #[error("told to stop while connecting")]
    StoppedEarly,
    #[error(
        "the line did not finish within line.grace ({0:?}); what was not delivered was not committed \
         and will be read again"
    )]
    Grace(Duration),
    #[error("told to stop twice: cut short; what was not delivered was not committed")]
    CutShort,
}

/// A running daemon.
pub struct Daemon {
    line: Line,
    grace: Duration,
    address: SocketAddr,
    health: Arc<Health>,
    metrics: Arc<Metrics>,
    /// Dropping it ends the HTTP server.
    _close_http: watch::Sender<()>,
}

impl Daemon {
    /// Binds HTTP, connects to Kafka (waiting for it as long as it takes) and starts the line.
    ///
    /// # Errors
    /// When the model does not fit the configuration, an address is taken, a topic is missing or
    /// forbidden, or `signals` told to stop meanwhile. Nothing has been consumed then.
    pub async fn start(
        config: Arc<Config>,
        stored: Stored,
        signals: &mut Signals,
    ) -> Result<Daemon, DaemonError> {
        let policy = Arc::new(policy(&config, &stored.model)?);
        let paths: Vec<String> = config
            .fields
            .iter()
            .map(|field| field.path.clone())
            .collect();
        let metrics = Metrics::new(prometheus::Registry::new(), &paths)?;
        let health = Arc::new(Health::new(Instant::now(), HEARTBEAT_LIMIT));
        health.set(Condition::Broker, Err("not connected yet".into()));
        // Before the line starts, which says when they are.
        health.set(
            Condition::Assignment,
            Err("no partitions assigned yet".into()),
        );
        announce_model(&stored, config.detect.budget, &policy, &metrics);
        let listener = http::bind(config.http.bind).await?;
        let address = listener.local_addr().unwrap_or(config.http.bind);
        let (close_http, closed) = watch::channel(());
        let status = status::page(&config, &stored, &policy, &health, &metrics);
        tokio::spawn(serve(listener, &metrics, &health, status, closed));
        tracing::info!("metrics, health and status at http://{address}/");
        let connecting = connect(
            Arc::clone(&config),
            stored,
            policy,
            Arc::clone(&health),
            Arc::clone(&metrics),
        );
        let line = tokio::select! {
            line = connecting => line?,
            () = signals.times(1) => return Err(DaemonError::StoppedEarly),
        };
        health.set(Condition::Starting, Ok(()));
        Ok(Daemon {
            line,
            grace: config.line.grace,
            address,
            health,
            metrics,
            _close_http: close_http,
        })
    }

    /// Where HTTP is served.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    pub fn metrics(&self) -> &Arc<Metrics> {
        &self.metrics
    }

    pub fn health(&self) -> &Arc<Health> {
        &self.health
    }

    /// Runs until `signals` tells to stop, then drains: not ready, stop taking, finish what is
    /// held, commit, leave the group.
    ///
    /// # Errors
    /// When a thread of the line dies, the drain takes longer than the grace period, or a second
    /// signal cuts it short.
    pub async fn run(self, signals: &mut Signals) -> Result<(), DaemonError> {
        tokio::select! {
            () = signals.times(1) => {}
            () = ended(&self.line) => {}
        }
        self.drain(signals).await
    }

    async fn drain(self, signals: &mut Signals) -> Result<(), DaemonError> {
        let died = self.line.has_ended();
        self.health
            .set(Condition::Stopping, Err("told to stop".into()));
        if !died {
            tracing::info!("stopping: finishing what is held, at most {:?}", self.grace);
        }
        self.line.stop();
        let began = Instant::now();
        let line = self.line;
        let joined = tokio::task::spawn_blocking(move || line.join());
        tokio::select! {
            outcome = joined => outcome.map_err(|_| DaemonError::Supervisor)??,
            () = tokio::time::sleep(self.grace) => return Err(DaemonError::Grace(self.grace)),
            () = signals.times(2) => return Err(DaemonError::CutShort),
        }
        if died {
            // It was not asked to end, and says no reason: that is a defect.
            return Err(DaemonError::Line(LineError::Broken));
        }
        tracing::info!(
            "stopped: everything held was delivered and committed in {:.1?}",
            began.elapsed()
        );
        Ok(())
    }
}

/// Starts the line, again and again while nobody answers.
async fn connect(
    config: Arc<Config>,
    stored: Stored,
    policy: Arc<Policy>,
    health: Arc<Health>,
    metrics: Arc<Metrics>,
) -> Result<Line, DaemonError> {
    loop {
        let parts = (
            Arc::clone(&config),
            stored.clone(),
            Arc::clone(&policy),
            Arc::clone(&health),
            Arc::clone(&metrics),
        );
        let attempt = tokio::task::spawn_blocking(move || {
            let (config, stored, policy, health, metrics) = parts;
            Line::start(&Parts {
                config: &config,
                model: stored.model,
                version: stored.version,
                policy,
                health,
                metrics,
            })
        });
        match attempt.await.map_err(|_| DaemonError::Supervisor)? {
            Err(error) if nobody_answers(&error) => {
                tracing::warn!("{error}; trying again in {RECONNECT:?}");
                health.set(Condition::Broker, Err(error.to_string()));
                tokio::time::sleep(RECONNECT).await;
            }
            outcome => return Ok(outcome?),
        }
    }
}

fn nobody_answers(error: &LineError) -> bool {
    use ClientError::Unreachable;
    matches!(
        error,
        LineError::Output(
            OutletError::Client(Unreachable { .. })
                | OutletError::Topic(TopicFault::Client(Unreachable { .. }))
        ) | LineError::Intake(
            IntakeError::Client(Unreachable { .. })
                | IntakeError::Topic(TopicFault::Client(Unreachable { .. }))
        )
    )
}

fn announce_model(stored: &Stored, budget: Budget, policy: &Policy, metrics: &Metrics) {
    let model = &stored.model;
    metrics
        .model_info
        .set(&stored.version, &model.schema_fingerprint());
    let newest = model.provenance.to.as_deref();
    if let Some(Ok(newest)) = newest.map(str::parse::<jiff::Timestamp>) {
        metrics.model_trained.set(newest.as_second());
    }
    metrics.budget.set(policy.threshold.budget);
    for &bound in Bound::ALL {
        metrics.threshold.get(bound).set(policy.threshold.p);
    }
    tracing::info!(
        version = stored.version,
        trained_to = newest.unwrap_or("unknown"),
        rows = model.provenance.rows,
        "model loaded"
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

fn serve(
    listener: tokio::net::TcpListener,
    metrics: &Arc<Metrics>,
    health: &Arc<Health>,
    status: http::Status,
    mut closed: watch::Receiver<()>,
) -> impl Future<Output = ()> + use<> {
    let (metrics, health) = (Arc::clone(metrics), Arc::clone(health));
    async move {
        let shutdown = async move { while closed.changed().await.is_ok() {} };
        if let Err(error) = http::serve(listener, metrics, health, status, shutdown).await {
            tracing::error!("http: {error}");
        }
    }
}

async fn ended(line: &Line) {
    let mut look = tokio::time::interval(Duration::from_millis(100));
    while !line.has_ended() {
        look.tick().await;
    }
}
