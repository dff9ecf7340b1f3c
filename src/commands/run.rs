//! `outlierd run`: the daemon.

use std::path::Path;
use std::sync::Arc;

use anyhow::Context;

use super::{load, start_logging};
use crate::cli;
use crate::daemon::{Daemon, DaemonError, Ourselves, Signals};
use crate::registry;

pub(super) fn run(arguments: &cli::Run) -> anyhow::Result<()> {
    let config = load(&arguments.config.path)?;
    start_logging(&config.log);
    let stored = registry::serving(&config.model)?;
    let runtime = runtime()?;
    let outcome = runtime.block_on(async {
        let mut signals = Signals::listen().context("listening for signals")?;
        let ourselves = Some(ourselves(&arguments.config.path));
        match Daemon::start(Arc::new(config), stored, ourselves, &mut signals).await {
            Ok(daemon) => anyhow::Ok(daemon.run(&mut signals).await?),
            Err(DaemonError::StoppedEarly) => Ok(()),
            Err(error) => Err(error.into()),
        }
    });
    // A thread that still waits for a broker must not hold the process back, whatever the outcome.
    runtime.shutdown_background();
    outcome
}

/// This very program, even if its file has been replaced meanwhile.
fn ourselves(configuration: &Path) -> Ourselves {
    let this = Path::new("/proc/self/exe");
    let program = match this.exists() {
        true => this.to_owned(),
        false => std::env::current_exe().unwrap_or_else(|_| "outlierd".into()),
    };
    Ourselves {
        program,
        configuration: configuration.to_owned(),
    }
}

/// tokio serves HTTP, signals and timers; the line has threads of its own.
pub(super) fn runtime() -> anyhow::Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .context("starting the runtime")
}
