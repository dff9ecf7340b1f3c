//! `outlierd train`: from records to a model file.

use std::ops::ControlFlow;
use std::time::{Duration, Instant};

use super::material::{self, Material};
use super::{load, start_logging};
use crate::cli;
use crate::config::{Budget, Config};
use crate::daemon;
use crate::registry::{self, Added, Store, Stored};
use crate::training::{Collection, Lesson};
use crate::vae::Device;

/// Fields with missing cells that the summary names at most.
const GAPS_SHOWN: usize = 5;

pub(super) fn run(arguments: &cli::Train) -> anyhow::Result<()> {
    let config = load(&arguments.config.path)?;
    start_logging(&config.log);
    // What is missing is said before hours of records are read.
    let device = Device::open(&config.compute)?;
    let began = Instant::now();
    let Material {
        collection, source, ..
    } = material::collect(&config, &arguments.records)?;
    let collected = Collected::of(&collection);
    let bar = material::bar(0, "training");
    let lesson = Lesson::new(collection, source)?.on(device);
    let mut model = lesson.learn(&config.train, &mut |at| {
        material::advance(&bar, at);
        ControlFlow::Continue(())
    })?;
    bar.finish_and_clear();
    let took = began.elapsed();
    match (&arguments.output, Store::of(&config)) {
        (None, Some(store)) => {
            let parent = store.ledger()?.serving().map(|entry| entry.version.clone());
            model.provenance.parent = parent;
            let added = store.add(&model, config.model.keep)?;
            let place = format!("{store}, {}", added.stored.version);
            print_summary(&config, &added.stored, &place, &collected, took)?;
            print_place(&added)?;
        }
        (path, _) => {
            let path = path.as_ref().unwrap_or(&config.model.path);
            let stored = registry::save(&model, path)?;
            let place = path.display().to_string();
            print_summary(&config, &stored, &place, &collected, took)?;
        }
    }
    Ok(())
}

/// What a new model is to its store.
fn print_place(added: &Added) -> std::io::Result<()> {
    let version = &added.stored.version;
    match added.serves {
        true => say!("serves     it is what `outlierd run` loads"),
        false => say!("candidate  `outlierd models promote {version}` has it serve"),
    }
    if !added.pruned.is_empty() {
        say!("deleted    {} (model.keep)", added.pruned.join(", "));
    }
    Ok(())
}

/// Counts of what was read, for the summary.
struct Collected {
    rows: usize,
    usable: usize,
    filtered: usize,
    rejected: Vec<String>,
    first_error: Option<String>,
    gaps: Vec<(String, f64)>,
}

impl Collected {
    fn of(collection: &Collection) -> Collected {
        let rejected = collection.rejected().iter();
        Collected {
            rows: collection.rows(),
            usable: collection.usable(),
            filtered: collection.filtered(),
            rejected: rejected
                .map(|(class, count)| format!("{count} {}", class.as_str()))
                .collect(),
            first_error: collection.first_error().map(ToOwned::to_owned),
            gaps: collection
                .gaps()
                .map(|(path, share)| (path.to_owned(), share))
                .collect(),
        }
    }
}

fn print_summary(
    config: &Config,
    stored: &Stored,
    place: &str,
    read: &Collected,
    took: Duration,
) -> std::io::Result<()> {
    let model = &stored.model;
    let held_out = &model.held_out;
    say!(
        "model      {} ({}, {} KiB)",
        place,
        stored.version,
        stored.bytes / 1024
    );
    say!("rows       {} in {:.1} s", read.rows, took.as_secs_f64());
    if read.usable > read.rows {
        say!(
            "           drawn evenly from {}: train.max_rows = {}",
            read.usable,
            config.train.max_rows
        );
    }
    if read.filtered > 0 {
        say!("           {} did not match input.where", read.filtered);
    }
    if let Some(first) = &read.first_error {
        say!(
            "           unusable: {}; the first: {first}",
            read.rejected.join(", ")
        );
    }
    let unused: Vec<&str> = model.unused_fields().collect();
    say!(
        "fields     {} in {} columns",
        config.fields.len() - unused.len(),
        model.encoding.width()
    );
    print_fields(&unused, read)?;
    say!(
        "held out   {} rows: ELBO {:.3}, reconstruction error {:.3}, KL {:.3} a record",
        held_out.rows,
        held_out.elbo,
        held_out.reconstruction_error,
        held_out.kl
    );
    let calibration = &model.calibration;
    say!("calibrated {calibration}");
    match daemon::policy(config, model) {
        Ok(policy) => {
            let threshold = policy.threshold;
            say!(
                "threshold  score {:.2}, p {:.5}, for a budget of {}",
                calibration.score_at(threshold.p),
                threshold.p,
                describe(config.detect.budget)
            );
            if !threshold.attested() {
                say!(
                    "           the budget is finer than these rows can attest: outliers are those odder \
                     than all of them"
                );
            }
        }
        Err(misfit) => say!("threshold  {misfit}"),
    }
    Ok(())
}

/// What was found missing, and what is not used and why.
fn print_fields(unused: &[&str], read: &Collected) -> std::io::Result<()> {
    let shown = |gaps: &[&(String, f64)]| {
        let shown = gaps.iter().take(GAPS_SHOWN);
        let shown: Vec<String> = shown
            .map(|(path, share)| format!("{path} in {} of the rows", percent(*share)))
            .collect();
        let more = gaps.len().saturating_sub(GAPS_SHOWN);
        let more = (more > 0).then(|| format!(" and {more} more"));
        shown.join(", ") + &more.unwrap_or_default()
    };
    let (absent, gaps): (Vec<_>, Vec<_>) = read.gaps.iter().partition(|(_, share)| *share >= 1.0);
    if !gaps.is_empty() {
        say!("           missing: {}", shown(&gaps));
    }
    if !absent.is_empty() {
        let absent: Vec<&str> = absent.iter().map(|(path, _)| path.as_str()).collect();
        say!(
            "           in no row, so not used: {}; check the paths",
            absent.join(", ")
        );
    }
    let unvaried = unused.iter().filter(|path| {
        !read
            .gaps
            .iter()
            .any(|(absent, share)| absent == *path && *share >= 1.0)
    });
    let unvaried: Vec<&str> = unvaried.copied().collect();
    if !unvaried.is_empty() {
        say!(
            "           constant, or never the same word twice, so not used: {}",
            unvaried.join(", ")
        );
    }
    Ok(())
}

/// With one decimal, and never 0 % of what is there.
fn percent(share: f64) -> String {
    if share < 0.001 {
        "less than 0.1 %".into()
    } else {
        format!("{:.1} %", share * 100.0)
    }
}

fn describe(budget: Budget) -> String {
    match budget {
        Budget::Share(share) => format!("{} %", share * 100.0),
        Budget::PerDay(alerts) => format!("{alerts} a day at the rate of these rows"),
    }
}
