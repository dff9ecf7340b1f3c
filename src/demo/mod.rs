//! `outlierd demo`: the main job on an embedded broker, with nothing else at hand.
//!
//! A source writes real records into the input topic; what it wrote is read back and learnt; then
//! the daemon runs, the very one that `run` runs, and a follower of its output topics says what it
//! found. Afterwards a summary says what was caught, and what was not.

mod configuration;
pub mod disturb;
mod disturbances;
pub mod drift;
pub mod host;
mod learning;
pub mod ledger;
mod source;
mod summary;
pub mod transactions;
mod watch;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::daemon::{Daemon, DaemonError, Signals};
use crate::kafka::{ClientError, Connection, EmbeddedBroker, TopicFault};
use crate::metrics::Metrics;
use crate::registry::{self, ModelError, StoreError};
use crate::training::TrainingError;

pub use source::SourceError;
pub use summary::Summary;

use disturbances::Disturbances;
use source::Stream;
use watch::Watch;

/// What to show.
#[derive(Debug, Clone)]
pub struct Settings {
    pub source: Source,
    /// End by itself this long after the start.
    pub lasts: Option<Duration>,
    pub disturb: bool,
    pub http: std::net::SocketAddr,
    pub seed: u64,
}

/// Where the records come from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    Host,
    Transactions,
    File(PathBuf),
}

/// Why there is nothing to show.
#[derive(Debug, thiserror::Error)]
pub enum DemoError {
    #[error("the embedded broker: {0}")]
    Broker(String),
    #[error(transparent)]
    Source(#[from] SourceError),
    #[error(transparent)]
    Client(#[from] ClientError),
    #[error(transparent)]
    Topic(#[from] TopicFault),
    #[error(transparent)]
    Paths(#[from] crate::record::PathError),
    #[error(transparent)]
    Training(#[from] TrainingError),
    #[error(transparent)]
    Model(#[from] ModelError),
    #[error(transparent)]
    Daemon(Box<DaemonError>),
    #[error("{0}: {1}")]
    Io(&'static str, #[source] std::io::Error),
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error("{0}")]
    Story(String),
    #[error("stopped before there was anything to show")]
    Stopped,
}

impl From<DaemonError> for DemoError {
    fn from(error: DaemonError) -> DemoError {
        match error {
            DaemonError::StoppedEarly => DemoError::Stopped,
            error => DemoError::Daemon(Box::new(error)),
        }
    }
}

/// Topics of the demo: input, output, dead letters, and the input's partitions.
const INPUT: &str = "demo.records";
const OUTLIERS: &str = "demo.outliers";
const DEAD_LETTERS: &str = "demo.dead-letters";
const PARTITIONS: i32 = 4;

/// Runs the demo until `signals` or the settings end it. `say` prints a line for a person.
///
/// # Errors
/// When the broker cannot be started, the source cannot be read, the rows cannot be learnt, or the
/// daemon fails.
pub async fn run(
    settings: Settings,
    signals: &mut Signals,
    say: fn(&str),
) -> Result<Summary, DemoError> {
    let began = Instant::now();
    if let Some(lasts) = settings.lasts {
        let signals = signals.clone();
        tokio::spawn(async move {
            tokio::time::sleep(lasts).await;
            signals.raise();
        });
    }

    let folder = scratch_folder()?;
    let broker = start_broker().await?;
    let config = Arc::new(configuration::of(&settings, &broker, folder.path())?);
    let connection = Connection::new(&config.kafka);
    let mut stream = Stream::start(&settings, &connection, began)?;
    say(&format!(
        "records of {} go to an embedded broker at {}",
        stream.describe(),
        broker.bootstrap_servers()
    ));
    let model = learning::learn(&settings, &config, &mut stream, signals, say).await?;
    registry::save(&model, &config.model.path)?;
    let stored = registry::load(&config.model.path)?;
    say(&learning::describe(&stored, &config));
    let watch = Watch::start(&connection, began, say)?;
    let daemon = Daemon::start(Arc::clone(&config), stored, None, signals).await?;
    let metrics = Arc::clone(daemon.metrics());
    say(&format!(
        "metrics, health and status: http://{0}/metrics http://{0}/readyz http://{0}/status",
        daemon.address()
    ));
    say("watching; Ctrl-C ends it");
    stream.watched();
    let disturbances = (settings.disturb && settings.source == Source::Host)
        .then(|| Disturbances::start(began, say));
    let stopped = end_with_the_source(&stream, &metrics, signals.clone());
    let ran = daemon.run(signals).await;
    stopped.abort();
    let windows = disturbances.map(Disturbances::stop).unwrap_or_default();
    let labels = stream.stop();
    let seen = watch.stop(&metrics);
    ran?;
    Ok(Summary::new(&metrics, &seen, windows, labels))
}

/// Ends the demo when a source that has an end was read and judged to the last record.
fn end_with_the_source(
    stream: &Stream,
    metrics: &Arc<Metrics>,
    signals: Signals,
) -> tokio::task::JoinHandle<()> {
    let (progress, metrics) = (stream.progress(), Arc::clone(metrics));
    tokio::spawn(async move {
        let mut look = tokio::time::interval(Duration::from_millis(100));
        loop {
            look.tick().await;
            if let Some(expected) = progress.ended_with()
                && summary::records(&metrics) >= expected
            {
                signals.raise();
                return;
            }
        }
    })
}

async fn start_broker() -> Result<EmbeddedBroker, DemoError> {
    let topics = [(INPUT, PARTITIONS), (OUTLIERS, 1), (DEAD_LETTERS, 1)];
    tokio::task::spawn_blocking(move || EmbeddedBroker::start(&topics))
        .await
        .map_err(|error| DemoError::Broker(error.to_string()))?
        .map_err(|error| DemoError::Broker(error.to_string()))
}

/// A folder that goes when the demo ends.
struct Scratch(PathBuf);

impl Scratch {
    fn path(&self) -> &std::path::Path {
        &self.0
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        std::fs::remove_dir_all(&self.0).ok();
    }
}

fn scratch_folder() -> Result<Scratch, DemoError> {
    let path = std::env::temp_dir().join(format!("outlierd-demo-{}", std::process::id()));
    std::fs::create_dir_all(&path).map_err(|error| DemoError::Io("making a folder", error))?;
    Ok(Scratch(path))
}
