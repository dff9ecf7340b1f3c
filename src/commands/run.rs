//! `outlierd run`: the daemon.

use std::process::Stdio;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Context;

use super::{load, start_logging};
use crate::cli;
use crate::config::Config;
use crate::daemon::{Daemon, DaemonError, Ourselves, Signals};
use crate::registry::{self, StoreError, Stored};

/// Between two looks for a model.
const RETRY: Duration = Duration::from_secs(2);

/// Between two tries to make the first model: its records may still have to come.
const BOOTSTRAP: Duration = Duration::from_secs(60);

pub(super) fn run(arguments: &cli::Run) -> anyhow::Result<()> {
    let config = load(&arguments.config.path)?;
    start_logging(&config.log);
    let runtime = runtime()?;
    let outcome = runtime.block_on(async {
        let mut signals = Signals::listen().context("listening for signals")?;
        let ourselves = Ourselves::with(&arguments.config.path);
        let stored = tokio::select! {
            stored = first(&config, &ourselves) => stored?,
            () = signals.times(1) => return Ok(()),
        };
        match Daemon::start(Arc::new(config), stored, Some(ourselves), &mut signals).await {
            Ok(daemon) => anyhow::Ok(daemon.run(&mut signals).await?),
            Err(DaemonError::StoppedEarly) => Ok(()),
            Err(error) => Err(error.into()),
        }
    });
    // A thread that still waits for a broker must not hold the process back, whatever the outcome.
    runtime.shutdown_background();
    outcome
}

/// The model to begin with. Waits for a store that is out of reach, and, with `retrain.bootstrap`, for the first model.
async fn first(config: &Config, ourselves: &Ourselves) -> anyhow::Result<Stored> {
    let (mut waits, mut tried) = (false, None::<Instant>);
    loop {
        let error = match tokio::task::block_in_place(|| registry::serving(config)) {
            Ok(stored) => return Ok(stored),
            Err(error) => error,
        };
        match &error {
            // Another instance may make it meanwhile.
            StoreError::Empty(_) if tried.is_some_and(|at| at.elapsed() < BOOTSTRAP) => {
                tokio::time::sleep(RETRY).await;
            }
            StoreError::Empty(place) if config.retrain.bootstrap => {
                tracing::info!("no model in {place} yet: one is trained (retrain.bootstrap)");
                if !bootstrap(ourselves).await? {
                    tracing::warn!("no model yet; trying again in {BOOTSTRAP:?}");
                }
                tried = Some(Instant::now());
            }
            error if error.is_unreachable() => {
                if !waits {
                    tracing::warn!("{error}; trying again until it answers");
                    waits = true;
                }
                tokio::time::sleep(RETRY).await;
            }
            _ => return Err(error.into()),
        }
    }
}

/// Trains the first model in a process of its own; says whether there is one. Its words go where ours go.
async fn bootstrap(ourselves: &Ourselves) -> anyhow::Result<bool> {
    let mut command = ourselves.retrain();
    command.arg("--background").stdout(Stdio::null());
    let status = command.status().await;
    Ok(status
        .context("starting to train the first model")?
        .success())
}

/// tokio serves HTTP, signals and timers; the line has threads of its own.
pub(super) fn runtime() -> anyhow::Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .context("starting the runtime")
}
