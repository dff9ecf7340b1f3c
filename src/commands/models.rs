//! `outlierd models`: the models of a store, and which of them serves.

use std::fmt::Display;
use std::time::Duration;

use anyhow::Context;
use jiff::Timestamp;
use serde_json::json;

use super::{diff, instance, load, retrain, show};
use crate::cli::{LendCommand, Models, ModelsCommand, One, Wait};
use crate::config::Config;
use crate::daemon;
use crate::http;
use crate::registry::{Check, Entry, Hand, Ledger, Report, Store};

pub(super) fn run(arguments: &Models) -> anyhow::Result<()> {
    if let Some(instance) = instance::of(&arguments.asked)? {
        return instance::models(&instance, &arguments.command);
    }
    let config = load(&arguments.config.path)?;
    let store = store(&config)?;
    match &arguments.command {
        ModelsCommand::List { json } => {
            let (ledger, found) = (store.ledger()?, |entry: &Entry| {
                Some(Found::of(&store, entry))
            });
            let trains = ledger.is_training(Timestamp::now());
            let training = trains.then(|| "a retrain is at work".to_owned());
            list(&ledger, &store, found, training, *json)
        }
        ModelsCommand::Show { model, json } => {
            let version = store.find(&model.version)?;
            show::print(&store.load(&version)?, *json)?;
            print_gate(&store, &version, *json)
        }
        ModelsCommand::Diff { one, other } => {
            let load = |version: &str| anyhow::Ok(store.load(&store.find(version)?)?);
            diff::print(&config, &load(one)?, &load(other)?)
        }
        ModelsCommand::Lend(command) => {
            let (hand, patience) = hand(command);
            lend(&config, &store, &hand, patience)
        }
        ModelsCommand::Accept { from } => retrain::accept(&arguments.config, from),
        ModelsCommand::Export { model, file } => {
            let version = store.find(&model.version)?;
            let stored = store.export(&version, file)?;
            say!(
                "wrote {version} to {} ({} KiB)",
                file.display(),
                stored.bytes / 1024
            );
            Ok(())
        }
        ModelsCommand::Import { file } => {
            say!("{}", store.import(file, config.model.keep)?);
            Ok(())
        }
    }
}

/// What is to be done, and how long every instance is waited for.
pub(super) fn hand(command: &LendCommand) -> (Hand, Duration) {
    let version = |one: &One| one.version.clone();
    let (hand, wait) = match command {
        LendCommand::Promote { model, wait } => (Hand::Promote(version(model)), *wait),
        LendCommand::Rollback { version, wait } => (Hand::Rollback(version.clone()), *wait),
        LendCommand::Release => (Hand::Release, Wait::default()),
        LendCommand::Pin(model) => (Hand::Pin(version(model)), Wait::default()),
        LendCommand::Unpin(model) => (Hand::Unpin(version(model)), Wait::default()),
        LendCommand::Delete(model) => (Hand::Delete(version(model)), Wait::default()),
    };
    (hand, wait.wait.unwrap_or(http::PATIENCE))
}

pub(super) fn store(config: &Config) -> anyhow::Result<Store> {
    Store::of(config).context(
        "the configuration names one model file (model.path), and no store: set model.store = \"models\", and bring \
         the model there with `outlierd models import`",
    )
}

/// What the gate of a model said, if one has judged it.
fn print_gate(store: &Store, version: &str, json: bool) -> anyhow::Result<()> {
    let ledger = store.ledger()?;
    if let Some(report) = ledger
        .get(version)
        .and_then(|entry| entry.gate.as_ref())
        .filter(|_| !json)
    {
        let against = report.against.as_deref();
        say!(
            "gate         on {} rows{}",
            report.rows,
            against
                .map(|version| format!(", beside {version}"))
                .unwrap_or_default()
        );
        say!("{}", checks(report).trim_end());
    }
    Ok(())
}

/// The checks of a gate, a line each.
pub(super) fn checks(report: &Report) -> String {
    let line = |check: &Check| {
        let outcome = match (check.passed, check.waived) {
            (true, _) => "ok",
            (false, true) => "waived",
            (false, false) => "FAULT",
        };
        let value = check
            .value
            .map_or("none".to_owned(), |value| format!("{value:.5}"));
        format!(
            "  {outcome:7} {:26} {value:>12}  {}\n",
            check.name, check.limit
        )
    };
    report.checks.iter().map(line).collect()
}

/// Has it done, and waits until every instance has taken it.
fn lend(config: &Config, store: &Store, hand: &Hand, patience: Duration) -> anyhow::Result<()> {
    let done = store.lend(hand)?;
    say!("{}", done.said);
    if let Some(version) = done.serves.filter(|_| patience > Duration::ZERO) {
        say!("{}", daemon::rollout(config, &version, patience)?);
    }
    Ok(())
}

/// Names the models of a ledger, what is `found` of each, if that is looked at, and how far a retrain is, if one is known of.
pub(super) fn list(
    ledger: &Ledger,
    place: &dyn Display,
    found: impl Fn(&Entry) -> Option<Found>,
    training: Option<String>,
    json: bool,
) -> anyhow::Result<()> {
    let models: Vec<(&Entry, Option<Found>)> = ledger
        .models
        .iter()
        .rev()
        .map(|entry| (entry, found(entry)))
        .collect();
    if json {
        let models: Vec<_> = models
            .iter()
            .map(|(entry, found)| match found {
                Some(found) => found.json(entry),
                None => json!(entry),
            })
            .collect();
        let whole = json!({"held": ledger.held, "models": models, "training": training});
        say!("{}", serde_json::to_string_pretty(&whole)?);
        return Ok(());
    }
    if models.is_empty() {
        say!("no model in {place}: make one with `outlierd train`");
    }
    for (entry, found) in &models {
        let pinned = if entry.pinned { ", pinned" } else { "" };
        let state = format!("{}{pinned}", entry.state.as_str());
        let found = found.as_ref().map(|found| format!("  {found}"));
        say!(
            "{:14} {state:18} since {}{}",
            entry.version,
            entry.since,
            found.unwrap_or_default()
        );
    }
    if let Some(training) = training {
        say!("{training}");
    }
    if ledger.held {
        say!("rolled back: no model is promoted by itself until `outlierd models release`");
    }
    Ok(())
}

/// What a model's file says.
pub(super) enum Found {
    Model { rows: usize, to: Option<String> },
    Damaged(String),
}

impl Found {
    fn of(store: &Store, entry: &Entry) -> Found {
        match store.load(&entry.version) {
            Ok(stored) => Found::Model {
                rows: stored.model.provenance.rows,
                to: stored.model.provenance.to.clone(),
            },
            Err(error) => Found::Damaged(error.to_string()),
        }
    }

    fn json(&self, entry: &Entry) -> serde_json::Value {
        let mut shown = json!(entry);
        match self {
            Found::Model { rows, to } => {
                shown["rows"] = json!(rows);
                shown["to"] = json!(to);
            }
            Found::Damaged(error) => shown["error"] = json!(error),
        }
        shown
    }
}

impl Display for Found {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Found::Model { rows, to: Some(to) } => write!(f, "{rows} rows up to {to}"),
            Found::Model { rows, to: None } => write!(f, "{rows} rows"),
            Found::Damaged(error) => write!(f, "cannot be used: {error}"),
        }
    }
}
