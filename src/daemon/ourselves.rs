//! How this program is started again.

use std::ffi::OsStr;
use std::path::PathBuf;

use crate::pipeline::Probe;

/// This very program, to be started again with its configuration.
#[derive(Debug, Clone)]
pub struct Ourselves {
    pub program: PathBuf,
    pub configuration: PathBuf,
}

impl Ourselves {
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
