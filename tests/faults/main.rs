//! Faults against a real Kafka, and a verifier that counts what was lost or came twice.
//!
//! `cargo test --test faults` runs the quick cells, `cargo test --test faults -- --all` every one, and a word runs the
//! cells whose name has it (with `--quick` those of them that are quick). `-- --planted` gives the daemons defects, each of which the verifier must notice. `-- --soak
//! MINUTES` runs load with a fault every so often, so long in each mode, and `-- --cost` measures what the guarantees cost (both
//! best with `--release`). Java and Maven are needed, or a cluster in `OUTLIERD_TEST_BROKERS`; without them all is skipped,
//! and it says why.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout
)]

mod audit;
mod cells;
mod cluster;
mod cost;
mod gates;
// Shared with the tests against the embedded broker, which use the rest of it.
#[allow(dead_code, unused_imports)]
#[path = "../line/harness/mod.rs"]
mod harness;
mod latency;
mod load;
mod proxy;
mod resources;
mod scene;
mod soak;
mod stream;
mod verifier;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use cells::{CELLS, Cell, PLANTED};
use cluster::{Cluster, Kind};
use scene::{Mode, Scene};

const RECORDS: usize = 20_000;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let all = arguments.iter().any(|argument| argument == "--all");
    let words: Vec<&str> = arguments
        .iter()
        .map(String::as_str)
        .filter(|argument| !argument.starts_with('-'))
        .collect();
    let quick = arguments.iter().any(|argument| argument == "--quick");
    let is_named = |cell: &Cell, mode: Mode| {
        let mut words = words.iter();
        words.all(|word| cell.name.contains(word) || mode.name().contains(word))
    };
    let wanted = |cell: &Cell, mode: Mode| {
        let quick = quick || (words.is_empty() && !all);
        is_named(cell, mode) && (cell.quick || !quick)
    };
    if let Some(minutes) = after(&arguments, "--soak") {
        let is_named = |mode: &Mode| {
            let mut words = words.iter().filter(|word| word.parse::<u64>().is_err());
            words.all(|word| mode.name().contains(word))
        };
        let modes = [Mode::ExactlyOnce, Mode::AtLeastOnce].into_iter();
        let modes: Vec<Mode> = modes.filter(is_named).collect();
        if modes.is_empty() {
            println!("no mode is called so");
            return ExitCode::FAILURE;
        }
        return start(Kind::One).map_or(ExitCode::SUCCESS, |mut cluster| {
            soak(&mut cluster, minutes, modes)
        });
    }
    if arguments.iter().any(|argument| argument == "--cost") {
        if let Some(mut cluster) = start(Kind::One) {
            cost::cost(&mut cluster);
        }
        return ExitCode::SUCCESS;
    }
    if arguments.iter().any(|argument| argument == "--planted") {
        return start(Kind::One).map_or(ExitCode::SUCCESS, |mut cluster| notice(&mut cluster));
    }
    println!("| cell | mode | fired | records | lost | duplicated | recovered | |");
    println!("| --- | --- | --- | --- | --- | --- | --- | --- |");
    let (mut passed, mut failed) = (0, 0);
    for kind in [Kind::One, Kind::Three, Kind::Secured] {
        let rows = || {
            let cells = CELLS.iter().filter(move |cell| cell.kind == kind);
            cells.flat_map(|cell| cell.modes.iter().map(move |&mode| (cell, mode)))
        };
        if !rows().any(|(cell, mode)| wanted(cell, mode)) {
            continue;
        }
        let Some(mut cluster) = start(kind) else {
            continue;
        };
        for (cell, mode) in rows().filter(|(cell, mode)| wanted(cell, *mode)) {
            if cell.needs_nodes && !cluster.is_ours() {
                let (name, mode) = (cell.name, mode.name());
                println!("| {name} | {mode} | skipped: the brokers are not ours | | | | | |");
                continue;
            }
            match run(cell, mode, None, &mut cluster) {
                Some(true) => passed += 1,
                _ => failed += 1,
            }
        }
    }
    println!("\n{passed} passed, {failed} failed");
    let none = !words.is_empty()
        && !CELLS
            .iter()
            .any(|cell| cell.modes.iter().any(|&mode| wanted(cell, mode)));
    if none {
        println!("no cell is called so");
    }
    ExitCode::from(u8::from(failed > 0 || none))
}

/// A cluster, or the reason that there can be none.
fn start(kind: Kind) -> Option<Cluster> {
    Cluster::start(kind)
        .map_err(|why| println!("skipped: no real Kafka ({kind:?}): {why}"))
        .ok()
}

/// The number behind a flag.
fn after(arguments: &[String], flag: &str) -> Option<u64> {
    let place = arguments.iter().position(|argument| argument == flag)?;
    let number = arguments.get(place + 1);
    Some(
        number
            .and_then(|number| number.parse().ok())
            .expect("--soak MINUTES"),
    )
}

/// So many minutes in each mode.
fn soak(cluster: &mut Cluster, minutes: u64, modes: Vec<Mode>) -> ExitCode {
    let time = Duration::from_secs(60 * minutes);
    let mut kept = true;
    for mode in modes {
        let mut scene = Scene::new(cluster, "soak", mode, RECORDS, 0, "1048588");
        kept &= soak::soak(&mut scene, time);
    }
    ExitCode::from(u8::from(!kept))
}

/// Runs cells with daemons that have a defect; succeeds if each is noticed.
fn notice(cluster: &mut Cluster) -> ExitCode {
    let mut missed = 0;
    for (defect, name, mode) in PLANTED {
        let cell = CELLS.iter().find(|cell| cell.name == name).unwrap();
        let noticed = run(cell, mode, Some(defect), cluster) == Some(false);
        missed += u8::from(!noticed);
        println!(
            "{defect}: {}",
            if noticed { "noticed" } else { "**missed**" }
        );
    }
    ExitCode::from(missed)
}

/// Runs one cell and prints its row; says whether all promises were kept, if it came to its end.
fn run(cell: &Cell, mode: Mode, defect: Option<&str>, cluster: &mut Cluster) -> Option<bool> {
    let began = Instant::now();
    let (padded, limit) = cell.long.unwrap_or((0, "1048588"));
    let outcome = catch_unwind(AssertUnwindSafe(|| {
        let mut scene = Scene::new(cluster, cell.name, mode, RECORDS, padded, limit);
        scene.audited = cell.audited;
        scene.classic = cell.classic;
        scene.planted = defect.map(str::to_owned);
        let fired = (cell.run)(&mut scene);
        (fired, scene.end())
    }));
    let Ok((fired, outcome)) = outcome else {
        println!(
            "| {} | {} | **panicked**, see above | | | | | |",
            cell.name,
            mode.name()
        );
        return None;
    };
    let once = mode == Mode::ExactlyOnce || !cell.may_repeat;
    let mut fault = outcome.findings.fault(once);
    if outcome.witnessed_else != 0 {
        let else_ = outcome.witnessed_else;
        fault = fault.or(Some(format!(
            "a concurrent reader saw {else_} more than stands there"
        )));
    }
    fault = fault.or(outcome.audit);
    let recovered = outcome
        .recovered
        .map_or(String::new(), |time| format!("{:.1} s", time.as_secs_f64()));
    println!(
        "| {} | {} | {fired} | {} | {} | {} | {recovered} | {} ({:.0} s) |",
        cell.name,
        mode.name(),
        outcome.records,
        outcome.findings.lost,
        outcome.findings.duplicated,
        fault.as_deref().unwrap_or("kept"),
        began.elapsed().as_secs_f64(),
    );
    Some(fault.is_none())
}
