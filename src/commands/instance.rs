//! What a running instance is asked to do: `--url` of `outlierd models` and `outlierd retrain`.

use anyhow::Context;
use jiff::Timestamp;

use super::{material, models};
use crate::cli::{Asked, ModelsCommand, Retrain};
use crate::config::Secret;
use crate::http::Instance;

/// Holds the token, where no file does.
const TOKEN: &str = "OUTLIERD_TOKEN";

/// The instance that is to be asked, if one is.
pub(super) fn of(asked: &Asked) -> anyhow::Result<Option<Instance>> {
    let Some(url) = &asked.url else {
        anyhow::ensure!(
            asked.token_file.is_none(),
            "--token-file goes with --url: the store itself wants no token"
        );
        return Ok(None);
    };
    let token = match &asked.token_file {
        Some(path) => Some(Secret::of_file(path).map_err(anyhow::Error::msg)?),
        None => std::env::var(TOKEN).ok().map(Secret::new),
    };
    Ok(Some(Instance::at(url, token)?))
}

/// Has it do what the command says.
pub(super) fn models(instance: &Instance, command: &ModelsCommand) -> anyhow::Result<()> {
    match command {
        ModelsCommand::Lend(command) => {
            let (hand, patience) = models::hand(command);
            say!("{}", instance.lend(&hand, patience)?);
            Ok(())
        }
        ModelsCommand::List { json } => {
            models::list(&instance.ledger()?, &"its store", |_| None, *json)
        }
        ModelsCommand::Import { file } => {
            let model = std::fs::read(file)
                .with_context(|| format!("reading the model of {}", file.display()))?;
            say!("{}", instance.import(&model)?);
            Ok(())
        }
        ModelsCommand::Accept { from } => accept(instance, from),
        ModelsCommand::Show { .. } | ModelsCommand::Diff { .. } | ModelsCommand::Export { .. } => {
            anyhow::bail!(
                "an instance gives no model away, since rows that it learnt from are in it: say which store with \
             --config FILE, without --url"
            )
        }
    }
}

/// Has it train.
pub(super) fn retrain(instance: &Instance, arguments: &Retrain) -> anyhow::Result<()> {
    let records = &arguments.records;
    let others = records.to.is_some() || records.from_file.is_some();
    match &records.from {
        Some(from) if arguments.accept && !others => accept(instance, from),
        None if !arguments.accept && !others => {
            say!("{}", instance.retrain()?);
            Ok(())
        }
        _ => anyhow::bail!(
            "an instance trains on what its own configuration says, or by --accept with --from TIME on what came \
             since; for other records say which store with --config FILE, without --url"
        ),
    }
}

fn accept(instance: &Instance, from: &str) -> anyhow::Result<()> {
    let from = material::time(from, Timestamp::now()).context("--from")?;
    say!("{}", instance.accept(from)?);
    Ok(())
}
