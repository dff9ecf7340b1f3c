//! The publish thread's commits: of positions alone, or of positions and outputs as one transaction.

use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use crossbeam_channel::Receiver;

use super::LineError;
use super::audit::Audit;
use super::delivery::Parcel;
use super::flight::Flight;
use super::publish::Publish;
use crate::kafka::Position;
use crate::metrics::{CommitResult, Stage};
use crate::planted::{self, Defect};

/// How often a transaction is tried whose offsets come with a membership of the past, and the pause for the consumer to hear
/// of the new one.
const ATTEMPTS: usize = 10;
const BETWEEN: Duration = Duration::from_millis(50);

/// How long the last commit is tried.
const LAST_COMMIT: Duration = Duration::from_secs(5);

impl Publish {
    /// Commits the positions that have moved: by themselves, or together with their outputs.
    pub(super) fn commit(&mut self) -> Result<(), LineError> {
        if self.delivery.is_transactional() || self.audit.is_some() {
            // What is sent and has not landed belongs to the same transaction, and to the same ranges of the audit.
            self.drain()?;
        }
        self.tell_audit()?;
        let moved: Vec<Position> = self
            .positions
            .values()
            .filter(|position| !position.committed)
            .cloned()
            .collect();
        if moved.is_empty() {
            // Also when what was assigned has been taken away again.
            self.assigned.clear();
            self.health.committed();
            return Ok(());
        }
        let began = Instant::now();
        self.health.committing(began);
        if self.delivery.is_transactional() {
            if planted::every_other(&Defect::OffsetsApart) {
                let claim = self.intake.claim(&[])?;
                return self.delivery.commit(claim);
            }
            if let Err(error) = self.commit_transaction(&moved) {
                self.metrics.commits.get(CommitResult::Failed).inc();
                return Err(error);
            }
            self.committed(&moved);
        } else {
            match self.intake.commit(&moved) {
                Ok(_) => self.committed(&moved),
                Err(error) => {
                    self.metrics.commits.get(CommitResult::Failed).inc();
                    let again = self.commit_interval;
                    tracing::warn!("committing offsets: {error}; again in {again:?}");
                }
            }
        }
        let stages = &self.metrics.stage_seconds;
        let took = began.elapsed().as_secs_f64();
        stages.get(Stage::Commit).observe(took);
        Ok(())
    }

    /// The last commit can meet a rebalance or a broker that restarts: it is tried for some seconds.
    pub(super) fn commit_last(&mut self, tick: &Receiver<Instant>) -> Result<(), LineError> {
        let deadline = Instant::now() + LAST_COMMIT;
        loop {
            self.commit()?;
            let left = self
                .positions
                .values()
                .filter(|position| !position.committed);
            let left: Vec<i32> = left.map(|position| position.partition).collect();
            if left.is_empty() {
                return Ok(());
            }
            if Instant::now() >= deadline || self.abandon.load(Ordering::Relaxed) {
                tracing::warn!(
                    partitions = ?left,
                    "the last offsets could not be committed: what came after the commit before is read again"
                );
                return Ok(());
            }
            tick.recv().ok();
        }
    }

    /// Publishes what the audit says of everything that has landed, and waits until that is durable.
    fn tell_audit(&mut self) -> Result<(), LineError> {
        let messages = self.audit.as_mut().map_or(Vec::new(), Audit::messages);
        if messages.is_empty() {
            return Ok(());
        }
        let parcels = messages.into_iter().map(|(partition, outgoing)| Parcel {
            about: (partition, -1),
            whole: outgoing.clone(),
            by_reference: outgoing,
        });
        let flight = Flight::empty(Instant::now());
        self.delivery.send_off(flight, parcels.collect())?;
        self.drain()
    }

    fn commit_transaction(&mut self, moved: &[Position]) -> Result<(), LineError> {
        let mut attempts = 0;
        loop {
            let claim = self.intake.claim(moved)?;
            match self.delivery.commit(claim) {
                // To start over would have this instance leave the group and come back, which is a rebalance again.
                Err(error) if error.is_stale() && attempts < ATTEMPTS => {
                    attempts += 1;
                    tracing::debug!("{error}; all of it again");
                    std::thread::sleep(BETWEEN);
                    self.delivery.open_anew()?;
                    self.drain()?;
                }
                outcome => break outcome?,
            }
        }
        self.delivery.passed(moved);
        for flight in self.uncommitted.drain(..) {
            self.reporter.landed(&flight);
        }
        Ok(())
    }

    fn committed(&mut self, moved: &[Position]) {
        self.metrics.commits.get(CommitResult::Ok).inc();
        self.health.committed();
        self.intake.remember(moved);
        self.assigned.clear();
        for position in moved {
            self.positions
                .entry(position.partition)
                .and_modify(|known| {
                    known.committed =
                        known.next == position.next && known.note.open == position.note.open;
                });
        }
    }
}
