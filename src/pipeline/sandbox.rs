//! Records that may have ended a process are judged in another process first.
//!
//! An owner that lets a partition go says so beside its last commit ([`crate::kafka::Note::open`]). Where it did not, it
//! was killed, by a person, the machine or a record. So whoever comes after has the next records of that partition
//! judged by a child, one at a time, before it touches them. The one that ends the child twice is not judged again.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::io::{self, BufWriter, Read};
use std::path::PathBuf;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, bounded};

use super::Batch;
use super::probe::{ALIVE, write};
use crate::health::Health;

/// So many records of a partition are tried: more than a line holds at once, and far more than what it does between two
/// commits.
const RANGE: i64 = 100_000;

/// How long one record may take, and how long the child may take to load its model.
const PATIENCE: Duration = Duration::from_secs(30);

/// How the child is started: a process that runs [`super::probe`] on its standard input and output.
#[derive(Debug, Clone)]
pub struct Probe {
    pub program: PathBuf,
    pub arguments: Vec<OsString>,
}

/// Tries records of suspect partitions.
pub(super) struct Sandbox {
    probe: Option<Probe>,
    trial: Option<Trial>,
    /// Partitions to be careful with, each up to an offset.
    suspects: BTreeMap<i32, i64>,
    health: Arc<Health>,
}

/// A child at work.
struct Trial {
    child: Child,
    input: BufWriter<ChildStdin>,
    /// What it says; closed when it has ended.
    answers: Receiver<u8>,
}

impl Sandbox {
    pub(super) fn new(probe: Option<Probe>, health: Arc<Health>) -> Sandbox {
        Sandbox {
            probe,
            trial: None,
            suspects: BTreeMap::new(),
            health,
        }
    }

    /// The last owner of `partition` did not let go of it; what there was by then ends at `until`.
    pub(super) fn suspect(&mut self, partition: i32, next: i64, until: i64) {
        if self.probe.is_some() && next < until {
            tracing::info!(
                partition,
                "its last owner ended without letting go of it: its next records are tried in a process of \
                 their own first"
            );
            let until = until.min(next.saturating_add(RANGE));
            self.suspects.insert(partition, until);
        }
    }

    pub(super) fn forget(&mut self, partitions: &[i32]) {
        self.suspects
            .retain(|partition, _| !partitions.contains(partition));
    }

    /// Has the suspect records of `batch` tried, and condemns those that end the child.
    pub(super) fn examine(&mut self, batch: &mut Batch) {
        if self.suspects.is_empty() {
            self.trial = None;
            return;
        }
        for index in 0..batch.len() {
            let record = &batch.records()[index];
            let (partition, offset) = (record.partition, record.offset);
            let Some(&until) = self.suspects.get(&partition) else {
                continue;
            };
            if offset < until {
                self.examine_one(batch, index);
            }
            if offset + 1 >= until {
                self.suspects.remove(&partition);
            }
        }
        if self.suspects.is_empty() {
            self.trial = None;
        }
    }

    fn examine_one(&mut self, batch: &mut Batch, index: usize) {
        self.health.beat(Instant::now());
        // A child can also be killed for another's sake: only the second time counts.
        if self.survives(batch, index) || self.survives(batch, index) {
            return;
        }
        let record = &batch.records()[index];
        tracing::error!(
            partition = record.partition,
            offset = record.offset,
            "judging this record ends the process: it becomes a dead letter of class crash, by reference"
        );
        batch.condemn(index);
    }

    /// Whether the child outlives the record. Where there can be no child, nothing is known, and the record is judged
    /// like any other.
    fn survives(&mut self, batch: &Batch, index: usize) -> bool {
        let trial = match (&mut self.trial, &self.probe) {
            (Some(trial), _) => trial,
            (slot, Some(probe)) => match Trial::start(probe) {
                Ok(trial) => slot.insert(trial),
                Err(error) => {
                    tracing::warn!("no process to try records in ({error}): they are judged here");
                    self.suspects.clear();
                    return true;
                }
            },
            (None, None) => return true,
        };
        let survives = trial.survives(batch, index);
        if !survives {
            self.trial = None;
        }
        survives
    }
}

impl Trial {
    fn start(probe: &Probe) -> io::Result<Trial> {
        let mut child = Command::new(&probe.program)
            .args(&probe.arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let (input, output) = (child.stdin.take(), child.stdout.take());
        let (Some(input), Some(mut output)) = (input, output) else {
            return Err(io::ErrorKind::BrokenPipe.into());
        };
        let (say, answers) = bounded(1);
        // It ends with the child, whose end closes the pipe.
        std::thread::Builder::new()
            .name("probe".into())
            .spawn(move || {
                let mut byte = [0];
                while output.read_exact(&mut byte).is_ok() && say.send(byte[0]).is_ok() {}
            })?;
        let trial = Trial {
            child,
            input: BufWriter::new(input),
            answers,
        };
        match trial.is_alive() {
            true => Ok(trial),
            false => Err(io::Error::other("it ended before it was ready")),
        }
    }

    fn is_alive(&self) -> bool {
        self.answers.recv_timeout(PATIENCE) == Ok(ALIVE)
    }

    fn survives(&mut self, batch: &Batch, index: usize) -> bool {
        write(&mut self.input, batch, &batch.records()[index]).is_ok() && self.is_alive()
    }
}

impl Drop for Trial {
    fn drop(&mut self) {
        // It may have ended by itself.
        self.child.kill().ok();
        self.child.wait().ok();
    }
}
