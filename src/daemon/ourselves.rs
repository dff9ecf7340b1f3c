//! How this program is started again.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use tokio::process::Command;

use crate::pipeline::Probe;

/// This very program, to be started again with its configuration.
#[derive(Debug, Clone)]
pub struct Ourselves {
    program: PathBuf,
    configuration: PathBuf,
}

impl Ourselves {
    /// With this configuration. Even if the program's file has been replaced meanwhile, it is the one that runs.
    pub fn with(configuration: &Path) -> Ourselves {
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

    /// `outlierd retrain`, which ends with whoever waits for it. What it says is for its caller to take.
    pub(crate) fn retrain(&self) -> Command {
        let mut command = Command::new(&self.program);
        command
            .args(["retrain", "--config"])
            .arg(&self.configuration)
            .stdin(Stdio::null())
            .kill_on_drop(true);
        command
    }

    /// How this program tries records.
    pub(super) fn probe(&self) -> Probe {
        let arguments = [
            "probe".as_ref(),
            "--config".as_ref(),
            self.configuration.as_os_str(),
        ];
        Probe {
            program: self.program.clone(),
            arguments: arguments.map(OsStr::to_owned).to_vec(),
        }
    }
}
