//! How far a model has come over the instances: each notes beside its offsets by which one it judges.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use anyhow::Context;

use crate::config::Config;
use crate::kafka::{Connection, Note, Notes};

/// Between two looks at what is committed.
const LOOK: Duration = Duration::from_millis(100);

/// What the owners of the partitions say of a model.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Rollout {
    /// Nobody owns a partition: the model serves from the next start on.
    Nobody,
    /// So many partitions are judged by it, and no other is.
    Complete(usize),
    /// So many are judged by it, and these by other models.
    Partial {
        judged: usize,
        others: BTreeMap<i32, String>,
    },
}

/// Waits until all partitions of the group's topic that have an owner are judged by `version`, at most for `patience`.
/// Waits for Kafka, too: not within the runtime.
///
/// # Errors
/// When Kafka does not say.
fn wait(config: &Config, version: &str, patience: Duration) -> anyhow::Result<Rollout> {
    let deadline = Instant::now() + patience;
    let kafka = config.kafka.again().map_err(anyhow::Error::msg)?;
    let input = &config.input;
    let notes = Notes::of(&Connection::new(&kafka), &input.group, &input.topic)?;
    loop {
        let rollout = of(&notes.read()?, version);
        if !matches!(rollout, Rollout::Partial { .. }) || Instant::now() >= deadline {
            return Ok(rollout);
        }
        std::thread::sleep(LOOK);
    }
}

/// Has it said, to whoever has a model serve.
///
/// # Errors
/// When somebody has not taken it in time, or Kafka does not say.
pub fn rollout(config: &Config, version: &str, patience: Duration) -> anyhow::Result<String> {
    match wait(config, version, patience)
        .context("that stands in the store; whether every instance has taken it is not known")?
    {
        Rollout::Nobody => Ok("no instance runs: it serves from the next start on".to_owned()),
        Rollout::Complete(judged) => Ok(format!(
            "every instance has taken it: it judges all {judged} partitions that are read"
        )),
        Rollout::Partial { judged, others } => {
            let others: Vec<String> = others
                .iter()
                .map(|(partition, model)| format!("{partition} by {model}"))
                .collect();
            anyhow::bail!(
                "{version} is to serve, and after {patience:?} judges {judged} partitions; not yet {}: its instance is \
                 gone, or cannot use the model, which its /readyz says",
                others.join(", ")
            )
        }
    }
}

fn of(notes: &BTreeMap<i32, Note>, version: &str) -> Rollout {
    let owned: BTreeMap<i32, &str> = notes
        .iter()
        .filter(|(_, note)| note.open)
        .map(|(partition, note)| {
            let model = note.model.as_ref();
            (
                *partition,
                model.map_or("no model", |it| it.version.as_str()),
            )
        })
        .collect();
    let judged = owned.values().filter(|model| **model == version).count();
    match owned.len() {
        0 => Rollout::Nobody,
        all if all == judged => Rollout::Complete(judged),
        _ => Rollout::Partial {
            judged,
            others: owned
                .into_iter()
                .filter(|(_, model)| *model != version)
                .map(|(partition, model)| (partition, model.to_owned()))
                .collect(),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kafka::JudgedBy;

    fn note(open: bool, version: Option<&str>) -> Note {
        Note {
            partitions: 2,
            topic: None,
            all: true,
            open,
            pace: None,
            model: version.map(|version| JudgedBy {
                version: version.to_owned(),
                since: 0,
            }),
        }
    }

    #[test]
    fn only_who_owns_a_partition_is_waited_for() {
        let notes = |notes: &[Note]| (0..).zip(notes.iter().cloned()).collect();
        assert_eq!(of(&notes(&[]), "b"), Rollout::Nobody);
        assert_eq!(of(&notes(&[note(false, Some("a"))]), "b"), Rollout::Nobody);
        let mixed = notes(&[note(true, Some("b")), note(true, Some("a"))]);
        let others = [(1, "a".to_owned())].into();
        assert_eq!(of(&mixed, "b"), Rollout::Partial { judged: 1, others });
        let done = notes(&[note(true, Some("b")), note(false, Some("a"))]);
        assert_eq!(of(&done, "b"), Rollout::Complete(1));
    }
}
