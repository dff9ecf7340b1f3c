//! `cargo bench`: what a record costs, stage by stage and on the whole line.
//!
//! `cargo bench -- parse vae` measures what has one of the words in its name, `--json` prints for
//! programs. `docs/performance.md` says what the figures mean and what they were.

#![allow(clippy::print_stdout)]

mod allocations;
mod clock;
mod feed;
mod gpu;
mod measure;
mod report;
mod stages;
mod stream;
mod threads;
mod whole;

use std::os::unix::process::CommandExt;
use std::process::Command;

use anyhow::Context;

#[global_allocator]
static ALLOCATOR: allocations::Counting = allocations::Counting;

/// What the command line asks for.
pub struct Wanted {
    words: Vec<String>,
    json: bool,
}

impl Wanted {
    fn from(arguments: impl Iterator<Item = String>) -> Wanted {
        let arguments: Vec<String> = arguments.collect();
        Wanted {
            json: arguments.iter().any(|argument| argument == "--json"),
            // cargo adds `--bench`.
            words: arguments
                .into_iter()
                .filter(|argument| !argument.starts_with('-'))
                .collect(),
        }
    }

    pub fn has(&self, name: &str) -> bool {
        self.words.is_empty() || self.words.iter().any(|word| name.contains(word))
    }
}

fn main() -> anyhow::Result<()> {
    if std::env::args().nth(1).as_deref() == Some(feed::ARGUMENT) {
        return feed::serve();
    }
    if std::env::var_os("RAYON_NUM_THREADS").is_none() {
        return one_thread_a_multiplication();
    }
    let wanted = Wanted::from(std::env::args().skip(1));
    if wanted.has("gpu") && !wanted.json {
        gpu::measure()?;
    }
    if wanted.words == ["gpu"] {
        return Ok(());
    }
    let folder = tempfile::tempdir().context("making a folder")?;
    let model = stream::train(folder.path())?;
    // The line comes first, so that its memory is not that of the other stages.
    let line = if wanted.has("line") {
        whole::measure(folder.path(), &model)?
    } else {
        Vec::new()
    };
    let stages = stages::measure(&wanted, folder.path(), &model)?;
    report::print(&stages, &line, wanted.json)
}

/// As `main` of the program does it: this process starts over with the variables set, since to
/// set one's own is unsafe.
fn one_thread_a_multiplication() -> anyhow::Result<()> {
    let error = Command::new(std::env::current_exe()?)
        .args(std::env::args().skip(1))
        .envs([("RAYON_NUM_THREADS", "1"), ("CANDLE_NUM_THREADS", "1")])
        .exec();
    Err(error).context("starting over")
}
