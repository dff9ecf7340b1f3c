//! The command line of `outlierd models`.

use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::ConfigFile;

/// What a model is to the store stands in its ledger; a running daemon goes on with the model that it has.
#[derive(Debug, Args)]
pub struct Models {
    #[command(flatten)]
    pub config: ConfigFile,
    #[command(subcommand)]
    pub command: ModelsCommand,
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
        /// Its version, or a beginning that names only one
        #[arg(value_name = "VERSION")]
        model: String,
        /// For programs: the manifest as JSON
        #[arg(long)]
        json: bool,
    },
    /// Have a model serve
    Promote {
        /// Its version, or a beginning that names only one
        #[arg(value_name = "VERSION")]
        model: String,
    },
    /// Have the model serve that served before, or VERSION
    ///
    /// Until `release`, no model is promoted by itself.
    Rollback {
        /// Its version, or a beginning that names only one
        #[arg(value_name = "VERSION")]
        model: Option<String>,
    },
    /// Let models be promoted by themselves again, after a rollback
    Release,
    /// Never delete a model
    Pin {
        /// Its version, or a beginning that names only one
        #[arg(value_name = "VERSION")]
        model: String,
    },
    /// Let a model be deleted again
    Unpin {
        /// Its version, or a beginning that names only one
        #[arg(value_name = "VERSION")]
        model: String,
    },
    /// Delete a model that nobody needs
    ///
    /// Not the one that serves, a pinned one, or the parent of either.
    Delete {
        /// Its version, or a beginning that names only one
        #[arg(value_name = "VERSION")]
        model: String,
    },
    /// Write a model to a file
    Export {
        /// Its version, or a beginning that names only one
        #[arg(value_name = "VERSION")]
        model: String,
        /// Where to
        file: PathBuf,
    },
    /// Take a model file in, as a candidate
    Import {
        /// What `export` or `train --output` has written
        file: PathBuf,
    },
}
