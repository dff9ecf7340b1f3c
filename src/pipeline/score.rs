//! The score threads: batches in, judged batches out, everything else straight through.

use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, Sender};

use super::{Batch, Judge, Judged};
use crate::kafka::Position;

/// What travels from the consume thread to the score threads.
pub(super) enum Work {
    Batch(Batch),
    Control(Control),
}

/// What travels from the score threads to the publish thread.
pub(super) enum Result {
    Judged {
        batch: Batch,
        judged: Box<Judged>,
        took: Duration,
    },
    Control(Control),
}

/// Changes of the assignment, in line with the batches.
pub(super) enum Control {
    /// These partitions are ours from these positions on. The channel closes once that is committed.
    Assigned(Vec<Position>, Sender<()>),
    /// These stand still, for their topic was made anew, and the cluster has deleted their offsets with the old one: commit
    /// them once more, with the old topic's id, for whoever comes after.
    Halted(Vec<i32>),
    /// Publish and commit what came before, forget these partitions, then acknowledge.
    Revoked {
        partitions: Vec<i32>,
        acknowledge: Sender<()>,
    },
}

/// Runs one score thread until its input ends.
pub(super) fn run(mut judge: Judge, input: &Receiver<Work>, output: &Sender<Result>) {
    let mut by = 0;
    for work in input {
        let result = match work {
            Work::Batch(batch) => {
                if let Some(succession) = batch.by.as_ref().filter(|new| new.number != by) {
                    by = succession.number;
                    if let Some(next) = succession.judge() {
                        judge = next;
                    }
                }
                let began = Instant::now();
                let judged = Box::new(judge.judge(&batch));
                Result::Judged {
                    batch,
                    judged,
                    took: began.elapsed(),
                }
            }
            Work::Control(control) => Result::Control(control),
        };
        // The publish thread is gone only when the line ends with an error.
        if output.send(result).is_err() {
            return;
        }
    }
}
