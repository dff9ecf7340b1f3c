//! What a running instance is asked to do: `--url` of `outlierd models` and `outlierd retrain`.

use anyhow::Context;
use jiff::Timestamp;

use super::{listing, material};
use crate::cli::{Asked, ModelsCommand, Retrain};
use crate::config::Secret;
use crate::http::Instance;
use crate::registry;

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
    Ok(Some(Instance::at(url, token(asked)?)?))
}

/// The token, if there is one.
fn token(asked: &Asked) -> anyhow::Result<Option<Secret>> {
    let (secret, from) = match (&asked.token_file, std::env::var_os(TOKEN)) {
        (Some(path), _) => {
            let secret = Secret::of_file(path).map_err(anyhow::Error::msg);
            (secret.context("--token-file")?, "--token-file")
        }
        (None, Some(value)) => (
            Secret::new(value.to_string_lossy().into_owned()),
            "the variable OUTLIERD_TOKEN",
        ),
        (None, None) => return Ok(None),
    };
    let text = secret.expose();
    anyhow::ensure!(
        !text.is_empty() && text.chars().all(|it| it.is_ascii_graphic()),
        "{from} holds no token: write it there alone, in letters, digits and signs of ASCII"
    );
    Ok(Some(secret))
}

/// Has it do what the command says.
pub(super) fn models(instance: &Instance, command: &ModelsCommand) -> anyhow::Result<()> {
    match command {
        ModelsCommand::Lend(command) => {
            let (hand, patience) = command.hand();
            say!("{}", instance.lend(&hand, patience)?);
            Ok(())
        }
        ModelsCommand::List { json } => {
            let (ledger, training) = (instance.ledger()?, instance.training()?);
            listing::print(&ledger, &"its store", |_| None, training, *json)
        }
        ModelsCommand::Import { file } => {
            say!("{}", instance.import(&registry::read(file)?)?);
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
    let marked = arguments.slot.is_some() || arguments.trial.is_some() || arguments.background;
    anyhow::ensure!(
        !marked && !arguments.json,
        "--url goes with --accept --from TIME and with no other choice: the instance's /status tells how its retrain goes"
    );
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
