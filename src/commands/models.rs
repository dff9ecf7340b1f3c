//! `outlierd models`: the models of a store, and which of them serves.

use std::time::Duration;

use jiff::Timestamp;

use super::listing::{self, Found};
use super::{diff, gate, instance, load, retrain, show, store};
use crate::cli::{Models, ModelsCommand};
use crate::config::Config;
use crate::daemon;
use crate::registry::{Entry, Hand, Store};

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
            listing::print(&ledger, &store, found, training, *json)
        }
        ModelsCommand::Show { model, json } => {
            let version = store.find(&model.version)?;
            show::print(&store.load(&version)?, *json)?;
            if *json {
                return Ok(());
            }
            gate::print(&store, &version)
        }
        ModelsCommand::Diff { one, other } => {
            let load = |version: &str| anyhow::Ok(store.load(&store.find(version)?)?);
            diff::print(&config, &load(one)?, &load(other)?)
        }
        ModelsCommand::Lend(command) => {
            let (hand, patience) = command.hand();
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

/// Has it done, and waits until every instance has taken it.
fn lend(config: &Config, store: &Store, hand: &Hand, patience: Duration) -> anyhow::Result<()> {
    let done = store.lend(hand)?;
    say!("{}", done.said);
    if let Some(version) = done.serves.filter(|_| patience > Duration::ZERO) {
        say!("{}", daemon::rollout(config, &version, patience)?);
    }
    Ok(())
}
