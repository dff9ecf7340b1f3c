//! `demo --source drift`: a stream that moves while one watches, and models that keep up with it.
//!
//! A pump's sensors. First they are as they were learnt; then the room gets warmer, which is no fault: the flag rate rises,
//! the daemon says that the stream drifts and has a model trained, which passes its gate and takes over. Then a model is
//! trained on a broken machine, which the gate refuses; and a rollback is shown.

mod pump;
mod report;

use std::path::Path;
use std::process::Stdio;
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::Value;

use super::{DEAD_LETTERS, DemoError, INPUT, OUTLIERS, scratch_folder, start_broker};
use crate::config::Config;
use crate::daemon::{self, Daemon, DaemonError, Ourselves, Signals};
use crate::kafka::Connection;
use crate::metrics::{Metrics, OutputTopic, RetrainOutcome};
use crate::registry::{self, Hand, Store};

use pump::Pump;
pub use report::Report;

/// Learnt at first.
const LEARNT: usize = 6000;

/// How long the flag rate is counted.
const COUNTED: Duration = Duration::from_secs(6);

/// How long the room takes to get warm.
const WARMING: Duration = Duration::from_secs(5);

/// Degrees: three deviations of what the load does not say of the temperature.
const WARMER: f64 = 3.0;

/// How long the drift, the retrain and the change of the model may take, together.
const PATIENCE: Duration = Duration::from_secs(120);

const LOOK: Duration = Duration::from_millis(50);

/// What can be chosen.
#[derive(Debug, Clone, Copy)]
pub struct Settings {
    pub http: std::net::SocketAddr,
    pub seed: u64,
}

/// Runs it to its end, or until `signals` end it.
///
/// # Errors
/// When the broker cannot be started, no model is learnt, or something that is to be shown does not come.
pub async fn run(
    settings: Settings,
    signals: &mut Signals,
    say: fn(&str),
) -> Result<Report, DemoError> {
    let folder = scratch_folder()?;
    let broker = start_broker().await?;
    let text = configuration(broker.bootstrap_servers(), folder.path(), settings);
    let file = folder.path().join("outlierd.toml");
    std::fs::write(&file, &text).map_err(|error| DemoError::Io("writing a file", error))?;
    let config = Config::parse(&text, []).map_err(|error| DemoError::Broker(error.to_string()))?;
    let scene = Scene {
        connection: Connection::new(&config.kafka),
        store: Store::of(&config).ok_or(DemoError::Stopped)?,
        config: Arc::new(config),
        ourselves: Ourselves::with(&file),
        signals: signals.clone(),
        say,
    };
    scene.show(settings, signals, folder.path()).await
}

struct Scene {
    config: Arc<Config>,
    connection: Connection,
    store: Store,
    ourselves: Ourselves,
    signals: Signals,
    say: fn(&str),
}

impl Scene {
    async fn show(
        &self,
        settings: Settings,
        signals: &mut Signals,
        folder: &Path,
    ) -> Result<Report, DemoError> {
        let mut pump = Pump::new(settings.seed);
        (self.say)(&format!("learning {LEARNT} readings of a pump's sensors"));
        pump.write(&self.connection, LEARNT)?;
        self.retrain(&[]).await?;
        let stored = registry::serving(&self.config)?;
        let first = stored.version.clone();
        (self.say)(&format!("model {first} serves: it has passed its gate"));
        let ourselves = Some(self.ourselves.clone());
        let daemon = Daemon::start(Arc::clone(&self.config), stored, ourselves, signals).await?;
        let metrics = Arc::clone(daemon.metrics());
        (self.say)(&format!("see http://{}/status", daemon.address()));
        let pump = pump.start(&self.connection)?;
        let mut running = signals.clone();
        let daemon = tokio::spawn(async move { daemon.run(&mut running).await });
        let shown = self.story(&metrics, &pump, &first, folder).await;
        signals.raise();
        pump.stop();
        let ran = daemon.await.map_err(|_| DaemonError::Supervisor)?;
        let report = shown?;
        ran?;
        Ok(report)
    }

    async fn story(
        &self,
        metrics: &Arc<Metrics>,
        pump: &pump::Running,
        first: &str,
        folder: &Path,
    ) -> Result<Report, DemoError> {
        let before = self.flag_rate(metrics).await?;
        (self.say)(&format!(
            "as learnt: {} of the records are flagged",
            percent(before)
        ));
        (self.say)(&format!(
            "the room gets {WARMER} degrees warmer within {} s: no fault, but none has been learnt",
            WARMING.as_secs()
        ));
        pump.warm(WARMER, WARMING);
        let began = Instant::now();
        self.pause(WARMING).await?;
        let warm = Counted::by(metrics);
        self.until("the drift", || metrics.drifting.get() > 0)
            .await?;
        let said_after = began.elapsed();
        (self.say)(&format!(
            "after {:.1} s it is said that the stream drifts; it goes on, so a model is trained in a process of its own",
            said_after.as_secs_f64()
        ));
        let ended = [
            RetrainOutcome::Serves,
            RetrainOutcome::Refused,
            RetrainOutcome::Failed,
        ];
        let ended = ended.map(|outcome| metrics.retrains.get(outcome));
        self.until("the new model", || ended.iter().any(|it| it.get() > 0))
            .await?;
        let drifted = Counted::by(metrics).rate_since(&warm);
        (self.say)(&format!("meanwhile {} were flagged", percent(drifted)));
        let second = self.serving()?;
        if second == first {
            return Err(DemoError::Story("the new model was not let serve".into()));
        }
        let rollout = self.rollout(&second).await?;
        (self.say)(&format!(
            "model {second} has passed its gate and serves ({rollout})"
        ));
        let after = self.flag_rate(metrics).await?;
        (self.say)(&format!("as learnt again: {} are flagged", percent(after)));
        let broken = folder.join("broken.ndjson");
        pump::write_broken(&broken, LEARNT)
            .map_err(|error| DemoError::Io("writing a file", error))?;
        (self.say)("a model is trained on a machine that breaks");
        let told = self
            .retrain(&["--from-file".as_ref(), broken.as_os_str()])
            .await?;
        let checks = refusals(&told);
        if told["outcome"] != "refused" {
            return Err(DemoError::Story(format!("it was not refused: {told}")));
        }
        (self.say)(&format!("it is refused: {}", checks.join("; ")));
        let began = Instant::now();
        let back = self
            .store
            .lend(&Hand::Rollback(None))?
            .serves
            .unwrap_or_default();
        let rollout = self.rollout(&back).await?;
        let rolled_back_after = began.elapsed();
        (self.say)(&format!(
            "rolled back to {back} within {:.1} s ({rollout}); nothing is promoted by itself now",
            rolled_back_after.as_secs_f64()
        ));
        Ok(Report {
            records: super::summary::records(metrics),
            first: first.to_owned(),
            second,
            back,
            flag_rate: [before, drifted, after],
            said_after,
            rolled_back_after,
            checks,
        })
    }

    /// Trains in a process of its own, as `outlierd retrain` does; returns its last word.
    async fn retrain(&self, arguments: &[&std::ffi::OsStr]) -> Result<Value, DemoError> {
        let mut command = self.ourselves.retrain();
        command.arg("--json").args(arguments).stderr(Stdio::null());
        let mut signals = self.signals.clone();
        let ended = tokio::select! {
            ended = command.output() => ended,
            () = signals.times(1) => return Err(DemoError::Stopped),
        };
        let output = ended.map_err(|error| DemoError::Io("starting a retrain", error))?;
        let text = String::from_utf8_lossy(&output.stdout);
        let last = text
            .lines()
            .last()
            .and_then(|line| serde_json::from_str(line).ok());
        last.filter(|told: &Value| told["event"] == "done")
            .ok_or_else(|| DemoError::Story("a retrain came to nothing".into()))
    }

    /// Share of the records that are flagged, of those of the next seconds.
    async fn flag_rate(&self, metrics: &Metrics) -> Result<f64, DemoError> {
        let before = Counted::by(metrics);
        self.pause(COUNTED).await?;
        Ok(Counted::by(metrics).rate_since(&before))
    }

    async fn pause(&self, pause: Duration) -> Result<(), DemoError> {
        let mut signals = self.signals.clone();
        tokio::select! {
            () = tokio::time::sleep(pause) => Ok(()),
            () = signals.times(1) => Err(DemoError::Stopped),
        }
    }

    async fn until(&self, what: &str, has_come: impl Fn() -> bool) -> Result<(), DemoError> {
        let deadline = Instant::now() + PATIENCE;
        while !has_come() {
            if self.signals.raised() {
                return Err(DemoError::Stopped);
            }
            if Instant::now() > deadline {
                return Err(DemoError::Story(format!(
                    "{what} has not come within {PATIENCE:?}"
                )));
            }
            tokio::time::sleep(LOOK).await;
        }
        Ok(())
    }

    fn serving(&self) -> Result<String, DemoError> {
        let ledger = self.store.ledger()?;
        let serving = ledger.serving().map(|entry| entry.version.clone());
        serving.ok_or_else(|| DemoError::Story("no model serves".into()))
    }

    /// Waits until every partition is judged by `version`.
    async fn rollout(&self, version: &str) -> Result<String, DemoError> {
        let (config, version) = (Arc::clone(&self.config), version.to_owned());
        let waited =
            tokio::task::spawn_blocking(move || daemon::rollout(&config, &version, PATIENCE));
        let waited = waited.await;
        let said = waited.map_err(|error| DemoError::Broker(error.to_string()))?;
        said.map_err(|error| DemoError::Story(format!("{error:#}")))
    }
}

/// What the line has done so far.
struct Counted {
    records: u64,
    flagged: u64,
}

impl Counted {
    fn by(metrics: &Metrics) -> Counted {
        Counted {
            records: super::summary::records(metrics),
            flagged: metrics.published.get(OutputTopic::Outliers).get(),
        }
    }

    fn rate_since(&self, before: &Counted) -> f64 {
        let records = self.records - before.records;
        (self.flagged - before.flagged) as f64 / records.max(1) as f64
    }
}

fn percent(share: f64) -> String {
    format!("{:.1} %", share * 100.0)
}

/// The checks that were not passed, in words.
fn refusals(told: &Value) -> Vec<String> {
    let report: Option<registry::Report> = serde_json::from_value(told["gate"].clone()).ok();
    report.map_or(vec![], |report| report.faults())
}

fn configuration(brokers: &str, folder: &Path, settings: Settings) -> String {
    let (store, http, seed) = (folder.join("models"), settings.http, settings.seed);
    let fields: String = pump::FIELDS
        .iter()
        .map(|field| format!("[[fields]]\npath = \"{field}\"\nkind = \"numeric\"\n\n"))
        .collect();
    format!(
        r#"
[kafka]
brokers = "{brokers}"

[kafka.properties]
"group.protocol" = "consumer"
"fetch.wait.max.ms" = "20"

[input]
topic = "{INPUT}"
group = "demo"
start = "after_training"

[output]
topic = "{OUTLIERS}"

[dead_letter]
topic = "{DEAD_LETTERS}"

[model]
store = {store:?}

[train]
since = "1h"
latent = 4
floors = [0.2]
max_steps = 1500
seed = {seed}

[retrain]
on_drift = true
drift_for = "6s"

[detect]
budget = "1%"

[line]
batch_age = "20ms"
commit_interval = "200ms"
threads = 1

[http]
bind = "{http}"

[log]
level = "error"

{fields}"#
    )
}
