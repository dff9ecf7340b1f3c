//! The thread that writes records into the input topic.

use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use super::host::{HostError, HostSampler};
use super::transactions::{self, Label, SettingsError, Transactions};
use super::{INPUT, Settings, Source};
use crate::config::{Config, Field};
use crate::files::{self, FileError, Rows};
use crate::kafka::{ClientError, Connection, Feeder};
use crate::record::survey::Survey;

/// Generated records and rows of a file come this fast while they are learnt...
const LEARNING_RATE: f64 = 1500.0;

/// ...and this fast while they are watched.
const WATCHED_RATE: f64 = 500.0;

/// Rows of a file that are looked at to infer its fields.
const SURVEYED: usize = 5000;

/// Why records cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum SourceError {
    #[error(transparent)]
    Host(#[from] HostError),
    #[error(transparent)]
    Transactions(#[from] SettingsError),
    #[error(transparent)]
    File(#[from] FileError),
    #[error("{0} has no field that a model could use: see `outlierd init --from-file`")]
    NoFields(String),
    #[error(transparent)]
    Client(#[from] ClientError),
}

/// The labels of generated records, by their number; the model never sees them.
pub(super) type Labels = Vec<Label>;

/// Records on their way into the input topic.
pub(super) struct Stream {
    progress: Progress,
    stop: Arc<AtomicBool>,
    watched: Arc<AtomicBool>,
    labels: Arc<Mutex<Labels>>,
    thread: JoinHandle<Result<(), SourceError>>,
    name: String,
    source: Source,
}

/// How far the stream is.
#[derive(Clone)]
pub(super) struct Progress {
    written: Arc<AtomicU64>,
    /// Records written when watching began.
    learnt: Arc<AtomicU64>,
    ended: Arc<AtomicBool>,
}

impl Progress {
    pub(super) fn written(&self) -> u64 {
        self.written.load(Ordering::Relaxed)
    }

    /// The number of records to watch, once the source has come to its end.
    pub(super) fn ended_with(&self) -> Option<u64> {
        let learnt = self.learnt.load(Ordering::Acquire);
        (self.ended.load(Ordering::Acquire) && learnt > 0).then(|| self.written() - learnt)
    }

    pub(super) fn has_ended(&self) -> bool {
        self.ended.load(Ordering::Acquire)
    }
}

impl Stream {
    pub(super) fn start(
        settings: &Settings,
        connection: &Connection,
        began: Instant,
    ) -> Result<Stream, SourceError> {
        let progress = Progress {
            written: Arc::default(),
            learnt: Arc::default(),
            ended: Arc::default(),
        };
        let (stop, watched) = (
            Arc::new(AtomicBool::new(false)),
            Arc::new(AtomicBool::new(false)),
        );
        let labels = Arc::new(Mutex::new(Vec::new()));
        let mut writer = Writer {
            feeder: Feeder::new(connection, INPUT)?,
            progress: progress.clone(),
            stop: Arc::clone(&stop),
            watched: Arc::clone(&watched),
            labels: Arc::clone(&labels),
            due: began,
        };
        let mut origin = Origin::open(settings)?;
        let name = match &settings.source {
            Source::Host => "this host's own sensors".to_owned(),
            Source::Transactions => "generated card transactions".to_owned(),
            Source::File(path) => path.display().to_string(),
        };
        let thread = std::thread::spawn(move || {
            let written = writer.write(&mut origin);
            writer.progress.ended.store(true, Ordering::Release);
            written
        });
        Ok(Stream {
            progress,
            stop,
            watched,
            labels,
            thread,
            name,
            source: settings.source.clone(),
        })
    }

    pub(super) fn describe(&self) -> &str {
        &self.name
    }

    pub(super) fn progress(&self) -> Progress {
        self.progress.clone()
    }

    /// From now on records are watched, not learnt. Those written while the model was trained are
    /// watched as well: the line starts right after the last one that was learnt.
    pub(super) fn watched(&self) {
        self.watched.store(true, Ordering::Release);
    }

    /// Says how many of the records were learnt.
    pub(super) fn learnt(&self, records: u64) {
        self.progress.learnt.store(records, Ordering::Release);
    }

    /// Ends the stream; returns the labels, if its records have any.
    pub(super) fn stop(self) -> Option<Labels> {
        self.stop.store(true, Ordering::Release);
        match self.thread.join() {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::warn!("the source ended: {error}"),
            Err(_) => tracing::error!("the source panicked"),
        }
        let labels = self.labels.lock().unwrap_or_else(PoisonError::into_inner);
        (self.source == Source::Transactions).then(|| labels.clone())
    }
}

/// Where records are made.
enum Origin {
    Host(HostSampler),
    Transactions(Transactions),
    File(Rows),
}

impl Origin {
    fn open(settings: &Settings) -> Result<Origin, SourceError> {
        Ok(match &settings.source {
            Source::Host => Origin::Host(HostSampler::new()?),
            Source::Transactions => {
                Origin::Transactions(Transactions::new(transactions::Settings {
                    seed: settings.seed,
                    ..transactions::Settings::default()
                })?)
            }
            Source::File(path) => Origin::File(files::open(path)?),
        })
    }
}

/// Writes records at their pace until it is stopped or there are no more.
struct Writer {
    feeder: Feeder,
    progress: Progress,
    stop: Arc<AtomicBool>,
    watched: Arc<AtomicBool>,
    labels: Arc<Mutex<Labels>>,
    due: Instant,
}

impl Writer {
    fn write(&mut self, origin: &mut Origin) -> Result<(), SourceError> {
        let mut record = Vec::new();
        while !self.stop.load(Ordering::Acquire) {
            match origin {
                Origin::Host(sampler) => {
                    self.wait(HostSampler::interval());
                    sampler.sample(&mut record);
                    self.feeder.send(Some(HOST_KEY), Some(&record), None)?;
                }
                Origin::Transactions(transactions) => {
                    self.wait(self.pace());
                    let label = transactions.next(&mut record);
                    let key = label.card_id.clone();
                    self.labels
                        .lock()
                        .unwrap_or_else(PoisonError::into_inner)
                        .push(label);
                    self.feeder
                        .send(Some(key.as_bytes()), Some(&record), None)?;
                }
                Origin::File(rows) => {
                    self.wait(self.pace());
                    if !rows.next(&mut record)? {
                        break;
                    }
                    self.feeder.send(None, Some(&record), None)?;
                }
            }
            self.progress.written.fetch_add(1, Ordering::Relaxed);
        }
        Ok(self.feeder.finish(Duration::from_secs(10))?)
    }

    fn pace(&self) -> Duration {
        let watched = self.watched.load(Ordering::Acquire);
        Duration::from_secs_f64(1.0 / if watched { WATCHED_RATE } else { LEARNING_RATE })
    }

    /// Waits for the next record's turn. Turns that were missed are not made up for: a burst would
    /// look like one of the host's own events.
    fn wait(&mut self, interval: Duration) {
        self.due =
            (self.due + interval).max(Instant::now().checked_sub(interval).unwrap_or(self.due));
        std::thread::sleep(self.due.saturating_duration_since(Instant::now()));
    }
}

/// The host's records are all of one host: one key, one partition, one order.
const HOST_KEY: &[u8] = b"this-host";

/// The fields of a file, as `init` would choose them.
pub(super) fn survey_file(path: &Path) -> Result<Vec<Field>, SourceError> {
    let mut rows = files::open(path)?;
    let (mut survey, mut record) = (Survey::new(), Vec::new());
    let mut seen = 0;
    while seen < SURVEYED && rows.next(&mut record)? {
        survey.add(&record);
        seen += 1;
    }
    // What `init` would write is what is used.
    let draft = survey.report().to_toml("localhost:9092", INPUT);
    match Config::parse(&draft, []) {
        Ok(config) => Ok(config.fields),
        Err(_) => Err(SourceError::NoFields(path.display().to_string())),
    }
}
