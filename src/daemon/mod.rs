//! The daemon: builds the line, serves HTTP beside it, runs until it is told to stop, and drains.
//!
//! `outlierd run` and `outlierd demo` both run exactly this.

mod announce;
mod credentials;
mod device;
mod fit;
mod models;
mod ourselves;
mod plan;
mod probe;
mod retrain;
mod rollout;
mod signals;
mod status;
mod strangers;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::{mpsc, watch};

use announce::{announce, announce_all};
use credentials::Credentials;
use models::Models;
use plan::{Plan, RECONNECT};
use retrain::Retrainer;

use crate::config::Config;
use crate::feedback;
use crate::health::{Condition, Health};
use crate::http::{self, Orders};
use crate::metrics::Metrics;
use crate::pipeline::{Line, LineError, Serving};
use crate::registry::{Store, Stored};
use crate::vae::{Device, DeviceError};

pub use fit::{Misfit, policy};
pub use ourselves::Ourselves;
pub use probe::probe;
pub use rollout::rollout;
pub use signals::Signals;

/// The consume thread beats at least every second; a stand-still of this length is a hang.
const HEARTBEAT_LIMIT: Duration = Duration::from_secs(60);

/// Why the daemon could not start, or ended before it was told to.
#[derive(Debug, thiserror::Error)]
pub enum DaemonError {
    #[error(transparent)]
    Misfit(#[from] Misfit),
    #[error("compute.device: {0}")]
    Device(#[from] DeviceError),
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
    plan: Plan,
    credentials: Credentials,
    models: Models,
    address: SocketAddr,
    /// Dropping it ends the HTTP server.
    _close_http: watch::Sender<()>,
}

impl Daemon {
    /// Binds HTTP, connects to Kafka (waiting for it as long as it takes) and starts the line. `ourselves` is how this
    /// program is started again: to try records that may have ended a process, and to train models.
    ///
    /// # Errors
    /// When the model does not fit the configuration, the device that was asked for cannot be used, an address is taken, a topic is missing or
    /// forbidden, or `signals` told to stop meanwhile. Nothing has been consumed then.
    pub async fn start(
        config: Arc<Config>,
        stored: Stored,
        ourselves: Option<Ourselves>,
        signals: &mut Signals,
    ) -> Result<Daemon, DaemonError> {
        // What is missing is said before anything is bound.
        let device = Device::open(&config.compute)?;
        let serving = Arc::new(models::serving(&config, stored, &device)?);
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
        announce(&config, &serving, &health, &metrics);
        feedback::follow(&config, &metrics);
        let listener = http::bind(config.http.bind).await?;
        let address = listener.local_addr().unwrap_or(config.http.bind);
        let (close_http, closed) = watch::channel(());
        let (served, seen) = watch::channel(Arc::clone(&serving));
        let (taker, orders) = mpsc::channel(1);
        let (drifting, drifts) = watch::channel(0);
        let store = Store::of(&config);
        let probe = ourselves.as_ref().map(Ourselves::probe);
        let retrainer = ourselves
            .and_then(|it| Retrainer::new(&config, store.clone(), it, orders, drifts, &metrics));
        let orders = Orders {
            token: config.http.token.clone(),
            taker: retrainer.as_ref().map(|_| taker),
            models: store.clone().map(|store| hands(&config, store)),
        };
        let retraining = retrainer.as_ref().map(Retrainer::shown);
        let status = status::page(&config, seen.clone(), retraining, &health, &metrics);
        tokio::spawn(serve(listener, &metrics, &health, status, orders, closed));
        if let Some(retrainer) = retrainer {
            tokio::spawn(retrainer.run());
        }
        tracing::info!("metrics, health and status at http://{address}/");
        tokio::spawn(device::watch(
            device,
            Arc::clone(&health),
            Arc::clone(&metrics),
        ));
        tokio::spawn(announce_all(
            seen,
            Arc::clone(&config),
            Arc::clone(&health),
            Arc::clone(&metrics),
        ));
        tokio::spawn(strangers::watch(Arc::clone(&config), Arc::clone(&health)));
        let credentials = Credentials::of(&config.kafka);
        let models = Models::of(store);
        let plan = Plan {
            config,
            serving,
            served,
            drifting,
            probe,
            oversize: Arc::default(),
            trail: Arc::default(),
            health,
            metrics,
        };
        let line = tokio::select! {
            line = plan.connect(LineError::starts_over) => line?,
            () = signals.times(1) => return Err(DaemonError::StoppedEarly),
        };
        Ok(Daemon {
            line,
            plan,
            credentials,
            models,
            address,
            _close_http: close_http,
        })
    }

    /// Where HTTP is served.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    pub fn metrics(&self) -> &Arc<Metrics> {
        &self.plan.metrics
    }

    pub fn health(&self) -> &Arc<Health> {
        &self.plan.health
    }

    /// Runs until `signals` tells to stop, then drains: not ready, stop taking, finish what is
    /// held, commit, leave the group. Where the store has another model serve, that one takes over meanwhile. A line that gave a transaction up starts over with new clients, and so does one whose
    /// credentials have changed, after it has drained.
    ///
    /// # Errors
    /// When a thread of the line dies, the line cannot go on, the drain takes longer than the grace period, or a
    /// second signal cuts it short.
    pub async fn run(mut self, signals: &mut Signals) -> Result<(), DaemonError> {
        loop {
            let renew = tokio::select! {
                () = signals.times(1) => return self.drain(signals).await,
                () = ended(&self.line) => false,
                files = self.credentials.change() => {
                    tracing::info!(?files, "credentials have changed: finishing what is held");
                    true
                }
                serving = self.models.change(
                    &self.plan.config,
                    &self.plan.serving,
                    &self.plan.health,
                    &self.plan.metrics,
                ) => {
                    self.succeed(serving).await?;
                    continue;
                }
            };
            if renew {
                tokio::select! {
                    () = signals.times(1) => return self.drain(signals).await,
                    () = self.give_up() => {}
                }
            }
            let why = match join(self.line).await {
                Ok(()) | Err(DaemonError::Line(LineError::Broken)) if renew => {
                    "new credentials".to_owned()
                }
                // It was not asked to end, and says no reason: that is a defect.
                Ok(()) => return Err(LineError::Broken.into()),
                Err(DaemonError::Line(error)) if error.starts_over() => error.to_string(),
                Err(error) => return Err(error),
            };
            tracing::warn!("{why}; starting over from the committed offsets");
            self.plan.metrics.restarts.inc();
            self.plan.wait(&why);
            let again = async {
                tokio::time::sleep(RECONNECT).await;
                self.plan.connect(LineError::may_heal).await
            };
            self.line = tokio::select! {
                line = again => line?,
                () = signals.times(1) => return Ok(()),
            };
        }
    }

    /// Has another model take over between two batches.
    async fn succeed(&mut self, serving: Arc<Serving>) -> Result<(), DaemonError> {
        tracing::info!(version = serving.version, "another model takes over");
        let Plan {
            config, metrics, ..
        } = &self.plan;
        let line = &mut self.line;
        // Its weights are packed for every score thread.
        tokio::task::block_in_place(|| line.succeed(config, &serving, metrics))?;
        self.plan.serving = serving;
        Ok(())
    }

    /// Has the line end, even if it cannot finish: with credentials that are worth nothing any more it would wait for ever.
    async fn give_up(&self) {
        let grace = self.plan.config.line.grace;
        self.line.stop();
        if tokio::time::timeout(grace, ended(&self.line))
            .await
            .is_err()
        {
            tracing::warn!(
                "what is held could not be finished within {grace:?}: what was not committed is read again"
            );
            self.line.abandon();
            ended(&self.line).await;
        }
    }

    async fn drain(self, signals: &mut Signals) -> Result<(), DaemonError> {
        let grace = self.plan.config.line.grace;
        self.plan
            .health
            .set(Condition::Stopping, Err("told to stop".into()));
        tracing::info!("stopping: finishing what is held, at most {grace:?}");
        self.line.stop();
        let began = Instant::now();
        tokio::select! {
            outcome = join(self.line) => match outcome {
                // As in a rebalance at the same moment: nothing of it is visible or committed.
                Err(DaemonError::Line(error)) if error.starts_over() => {
                    tracing::warn!("stopped: {error}; what it held is read again by the next owner");
                    return Ok(());
                }
                outcome => outcome?,
            },
            () = tokio::time::sleep(grace) => return Err(DaemonError::Grace(grace)),
            () = signals.times(2) => return Err(DaemonError::CutShort),
        }
        tracing::info!(
            "stopped: everything held was delivered in {:.1?}",
            began.elapsed()
        );
        Ok(())
    }
}

/// What HTTP may have done with the models of the store.
fn hands(config: &Arc<Config>, store: Store) -> http::Models {
    let keep = config.model.keep;
    let config = Arc::clone(config);
    http::Models {
        store,
        keep,
        rollout: Arc::new(move |version, patience| rollout(&config, version, patience)),
    }
}

async fn join(line: Line) -> Result<(), DaemonError> {
    let joined = tokio::task::spawn_blocking(move || line.join());
    Ok(joined.await.map_err(|_| DaemonError::Supervisor)??)
}

fn serve(
    listener: tokio::net::TcpListener,
    metrics: &Arc<Metrics>,
    health: &Arc<Health>,
    status: http::Status,
    orders: Orders,
    mut closed: watch::Receiver<()>,
) -> impl Future<Output = ()> + use<> {
    let (metrics, health) = (Arc::clone(metrics), Arc::clone(health));
    async move {
        let shutdown = async move { while closed.changed().await.is_ok() {} };
        if let Err(error) = http::serve(listener, metrics, health, status, orders, shutdown).await {
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
