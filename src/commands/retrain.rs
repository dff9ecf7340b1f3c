//! `outlierd retrain`: a new model for the store, that serves if its gate lets it.

use std::io::Write;
use std::ops::ControlFlow;
use std::time::{Duration, Instant};

use anyhow::Context;
use rustix::process::{Resource, Rlimit, nice, setrlimit};
use serde_json::{Value, json};

use super::material::{self, Material};
use super::{gate, instance, load, start_logging, store, trial};
use crate::cli;
use crate::config::Config;
use crate::metrics::RetrainOutcome;
use crate::registry::{self, Added, Admission, Report, State, Store, StoreError, Stored, Trainer};
use crate::retrain::{Taught, Teaching, teach};
use crate::training::Progress;
use crate::vae::Device;

/// The least priority that there is.
const LEAST_PRIORITY: i32 = 19;

/// Between two lines of progress.
const EVERY: Duration = Duration::from_millis(500);

pub(super) fn run(arguments: &cli::Retrain) -> anyhow::Result<()> {
    if let Some(instance) = instance::of(&arguments.asked)? {
        return instance::retrain(&instance, arguments);
    }
    let config = load(&arguments.config.path)?;
    start_logging(&config.log);
    if arguments.background {
        give_way(&config)?;
    }
    let store = store(&config)?;
    let mut tell = Teller::new(arguments.json);
    let Some(trainer) = store.trainer()? else {
        tell.say(&json!({"event": "done", "outcome": RetrainOutcome::Elsewhere.as_str()}))?;
        anyhow::bail!("another retrain is at work for {store}: wait for it");
    };
    let outcome = train(arguments, &config, (&store, &trainer), &mut tell);
    if let Err(error) = trainer.release(&store) {
        tracing::warn!(
            "the right to train runs out by itself, it could not be given back: {error}"
        );
    }
    outcome
}

/// Does it as the store's only trainer.
fn train(
    arguments: &cli::Retrain,
    config: &Config,
    (store, trainer): (&Store, &Trainer),
    tell: &mut Teller,
) -> anyhow::Result<()> {
    if let Some(version) = &arguments.trial {
        return trial::run(version, config, (store, trainer), tell);
    }
    if let Some(slot) = arguments.slot
        && store.ledger()?.slot >= Some(slot)
    {
        return tell.end(
            &json!({"event": "done", "outcome": RetrainOutcome::DoneBefore.as_str()}),
            || format!("the slot of {slot} has been seen to"),
        );
    }
    let serving = serving(config)?;
    tell.say(&json!({"event": "progress", "phase": "reading"}))?;
    let Material {
        collection,
        source,
        labelled,
    } = material::collect(config, &arguments.records)?;
    let teaching = Teaching {
        config,
        store,
        labelled,
        serving: serving.as_ref(),
        device: Device::open(&config.compute)?,
        accept: arguments.accept,
    };
    let taught = teach(&teaching, collection, source, &mut |at| tell.progress(at))?;
    let Taught {
        packed,
        report,
        left_out,
    } = taught;
    if let Some(serving) = serving.as_ref().filter(|it| is_same(it, &packed.1)) {
        if let Some(slot) = arguments.slot {
            store.change(|ledger, _| {
                trainer.check(ledger)?;
                ledger.pass(slot);
                Ok(())
            })?;
        }
        let version = &serving.version;
        let done = json!({"event": "done", "outcome": RetrainOutcome::Unchanged.as_str(), "version": version});
        return tell.end(&done, || {
            format!("{version} serves, and the same was learnt again")
        });
    }
    let admission = Admission {
        report: report.clone(),
        promote: config.retrain.promote,
        keep: config.model.keep,
        shadow_until: trial::end(config),
        slot: arguments.slot,
    };
    let added = store.admit(packed, admission, trainer)?;
    conclude(tell, store, &added, &report, left_out)
}

/// Retrains on what came since `from`, whatever the model that serves says of it.
pub(super) fn accept(config: &cli::ConfigFile, from: &str) -> anyhow::Result<()> {
    run(&cli::Retrain {
        config: config.clone(),
        asked: cli::Asked::default(),
        records: cli::TrainingRecords {
            from: Some(from.to_owned()),
            ..cli::TrainingRecords::default()
        },
        accept: true,
        json: false,
        slot: None,
        trial: None,
        background: false,
    })
}

/// Takes no processor time that somebody else wants, and no more memory than it may.
fn give_way(config: &Config) -> anyhow::Result<()> {
    nice(LEAST_PRIORITY).context("taking the least priority")?;
    if let Some(memory) = config.retrain.memory {
        let most = Some(memory as u64);
        let limit = Rlimit {
            current: most,
            maximum: most,
        };
        setrlimit(Resource::Data, limit).context("limiting the memory")?;
    }
    Ok(())
}

/// What serves, if anything does. A damaged model does not keep a new one away.
pub(super) fn serving(config: &Config) -> anyhow::Result<Option<Stored>> {
    match registry::serving(config) {
        Ok(stored) => Ok(Some(stored)),
        Err(StoreError::Empty(_) | StoreError::NoneServes(_)) => Ok(None),
        Err(error @ StoreError::NoneGood { .. }) => {
            tracing::error!("{error}; the new model is compared with none");
            Ok(None)
        }
        Err(error) => Err(error.into()),
    }
}

/// Whether two models are one but for where they come from.
fn is_same(one: &Stored, other: &Stored) -> bool {
    one.manifest.tensors_sha256 == other.manifest.tensors_sha256
        && one.manifest.encoding == other.manifest.encoding
}

fn conclude(
    tell: &Teller,
    store: &Store,
    added: &Added,
    report: &Report,
    left_out: usize,
) -> anyhow::Result<()> {
    let version = &added.stored.version;
    let ledger = store.ledger()?;
    let entry = ledger.get(version);
    let is_tried = entry.is_some_and(|it| it.shadow_until.is_some());
    let outcome = match entry.map(|entry| entry.state) {
        _ if is_tried => RetrainOutcome::Shadow,
        Some(State::Serving) if added.serves => RetrainOutcome::Serves,
        // The same rows, settings and seed have made a model that there was.
        Some(State::Serving | State::Archived) => RetrainOutcome::Unchanged,
        Some(State::Refused) => RetrainOutcome::Refused,
        Some(State::Candidate) | None => RetrainOutcome::Candidate,
    };
    let refusals = ledger.refusals();
    let done = json!({
        "event": "done",
        "outcome": outcome.as_str(),
        "refusals": refusals,
        "version": version,
        "rows": added.stored.model.provenance.rows,
        "left_out": left_out,
        "gate": report,
    });
    tell.end(&done, || {
        let mut text = format!(
            "{version}: {}, trained on {} rows, {left_out} odd ones left out\n",
            outcome.as_str(),
            added.stored.model.provenance.rows
        );
        text += &gate::checks(report);
        text.trim_end().to_owned()
    })?;
    if outcome == RetrainOutcome::Candidate && !tell.json {
        say!("`outlierd models promote {version}` has it serve");
    }
    if outcome == RetrainOutcome::Shadow && !tell.json {
        say!(
            "it is tried beside what serves (retrain.shadow), and judged again by a running daemon"
        );
    }
    anyhow::ensure!(
        outcome != RetrainOutcome::Refused,
        "{version} is refused ({}), the {refusals}. in a row; what served goes on",
        report.faults().join("; ")
    );
    Ok(())
}

/// Says how it goes, to a person or to a program.
pub(super) struct Teller {
    json: bool,
    bar: indicatif::ProgressBar,
    said: Option<Instant>,
}

impl Teller {
    fn new(json: bool) -> Teller {
        Teller {
            json,
            bar: match json {
                true => indicatif::ProgressBar::hidden(),
                false => material::bar(0, "training"),
            },
            said: None,
        }
    }

    pub(super) fn say(&self, event: &Value) -> anyhow::Result<()> {
        if self.json {
            say!("{event}");
            std::io::stdout().flush()?;
        }
        Ok(())
    }

    /// Goes on for as long as somebody listens.
    fn progress(&mut self, at: Progress) -> ControlFlow<()> {
        material::advance(&self.bar, at);
        if self.said.is_some_and(|said| said.elapsed() < EVERY) {
            return ControlFlow::Continue(());
        }
        self.said = Some(Instant::now());
        let event = json!({
            "event": "progress",
            "phase": "training",
            "step": at.step,
            "steps": at.steps,
            "loss": at.loss,
        });
        match self.say(&event) {
            Ok(()) => ControlFlow::Continue(()),
            Err(_) => ControlFlow::Break(()),
        }
    }

    pub(super) fn end(&self, event: &Value, text: impl Fn() -> String) -> anyhow::Result<()> {
        self.bar.finish_and_clear();
        if !self.json {
            say!("{}", text());
        }
        self.say(event)
    }
}
