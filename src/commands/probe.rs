//! `outlierd probe`: started by `outlierd run`, never by a person.

use std::io::BufReader;

use super::load;
use crate::{cli, daemon, registry};

pub(super) fn run(arguments: &cli::Run) -> anyhow::Result<()> {
    let config = load(&arguments.config.path)?;
    let stored = registry::serving(&config)?;
    let input = BufReader::new(std::io::stdin().lock());
    daemon::probe(&config, &stored, input, std::io::stdout().lock())
}
