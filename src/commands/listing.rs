//! The models of a ledger, as a list.

use std::fmt::Display;

use serde_json::json;

use crate::registry::{Entry, Ledger, Store};

/// Names the models of a ledger, what is `found` of each, if that is looked at, and how far a retrain is, if one is known of.
pub(super) fn print(
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
    pub(super) fn of(store: &Store, entry: &Entry) -> Found {
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
