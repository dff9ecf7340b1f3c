//! `outlierd models`: the models of a store, and which of them serves.

use std::time::Duration;

use anyhow::Context;
use serde_json::json;

use super::{diff, load, retrain, show};
use crate::cli::{Models, ModelsCommand, Wait};
use crate::config::Config;
use crate::daemon;
use crate::http;
use crate::registry::{Check, Entry, Hand, Report, Store};

pub(super) fn run(arguments: &Models) -> anyhow::Result<()> {
    let config = load(&arguments.config.path)?;
    let store = store(&config)?;
    match &arguments.command {
        ModelsCommand::List { json } => list(&store, *json),
        ModelsCommand::Show { model, json } => {
            let version = store.find(&model.version)?;
            show::print(&store.load(&version)?, *json)?;
            print_gate(&store, &version, *json)
        }
        ModelsCommand::Diff { one, other } => {
            let load = |version: &str| anyhow::Ok(store.load(&store.find(version)?)?);
            diff::print(&config, &load(one)?, &load(other)?)
        }
        ModelsCommand::Accept { from } => retrain::accept(&arguments.config, from),
        ModelsCommand::Promote { model, wait } => lend(
            &config,
            &store,
            &Hand::Promote(model.version.clone()),
            *wait,
        ),
        ModelsCommand::Rollback { version, wait } => {
            lend(&config, &store, &Hand::Rollback(version.clone()), *wait)
        }
        ModelsCommand::Release => at_once(&store, &Hand::Release),
        ModelsCommand::Pin(model) => at_once(&store, &Hand::Pin(model.version.clone())),
        ModelsCommand::Unpin(model) => at_once(&store, &Hand::Unpin(model.version.clone())),
        ModelsCommand::Delete(model) => at_once(&store, &Hand::Delete(model.version.clone())),
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
            let added = store.import(file, config.model.keep)?;
            let version = &added.stored.version;
            match added.serves {
                true => say!("took in {version}, which serves"),
                false => {
                    say!("took in {version}: `outlierd models promote {version}` has it serve")
                }
            }
            Ok(())
        }
    }
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
fn lend(config: &Config, store: &Store, hand: &Hand, wait: Wait) -> anyhow::Result<()> {
    let done = store.lend(hand)?;
    say!("{}", done.said);
    let patience = wait.wait.unwrap_or(http::PATIENCE);
    if let Some(version) = done.serves.filter(|_| patience > Duration::ZERO) {
        say!("{}", daemon::rollout(config, &version, patience)?);
    }
    Ok(())
}

/// Has it done; no instance has to know.
fn at_once(store: &Store, hand: &Hand) -> anyhow::Result<()> {
    say!("{}", store.lend(hand)?.said);
    Ok(())
}

fn list(store: &Store, json: bool) -> anyhow::Result<()> {
    let ledger = store.ledger()?;
    let models: Vec<(&Entry, Found)> = ledger
        .models
        .iter()
        .rev()
        .map(|entry| (entry, Found::of(store, entry)))
        .collect();
    if json {
        let models: Vec<_> = models
            .iter()
            .map(|(entry, found)| found.json(entry))
            .collect();
        let whole = json!({"held": ledger.held, "models": models});
        say!("{}", serde_json::to_string_pretty(&whole)?);
        return Ok(());
    }
    if models.is_empty() {
        say!("no model in {store}: make one with `outlierd train`");
    }
    for (entry, found) in &models {
        let pinned = if entry.pinned { ", pinned" } else { "" };
        let state = format!("{}{pinned}", entry.state.as_str());
        say!(
            "{:14} {state:18} since {}  {found}",
            entry.version,
            entry.since
        );
    }
    if ledger.held {
        say!("rolled back: no model is promoted by itself until `outlierd models release`");
    }
    Ok(())
}

/// What a model's file says.
enum Found {
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

impl std::fmt::Display for Found {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Found::Model { rows, to: Some(to) } => write!(f, "{rows} rows up to {to}"),
            Found::Model { rows, to: None } => write!(f, "{rows} rows"),
            Found::Damaged(error) => write!(f, "cannot be used: {error}"),
        }
    }
}
