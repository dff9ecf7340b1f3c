//! `outlierd dlq replay`: dead letters back into the input topic, or through another configuration.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, bail, ensure};
use serde_json::json;

use super::list::plain;
use super::topic::{DeadLetters, filter, open};
use crate::commands::load;
use crate::kafka::{Again, Read, Replayer};
use crate::pipeline::{Batch, Filter, Judge, Letter, REPLAY_OF, REPLAYED, REPLAYED_AS, REPLAYS};
use crate::{cli, daemon, registry};

/// Letters that are replayed before their markers are written.
const CHUNK: usize = 500;

/// How long the acknowledgements of a chunk may take.
const PATIENCE: Duration = Duration::from_secs(60);

pub(super) fn run(arguments: &cli::DlqReplay) -> anyhow::Result<()> {
    let open = open(&arguments.config.path)?;
    let (chosen, left_out) = choose(&open, arguments);
    let known = |id: &&String| open.letters.letters.iter().any(|letter| letter.id == **id);
    if let Some(unknown) = arguments.ids.iter().find(|id| !known(id)) {
        bail!("no dead letter {unknown}: `outlierd dlq list` shows their ids");
    }
    if let Some(path) = &arguments.through {
        try_out(&open, &chosen, path)?;
        // Standard output is for programs.
        for (reason, count) in &left_out {
            eprintln!("{count} left out: they {reason}");
        }
        return Ok(());
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

/// Writes the records to the input topic, each to its partition, and a marker for each that was acknowledged.
/// Returns why some were refused.
fn replay(open: &DeadLetters, chosen: &Chosen<'_>) -> anyhow::Result<Vec<String>> {
    let mut chunk = Chunk {
        open,
        replayer: Replayer::new(&open.connection)?,
        sent: Vec::new(),
        refused: Vec::new(),
    };
    let mut outcome = Ok(());
    open.reader.read(|read| {
        if let Some(letter) = chosen.get(&(read.partition, read.offset))
            && outcome.is_ok()
        {
            outcome = chunk.add(letter, &read);
        }
    })?;
    outcome?;
    chunk.finish()?;
    Ok(chunk.refused)
}

/// Letters that are replayed together. What was acknowledged is marked before the next ones are sent.
struct Chunk<'a> {
    open: &'a DeadLetters,
    replayer: Replayer,
    sent: Vec<(&'a Letter, Option<Vec<u8>>)>,
    refused: Vec<String>,
}

impl<'a> Chunk<'a> {
    fn add(&mut self, letter: &'a Letter, read: &Read<'_>) -> anyhow::Result<()> {
        let headers = [
            (REPLAYS, self.replays(letter)),
            (REPLAY_OF, letter.id.clone()),
        ];
        let again = Again {
            topic: &self.open.config.input.topic,
            partition: letter.place.0,
            key: read.key,
            payload: read.payload,
            headers: &headers,
        };
        match self.replayer.send(self.sent.len(), again) {
            Ok(()) => self.sent.push((letter, read.key.map(<[u8]>::to_vec))),
            Err(error) => self.refused.push(format!("{}: {error}", plain(&letter.id))),
        }
        if self.sent.len() >= CHUNK {
            self.finish()?;
        }
        Ok(())
    }

    /// How often the record of `letter` has been replayed after this time.
    fn replays(&self, letter: &Letter) -> String {
        (self.open.letters.replays(letter) + 1).to_string()
    }

    fn finish(&mut self) -> anyhow::Result<()> {
        let sent = std::mem::take(&mut self.sent);
        for (number, place) in self.replayer.finish(PATIENCE)? {
            let (letter, key) = &sent[number];
            let (partition, offset) = match place {
                Ok(place) => place,
                Err(error) => {
                    self.refused.push(format!("{}: {error}", plain(&letter.id)));
                    continue;
                }
            };
            let headers = [
                (REPLAYED, letter.id.clone()),
                (REPLAYED_AS, format!("{partition}:{offset}")),
                (REPLAYS, self.replays(letter)),
            ];
            let marker = Again {
                topic: &self.open.config.dead_letter.topic,
                partition: letter.at.0,
                key: key.as_deref(),
                payload: None,
                headers: &headers,
            };
            self.replayer.send(number, marker)?;
        }
        for (number, marked) in self.replayer.finish(PATIENCE)? {
            marked.with_context(|| {
                let id = plain(&sent[number].0.id);
                format!("{id} was replayed, and its marker was refused: it would be replayed again")
            })?;
        }
        Ok(())
    }
}

/// Judges the records as another configuration would, and writes nothing but what comes of each.
fn try_out(open: &DeadLetters, chosen: &Chosen<'_>, path: &std::path::Path) -> anyhow::Result<()> {
    let config = load(path)?;
    let stored = registry::serving(&config)?;
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
