//! The publish thread: deliver, then commit.
//!
//! Judged batches come in the order in which the consume thread dealt them. Their messages are
//! produced at once, and the batch waits in a queue until every one of them is acknowledged; only
//! then does the position of its partitions move, and only positions are committed. Whatever ends
//! the process in between, the offsets of undelivered work are not committed.
//!
//! Exactly once, the messages since the last commit and the positions are one transaction: the thread waits until all
//! of it is acknowledged, and then commits both. If that fails in any way the line ends, and starts over with new
//! clients from what is committed.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, Sender, never, select, tick};
use tokio::sync::watch;

use super::audit::Audit;
use super::delivery::{Delivery, Parcel};
use super::flight::Flight;
use super::message::Messages;
use super::report::Reporter;
use super::score::{Control, Result as Work};
use super::succession::{By, Serving, number};
use super::thresholds::Verdicts;
use super::{Batch, Judged, LineError};
use crate::health::{Condition, Health};
use crate::kafka::{Intake, Position};
use crate::metrics::{Metrics, Queue, Stage};
use crate::planted::{self, Defect};

/// The publish thread's state.
pub(super) struct Publish {
    /// First, so that it goes first: whoever waits for this thread waits no longer.
    pub(super) _alive: Sender<()>,
    /// Set when the consume thread has failed.
    pub(super) abandon: Arc<AtomicBool>,
    pub(super) intake: Intake,
    pub(super) delivery: Delivery,
    pub(super) messages: Messages,
    /// Where the budget is one a day.
    pub(super) verdicts: Option<Verdicts>,
    /// Where there is an audit topic.
    pub(super) audit: Option<Audit>,
    /// By which model what comes is judged, and its version.
    pub(super) by: By,
    pub(super) version: String,
    /// Told of a model when it has taken over.
    pub(super) succeeded: watch::Sender<Arc<Serving>>,
    /// One a score thread, taken in turn.
    pub(super) inputs: Vec<Receiver<Work>>,
    pub(super) turn: usize,
    /// Empty batches go back to the consume thread.
    pub(super) spent: Sender<Batch>,
    pub(super) keep_bytes: usize,
    pub(super) commit_interval: Duration,
    /// Where every partition of ours stands.
    pub(super) positions: BTreeMap<i32, Position>,
    /// Waits for the first commit of what was assigned: nothing of it is judged before.
    pub(super) assigned: Vec<Sender<()>>,
    /// Batches whose outputs a transaction will make visible.
    pub(super) uncommitted: Vec<Flight>,
    pub(super) reporter: Reporter,
    pub(super) health: Arc<Health>,
    pub(super) metrics: Arc<Metrics>,
}

impl Publish {
    /// Runs until its input ends and everything is delivered and committed.
    pub(super) fn run(mut self) -> Result<(), LineError> {
        let commit = tick(self.commit_interval);
        let ended = self.work(&commit).and_then(|()| self.end(&commit));
        if ended.is_err() {
            self.delivery.abort();
        }
        self.delivery.close();
        ended
    }

    /// Takes judged batches, reports and ticks as they come, until no batch comes any more.
    fn work(&mut self, commit: &Receiver<Instant>) -> Result<(), LineError> {
        let reports = self.delivery.reports();
        let nothing = never();
        loop {
            let input = if self.delivery.is_full() {
                &nothing
            } else {
                &self.inputs[self.turn]
            };
            select! {
                recv(input) -> work => match work {
                    Ok(work) => self.accept(work)?,
                    // The score thread whose turn it is has ended, so there is no next batch.
                    Err(_) => return Ok(()),
                },
                recv(reports) -> report => {
                    self.delivery.settle(report.map_err(|_| LineError::Broken)?)?;
                    self.land();
                }
                recv(commit) -> _ => {
                    if self.abandon.load(Ordering::Relaxed) {
                        return Err(LineError::Broken);
                    }
                    self.delivery.produce()?;
                    self.report();
                    self.commit()?;
                }
            }
        }
    }

    /// Delivers and commits what is left, and lets all partitions go.
    fn end(&mut self, tick: &Receiver<Instant>) -> Result<(), LineError> {
        self.drain()?;
        self.commit_last(tick)?;
        let all: Vec<i32> = self.positions.keys().copied().collect();
        self.let_go(&all);
        for partition in all {
            self.metrics.consumer_lag.remove(partition);
        }
        match self.commit() {
            // A rebalance has come in between: then the next owner is careful for nothing.
            Err(error) if error.starts_over() => {
                tracing::debug!("letting go: {error}");
                self.delivery.abort();
                Ok(())
            }
            ended => ended,
        }
    }

    fn accept(&mut self, work: Work) -> Result<(), LineError> {
        self.turn = (self.turn + 1) % self.inputs.len();
        match work {
            Work::Judged {
                batch,
                judged,
                took,
            } => {
                if number(&batch.by) != number(&self.by) {
                    self.succeed(&batch.by)?;
                }
                let stages = &self.metrics.stage_seconds;
                let decoding = judged.decoding;
                stages.get(Stage::Decode).observe(decoding.as_secs_f64());
                stages
                    .get(Stage::Score)
                    .observe(took.saturating_sub(decoding).as_secs_f64());
                self.send_off(batch, *judged)?;
            }
            Work::Control(Control::Assigned(mut positions, told)) => {
                for position in positions.iter_mut().filter(|position| !position.halted) {
                    position.judged_by(&self.version);
                }
                if positions.iter().any(|position| !position.committed) {
                    self.assigned.push(told);
                }
                for mut position in positions {
                    match &mut self.verdicts {
                        Some(verdicts) => verdicts.thresholds.assigned(&position),
                        // Nobody carries it on: it would be wrong by the next commit.
                        None => position.note.pace = None,
                    }
                    if let Some(audit) = &mut self.audit {
                        audit.assigned(position.partition, position.next);
                    }
                    self.positions.insert(position.partition, position);
                }
                self.commit()?;
            }
            Work::Control(Control::Halted(partitions)) => {
                self.drain()?;
                for partition in partitions {
                    self.positions
                        .entry(partition)
                        .and_modify(|position| position.committed = false);
                }
                self.commit()?;
            }
            Work::Control(Control::Revoked {
                partitions,
                acknowledge,
            }) => {
                self.drain()?;
                self.let_go(&partitions);
                self.commit()?;
                if let Some(verdicts) = &mut self.verdicts {
                    verdicts.thresholds.revoked(&partitions);
                }
                for partition in partitions {
                    if let Some(audit) = &mut self.audit {
                        audit.revoked(partition);
                    }
                    self.positions.remove(&partition);
                    self.metrics.consumer_lag.remove(partition);
                }
                // Nobody waits any more if this took too long; then nothing of theirs is committed
                // from here on, since their positions are gone.
                acknowledge.send(()).ok();
            }
        }
        Ok(())
    }

    /// Another model has taken over: finishes what the one before has judged, and notes from which offsets on the new one
    /// judges.
    fn succeed(&mut self, by: &By) -> Result<(), LineError> {
        self.drain()?;
        self.commit()?;
        self.by.clone_from(by);
        let Some(succession) = by else { return Ok(()) };
        let Serving { model, version, .. } = &*succession.serving;
        self.version.clone_from(version);
        self.messages.judged_by(model, version);
        self.reporter.judged_by(model);
        if let Some(audit) = &mut self.audit {
            audit.judged_by(version);
        }
        if let (Some(verdicts), Some((budget, judge))) = (&mut self.verdicts, succession.verdicts())
        {
            verdicts.judge = judge;
            verdicts.thresholds.go_by(budget);
        }
        for position in self.positions.values_mut().filter(|it| !it.halted) {
            position.judged_by(version);
        }
        self.commit()?;
        self.succeeded.send_replace(Arc::clone(&succession.serving));
        Ok(())
    }

    /// From here on the notes of `partitions` say that nobody was killed over them.
    fn let_go(&mut self, partitions: &[i32]) {
        for partition in partitions {
            if let Some(position) = self.positions.get_mut(partition).filter(|p| !p.halted) {
                position.note.open = false;
                position.committed = false;
            }
        }
    }

    /// Produces the messages of a judged batch; the batch's positions wait for their reports.
    fn send_off(&mut self, mut batch: Batch, mut judged: Judged) -> Result<(), LineError> {
        if let Some(verdicts) = &mut self.verdicts {
            verdicts.make(&batch, &mut judged);
        }
        if let Some(audit) = &mut self.audit {
            audit.add(&batch, &judged);
        }
        let mut parcels = Vec::with_capacity(judged.outliers.len() + judged.dead_letters.len());
        let mut parcel = |record: usize, (whole, by_reference)| {
            let record = &batch.records()[record];
            parcels.push(Parcel {
                about: (record.partition, record.offset),
                whole,
                by_reference,
            });
        };
        for finding in &judged.outliers {
            let offset = batch.records()[finding.record].offset;
            if planted::has(&Defect::DropSome) && offset % 20 == 0 {
                continue;
            }
            parcel(finding.record, self.messages.outlier(&batch, finding));
        }
        let skipped = usize::from(planted::has(&Defect::SkipDeadLetter));
        for dead in judged.dead_letters.iter().skip(skipped) {
            parcel(dead.record, self.messages.dead_letter(&batch, dead));
        }
        let mut flight = Flight::new(&batch, judged, Instant::now());
        if let Some(verdicts) = &self.verdicts {
            flight.paces = verdicts.thresholds.paces(flight.next.keys());
        }
        if planted::has(&Defect::CommitBeforeDelivery) {
            self.pass(&flight.next);
        }
        self.delivery.send_off(flight, parcels)?;
        batch.clear(self.keep_bytes);
        // The consume thread is gone only when the line ends.
        self.spent.try_send(batch).ok();
        self.land();
        Ok(())
    }

    /// Moves the positions past the batches whose every message is durable, oldest first.
    pub(super) fn land(&mut self) {
        while let Some(mut flight) = self.delivery.landed() {
            self.pass(&flight.next);
            for (partition, pace) in std::mem::take(&mut flight.paces) {
                self.positions
                    .entry(partition)
                    .and_modify(|position| position.note.pace = Some(pace));
            }
            if self.delivery.is_transactional() && !flight.next.is_empty() {
                self.uncommitted.push(flight);
            } else if !flight.next.is_empty() {
                self.reporter.landed(&flight);
            }
        }
    }

    /// Moves positions: everything below `next` is done.
    fn pass(&mut self, next: &BTreeMap<i32, i64>) {
        for (partition, next) in next {
            if let Some(position) = self.positions.get_mut(partition) {
                position.next = *next;
                position.committed = false;
            }
        }
    }

    /// Waits until everything produced is durable, however long that takes: whoever waits for
    /// this thread has a deadline of its own, and what is not durable is not committed.
    pub(super) fn drain(&mut self) -> Result<(), LineError> {
        let reports = self.delivery.reports();
        // One without messages waits for no report.
        self.land();
        while !self.delivery.is_empty() {
            self.delivery.check_open(Instant::now())?;
            if let Ok(report) = reports.recv_timeout(self.commit_interval) {
                self.delivery.settle(report)?;
                self.land();
            } else if self.abandon.load(Ordering::Relaxed) {
                return Err(LineError::Broken);
            } else {
                self.delivery.produce()?;
                self.report();
            }
        }
        Ok(())
    }

    fn report(&mut self) {
        let state = self.delivery.state(Instant::now());
        self.health.set(Condition::Output, state);
        let waiting: usize = self.inputs.iter().map(Receiver::len).sum();
        self.metrics
            .queue_depth
            .get(Queue::Publish)
            .set(waiting as i64);
        self.reporter
            .tick(&self.intake.ends(), &self.positions, &self.delivery);
    }
}
