//! Whether thresholds keep their word: the promised rate of false alarms beside the realised one.
//!
//! A gate is passed if the rate on unseen normal rows is from half to twice the budget, or within
//! what chance allows in 99 of 100 cases. It is judged on shuffled rows: the order of a file is no
//! chance, so the rate in file order stands beside it and is not judged.

mod gate;
mod material;
mod split;
mod trial;

use std::path::Path;
use std::time::Instant;

use anyhow::ensure;
use gate::Gate;
use material::{Material, NETWORK, TABULAR, TRANSACTIONS};
use split::{Order, Protocol};
use trial::Trial;

/// Training rows at most. A fifth of them calibrates: enough to be judged at 0.1 %.
const MOST_ROWS: usize = 30_000;

/// With so many calibration rows the fine budget is judged too.
const ROWS_FOR_FINE: usize = 5000;

const BUDGET: f64 = 0.01;
const FINE_BUDGET: f64 = 0.001;

/// Small, one of them with few calibration rows.
const QUICK: [&str; 2] = ["vowels", "thyroid"];

#[derive(clap::Args)]
pub struct Arguments {
    /// Shuffles and trainings of each set.
    #[arg(long, default_value_t = 3)]
    seeds: u64,
    /// Only these, comma-separated; also `transactions` and `network`.
    #[arg(long, value_delimiter = ',')]
    sets: Vec<String>,
    /// Leave out the trainings in file order, which are not judged.
    #[arg(long)]
    shuffled_only: bool,
}

// Standard output is what a table is for.
#[allow(clippy::print_stdout)]
pub fn run(arguments: &Arguments, data: &Path, quick: bool) -> anyhow::Result<()> {
    let began = Instant::now();
    let sets: Vec<&str> = match (arguments.sets.as_slice(), quick) {
        ([], true) => QUICK.to_vec(),
        ([], false) => TABULAR.into_iter().chain([TRANSACTIONS, NETWORK]).collect(),
        (named, _) => named.iter().map(String::as_str).collect(),
    };
    let seeds = if quick { 1 } else { arguments.seeds };
    let in_file_order = !(quick || arguments.shuffled_only);
    println!("{}", gate::HEADER);
    let (mut judged, mut failed) = (0, 0);
    for set in sets {
        let material = Material::read(set, data)?;
        for &protocol in protocols(set) {
            let trial = |order| Trial::run(&material, protocol, order, MOST_ROWS);
            let file = in_file_order.then(|| trial(Order::File)).transpose()?;
            for seed in 0..seeds {
                let shuffled = trial(Order::Shuffled { seed })?;
                let fine = shuffled.calibration.rows() >= ROWS_FOR_FINE;
                for budget in [Some(BUDGET), fine.then_some(FINE_BUDGET)]
                    .into_iter()
                    .flatten()
                {
                    let gate = Gate::of(&shuffled, protocol, budget)?;
                    // A file that ends with its anomalies has no unseen normal rows in its own order.
                    let beside = file.as_ref().and_then(|trial| trial.realised(budget).ok());
                    println!("{}", gate.line(set, protocol, seed, beside));
                    judged += 1;
                    failed += usize::from(!gate.passed());
                }
            }
        }
    }
    println!(
        "{judged} gates in {:.0} s, {failed} failed",
        began.elapsed().as_secs_f64()
    );
    ensure!(
        failed == 0,
        "{failed} of {judged} thresholds do not keep their word"
    );
    Ok(())
}

/// Four connections in five of the network set are attacks: there normal ones alone are learnt.
fn protocols(set: &str) -> &'static [Protocol] {
    match set {
        NETWORK => &[Protocol::Clean],
        _ => &[Protocol::Clean, Protocol::Unlabelled],
    }
}
