//! `outlierd dlq replay`: dead letters back into the input topic, or through another configuration.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, ensure};
use serde_json::json;

use super::topic::{DeadLetters, filter, open};
use crate::commands::load;
use crate::kafka::{Again, Replayer};
use crate::pipeline::{Batch, Filter, Judge, Letter, REPLAY_OF, REPLAYED, REPLAYED_AS, REPLAYS};
use crate::{cli, daemon, registry};

/// How long the acknowledgements of a chunk may take.
const PATIENCE: Duration = Duration::from_secs(60);

pub(super) fn run(arguments: &cli::DlqReplay) -> anyhow::Result<()> {
    let open = open(&arguments.config.path)?;
    let (chosen, left_out) = choose(&open, arguments);
    if let Some(path) = &arguments.through {
        return try_out(&open, &chosen, path);
    }
    let to = &open.config.input.topic;
    let count = chosen.len();
    if arguments.dry_run {
        say!("{count} dead letters would be written to {to} (--dry-run)");
    } else {
        let refused = replay(&open, &chosen)?;
        let written = count - refused.len();
        say!("{written} of {count} dead letters written to {to}");
        for error in &refused {
            say!("  refused: {error}");
        }
        tell(&left_out)?;
        ensure!(
            refused.is_empty(),
            "{} were refused: run it again for these",
            refused.len()
        );
        return Ok(());
    }
    tell(&left_out)
}

type Chosen<'a> = BTreeMap<(i32, i64), &'a Letter>;

/// The letters to replay by where they stand, and how many are left out for each reason.
fn choose<'a>(
    open: &'a DeadLetters,
    arguments: &cli::DlqReplay,
) -> (Chosen<'a>, BTreeMap<String, usize>) {
    let filter = Filter {
        ids: arguments.ids.clone(),
        ..filter(&arguments.chosen)
    };
    let letters = &open.letters;
    let (mut chosen, mut left_out) = (Chosen::new(), BTreeMap::new());
    for letter in letters.letters.iter().filter(|letter| filter.holds(letter)) {
        let reason = if letter.topic != open.config.input.topic {
            Some("are of another input topic".to_owned())
        } else if letter.by_reference {
            Some("are by reference: their records are not in them".into())
        } else if !arguments.again && letters.replayed_as(letter).is_some() {
            Some("were replayed already (--again)".into())
        } else if letters.replays(letter) >= arguments.max_replays {
            let most = arguments.max_replays;
            Some(format!("failed after {most} replays (--max-replays)"))
        } else {
            None
        };
        match reason {
            Some(reason) => *left_out.entry(reason).or_default() += 1,
            None => _ = chosen.insert(letter.at, letter),
        }
    }
    // After a crash a letter can stand there twice: its record is written once.
    let mut seen = BTreeSet::new();
    chosen.retain(|_, letter| seen.insert(letter.id.as_str()));
    (chosen, left_out)
}

fn tell(left_out: &BTreeMap<String, usize>) -> anyhow::Result<()> {
    for (reason, count) in left_out {
        say!("{count:>9} left out: they {reason}");
    }
    Ok(())
}

/// Writes the records to the input topic, each to its partition, and then a marker for each that was acknowledged.
/// Returns why some were refused.
fn replay(open: &DeadLetters, chosen: &Chosen<'_>) -> anyhow::Result<Vec<String>> {
    let replayer = Replayer::new(&open.connection)?;
    let (letters, topic) = (&open.letters, &open.config.input.topic);
    let mut sent: Vec<(&Letter, Option<Vec<u8>>)> = Vec::new();
    let mut refused = Vec::new();
    open.reader.read(|read| {
        let Some(letter) = chosen.get(&(read.partition, read.offset)) else {
            return;
        };
        let headers = [
            (REPLAYS, (letters.replays(letter) + 1).to_string()),
            (REPLAY_OF, letter.id.clone()),
        ];
        let again = Again {
            topic,
            partition: letter.place.0,
            key: read.key,
            payload: read.payload,
            headers: &headers,
        };
        match replayer.send(sent.len(), again) {
            Ok(()) => sent.push((letter, read.key.map(<[u8]>::to_vec))),
            Err(error) => refused.push(format!("{}: {error}", letter.id)),
        }
    })?;
    let places = replayer.finish(PATIENCE)?;
    for (number, place) in places {
        let (letter, key) = &sent[number];
        match place {
            Err(error) => refused.push(format!("{}: {error}", letter.id)),
            Ok((partition, offset)) => {
                let headers = [
                    (REPLAYED, letter.id.clone()),
                    (REPLAYED_AS, format!("{partition}:{offset}")),
                    (REPLAYS, (letters.replays(letter) + 1).to_string()),
                ];
                let marker = Again {
                    topic: &open.config.dead_letter.topic,
                    partition: letter.at.0,
                    key: key.as_deref(),
                    payload: None,
                    headers: &headers,
                };
                replayer.send(number, marker)?;
            }
        }
    }
    for (number, marked) in replayer.finish(PATIENCE)? {
        marked.with_context(|| {
            format!(
                "{} was replayed, and its marker was refused: it would be replayed again",
                sent[number].0.id
            )
        })?;
    }
    Ok(refused)
}

/// Judges the records as another configuration would, and writes nothing but what comes of each.
fn try_out(open: &DeadLetters, chosen: &Chosen<'_>, path: &std::path::Path) -> anyhow::Result<()> {
    let config = load(path)?;
    let stored = registry::load(&config.model.path)?;
    let policy = Arc::new(daemon::policy(&config, &stored.model)?);
    let mut judge = Judge::new(&config.fields, &config.input, &stored.model, &policy, None)?;
    let mut batch = Batch::default();
    let mut lines = Vec::new();
    open.reader.read(|read| {
        let Some(letter) = chosen.get(&(read.partition, read.offset)) else {
            return;
        };
        batch.clear(1 << 20);
        batch.push(
            letter.place.0,
            letter.place.1,
            read.time_ms,
            read.key,
            read.payload,
        );
        let judged = judge.judge(&batch);
        let (mut class, mut error, mut p) = (None, None, None);
        let disposition = match (judged.dead_letters.first(), judged.outliers.first()) {
            (Some(dead), _) => {
                (class, error) = (Some(dead.class.as_str()), Some(dead.error.clone()));
                "dead_letter"
            }
            (_, Some(finding)) => {
                p = Some(finding.scored.p);
                "outlier"
            }
            _ if judged.skipped() > 0 => "skipped",
            _ => "normal",
        };
        lines.push(json!({
            "id": letter.id, "disposition": disposition, "class": class, "error": error, "p": p,
        }));
    })?;
    for line in lines {
        say!("{line}");
    }
    Ok(())
}
