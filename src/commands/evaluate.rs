//! `outlierd evaluate`: the model beside plain detectors, on a labelled file.

use std::path::Path;
use std::sync::Arc;

use anyhow::Context;

use super::{load, material};
use crate::cli;
use crate::evaluate::{
    EvaluationError, Lineup, Protocol, Request, Roles, Trial, contest, json, report, table,
};
use crate::registry;

pub(super) fn run(arguments: cli::Evaluate) -> anyhow::Result<()> {
    if let Some(folder) = &arguments.report {
        // Now, so that minutes of training are not lost to a folder that cannot be made.
        std::fs::create_dir_all(folder).with_context(|| making(folder))?;
    }
    let (as_json, folder) = (arguments.json, arguments.report.clone());
    let trial = Trial::prepare(request(arguments)?)?;
    for note in &trial.notes {
        match as_json {
            // Standard output is the program's.
            true => eprintln!("{note}"),
            false => say!("{note}"),
        }
    }
    let bar = material::bar(0, "comparing");
    let contest = contest(&trial, &mut |what| {
        bar.set_message(what.to_owned());
        bar.tick();
    })?;
    bar.finish_and_clear();
    match as_json {
        true => say!("{}", json(&trial, &contest)?),
        false => say!("{}", table(&trial, &contest)),
    }
    if let Some(folder) = folder {
        let file = folder.join("report.html");
        std::fs::write(&file, report(&trial, &contest)?).with_context(|| making(&file))?;
        let written = format!("report: {}", file.display());
        match as_json {
            true => eprintln!("{written}"),
            false => say!("{written}"),
        }
    }
    Ok(())
}

fn making(path: &Path) -> String {
    format!("--report: writing {}", path.display())
}

/// Whether other arguments would mend it.
pub(super) fn is_usage(error: &anyhow::Error) -> bool {
    error
        .downcast_ref::<EvaluationError>()
        .is_some_and(EvaluationError::is_usage)
}

fn request(arguments: cli::Evaluate) -> anyhow::Result<Request> {
    let lineup = arguments.detectors.as_deref().map(Lineup::parse);
    let lineup = lineup.transpose()?;
    let protocol = arguments.protocol.as_deref().map(protocol).transpose()?;
    let budget = &arguments.budget;
    let budget = budget
        .parse()
        .map_err(|error| EvaluationError::Usage(format!("--budget {budget:?} {error}")))?;
    let model = arguments.model.as_deref().map(registry::load).transpose()?;
    let config = arguments.config.as_deref().map(load).transpose()?;
    Ok(Request {
        file: arguments.file,
        test: arguments.test,
        roles: Roles {
            label: arguments.label,
            key: arguments.key,
            time: arguments.time,
        },
        protocol,
        clean: arguments.clean,
        seeds: arguments.seeds,
        lineup,
        budget,
        model: model.map(|stored| Arc::clone(&stored.model)),
        config,
    })
}

fn protocol(name: &str) -> Result<Protocol, EvaluationError> {
    Protocol::named(name).ok_or_else(|| {
        let names = Protocol::ALL.map(Protocol::name).join(", ");
        EvaluationError::Usage(format!(
            "--protocol {name:?}: there is no such protocol; write one of {names}"
        ))
    })
}
