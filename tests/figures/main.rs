//! Figures on real data, one command a table: `cargo bench --bench figures -- tabular` and so on.
//!
//! The data are looked for in the folder that `--data` names, else at `OUTLIERD_TEST_DATA`, else in `../shared/data`.
//! A table whose data are absent says so and is skipped.

#![allow(clippy::print_stdout)]

mod data;
mod explanations;
mod images;
mod mixed;
mod mnist;
mod tabular;
mod thresholds;
mod transactions;

use std::os::unix::process::CommandExt;
use std::process::{Command, ExitCode};

use anyhow::Context;
use clap::{Parser, Subcommand};

#[derive(Parser)]
#[command(about = "Figures on real data, beside published ones")]
struct Arguments {
    /// The folder with the data sets.
    #[arg(long, global = true)]
    data: Option<std::path::PathBuf>,
    /// A few small sets and one seed, with floors: a minute or two.
    #[arg(long, global = true)]
    quick: bool,
    /// What `cargo bench` passes to every benchmark.
    #[arg(long, global = true, hide = true)]
    bench: bool,
    #[command(subcommand)]
    table: Option<Table>,
}

#[derive(Subcommand)]
enum Table {
    /// Twelve tabular sets in two protocols, beside the published rows.
    Tabular(tabular::Arguments),
    /// Promised against realised false-alarm rates.
    Thresholds(thresholds::Arguments),
    /// Whether the field that was shifted is named first.
    Explanations(explanations::Arguments),
    /// Fields of mixed types: KDD Cup 1999.
    Mixed(mixed::Arguments),
    /// Card transactions on the Fraud Detection Handbook's own split.
    Transactions(transactions::Arguments),
    /// Log-likelihood on MNIST by importance sampling.
    Mnist(mnist::Arguments),
}

fn main() -> ExitCode {
    if std::env::var_os("RAYON_NUM_THREADS").is_none() {
        let error = start_over();
        eprintln!("{error:#}");
        return ExitCode::FAILURE;
    }
    let arguments = Arguments::parse();
    let Some(table) = &arguments.table else {
        eprintln!("name a table: cargo bench --bench figures -- --help");
        return ExitCode::SUCCESS;
    };
    let Some(data) = data::folder(arguments.data.as_deref()) else {
        eprintln!("skipped: no data folder; give --data or set OUTLIERD_TEST_DATA");
        return ExitCode::SUCCESS;
    };
    let quick = arguments.quick;
    let outcome = match table {
        Table::Tabular(table) => tabular::run(table, &data, quick),
        Table::Thresholds(table) => thresholds::run(table, &data, quick),
        Table::Explanations(table) => explanations::run(table, &data, quick),
        Table::Mixed(table) => mixed::run(table, &data, quick),
        Table::Transactions(table) => transactions::run(table, &data, quick),
        Table::Mnist(table) => mnist::run(table, &data, quick),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error:#}");
            ExitCode::FAILURE
        }
    }
}

/// One thread a multiplication, as `main` of the program has it; and the allocator of the GNU C library keeps what is
/// freed, without which a step on rows of 784 columns takes twice as long (`docs/performance.md`). This process starts
/// over with the variables set, since to set one's own is unsafe. Returns only if it could not.
fn start_over() -> anyhow::Error {
    let program = match std::env::current_exe().context("finding this program") {
        Ok(program) => program,
        Err(error) => return error,
    };
    let error = Command::new(program)
        .args(std::env::args_os().skip(1))
        .envs([("RAYON_NUM_THREADS", "1"), ("CANDLE_NUM_THREADS", "1")])
        .envs([
            ("MALLOC_TRIM_THRESHOLD_", "268435456"),
            ("MALLOC_MMAP_THRESHOLD_", "33554432"),
        ])
        .exec();
    anyhow::Error::new(error).context("starting over")
}
