//! The command line of `outlierd models`.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Subcommand};

use super::{Asked, ConfigFile};
use crate::config;
use crate::http;
use crate::registry::Hand;

/// What a model is to the store stands in its ledger; a running daemon goes by it.
#[derive(Debug, Args)]
pub struct Models {
    #[command(flatten)]
    pub config: ConfigFile,
    #[command(flatten)]
    pub asked: Asked,
    #[command(subcommand)]
    pub command: ModelsCommand,
}

/// One model.
#[derive(Debug, Args)]
pub struct One {
    /// Its version, or a beginning that names only one
    // The name is taken: every command has --version.
    #[arg(id = "model", value_name = "VERSION")]
    pub version: String,
}

/// How long to wait for every instance.
#[derive(Debug, Clone, Copy, Default, Args)]
pub struct Wait {
    /// For so long every instance is waited for to take the model [default: 10s]; 0s: not at all
    #[arg(long, value_name = "TIME", value_parser = config::time_span)]
    pub wait: Option<Duration>,
}

#[derive(Debug, Subcommand)]
pub enum ModelsCommand {
    /// Name the models, the newest first, and say what each is
    List {
        /// For programs: one JSON object
        #[arg(long)]
        json: bool,
    },
    /// Show what a model says of itself
    Show {
        #[command(flatten)]
        model: One,
        /// For programs: the manifest as JSON
        #[arg(long)]
        json: bool,
    },
    /// Show two models beside each other, and what they say of the same rows
    Diff {
        /// The version of one, or a beginning that names only one
        one: String,
        /// The version of the other
        other: String,
    },
    #[command(flatten)]
    Lend(LendCommand),
    /// Learn what the stream has become since a time, however odd it looks to the model that serves
    ///
    /// For a rightful change: a new sensor, new software. As `outlierd retrain --accept --from TIME`.
    Accept {
        /// When it changed: RFC 3339, or back from now as in -2h
        #[arg(long, value_name = "TIME", allow_hyphen_values = true)]
        from: String,
    },
    /// Write a model to a file
    Export {
        #[command(flatten)]
        model: One,
        /// Where to
        file: PathBuf,
    },
    /// Take a model file in, as a candidate
    Import {
        /// What `export` or `train --output` has written
        file: PathBuf,
    },
}

/// What changes what the models are, and no more.
#[derive(Debug, Subcommand)]
pub enum LendCommand {
    /// Have a model serve
    Promote {
        #[command(flatten)]
        model: One,
        #[command(flatten)]
        wait: Wait,
    },
    /// Have the model serve that served before, or VERSION
    ///
    /// Until `release`, no model is promoted by itself.
    Rollback {
        /// Its version, or a beginning that names only one
        #[arg(id = "model", value_name = "VERSION")]
        version: Option<String>,
        #[command(flatten)]
        wait: Wait,
    },
    /// Let models be promoted by themselves again, after a rollback
    Release,
    /// Never delete a model
    Pin(One),
    /// Let a model be deleted again
    Unpin(One),
    /// Delete a model that nobody needs
    ///
    /// Not the one that serves, a pinned one, or the parent of either.
    Delete(One),
}

impl LendCommand {
    /// What is to be done, and how long every instance is waited for.
    pub fn hand(&self) -> (Hand, Duration) {
        let version = |one: &One| one.version.clone();
        let (hand, wait) = match self {
            LendCommand::Promote { model, wait } => (Hand::Promote(version(model)), *wait),
            LendCommand::Rollback { version, wait } => (Hand::Rollback(version.clone()), *wait),
            LendCommand::Release => (Hand::Release, Wait::default()),
            LendCommand::Pin(model) => (Hand::Pin(version(model)), Wait::default()),
            LendCommand::Unpin(model) => (Hand::Unpin(version(model)), Wait::default()),
            LendCommand::Delete(model) => (Hand::Delete(version(model)), Wait::default()),
        };
        (hand, wait.wait.unwrap_or(http::PATIENCE))
    }
}
