//! Fields of mixed types: real connections with symbolic fields, and what one word that training
//! never saw weighs on made rows.

mod connections;
mod learnt;
mod words;

use std::path::Path;

#[derive(clap::Args)]
pub struct Arguments {
    /// Rows to train on.
    #[arg(long, default_value_t = 20_000)]
    rows: usize,
    #[arg(long, default_value_t = 1)]
    seed: u64,
}

pub fn run(arguments: &Arguments, data: &Path, quick: bool) -> anyhow::Result<()> {
    let rows = if quick {
        arguments.rows.min(5_000)
    } else {
        arguments.rows
    };
    connections::run(data, rows, arguments.seed)?;
    if quick {
        return Ok(());
    }
    words::run(3)
}
