//! The consume thread: polls Kafka, fills batches, deals them to the score threads in turn.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use crossbeam_channel::{
    Receiver, RecvTimeoutError, SendTimeoutError, Sender, TryRecvError, bounded,
};

use super::dealer::Dealer;
use super::sandbox::Sandbox;
use super::score::{Control, Work};
use super::succession::{By, Succession};
use super::{Batch, LineError};
use crate::config::{self, OnDataLoss};
use crate::health::{Condition, Health};
use crate::kafka::{Cause, Change, Intake, Loss, Polled, Position, Received};
use crate::metrics::{Metrics, Queue, Rebalance};
use crate::planted::{self, Defect};

/// How long a full line may hold the thread back before it pauses the partitions and goes on
/// serving the client, which would else be thrown out of its group.
const HOLD: Duration = Duration::from_secs(1);

/// Longest wait for a record when there is nothing to do.
const IDLE: Duration = Duration::from_millis(100);

/// Gaps of so many offsets are not looked into: to ask costs a round trip, and a topic written by transactions has one
/// after each.
const MARKERS: i64 = 8;

/// Records that the client holds already are taken so many at a time: to ask for the time, and to
/// tell that this thread is alive, for each of them would cost as much as to take it.
const AT_ONCE: usize = 64;

/// The consume thread's state. The intake stands beside it, because a polled record borrows it.
pub(super) struct Consume {
    pub(super) dealer: Arc<Mutex<Dealer>>,
    /// Empty batches come back here.
    pub(super) spent: Receiver<Batch>,
    pub(super) line: config::Line,
    pub(super) stop: Arc<AtomicBool>,
    pub(super) health: Arc<Health>,
    pub(super) metrics: Arc<Metrics>,
    pub(super) batch: Batch,
    /// Models that are to take over.
    pub(super) successors: Receiver<Arc<Succession>>,
    /// By which model the next batch is judged.
    pub(super) by: By,
    pub(super) opened: Option<Instant>,
    /// Of each assigned partition, the offset that must come next, to notice a gap.
    pub(super) expected: BTreeMap<i32, i64>,
    pub(super) on_data_loss: OnDataLoss,
    /// Partitions that stand still because records were lost. No offset of theirs is expected.
    pub(super) halted: BTreeSet<i32>,
    pub(super) paused: bool,
    /// Where records are tried that may have ended the process before this one.
    pub(super) sandbox: Sandbox,
    /// Each open until an assignment is committed: no batch is dealt before.
    pub(super) unsettled: Vec<Receiver<()>>,
    /// Whether the topic was made anew since this line began.
    pub(super) is_anew: bool,
    /// Closes when the publish thread has ended.
    pub(super) publish_ended: Receiver<()>,
}

impl Consume {
    /// Runs until the stop flag is set, then hands on what is left.
    pub(super) fn run(&mut self, intake: &Intake) -> Result<(), LineError> {
        while !self.stop.load(Ordering::Relaxed) {
            self.health.beat(Instant::now());
            self.check_publish()?;
            self.take_some(intake)?;
            self.check_topic(intake)?;
            if self.is_due() {
                self.hand_on(intake)?;
            }
            self.take_successor(intake)?;
        }
        if !self.batch.is_empty() {
            self.hand_on(intake)?;
        }
        Ok(())
    }

    /// From here on another model, if there is one: what was taken in before it goes off by the one before.
    fn take_successor(&mut self, intake: &Intake) -> Result<(), LineError> {
        let Some(successor) = self.successors.try_iter().last() else {
            return Ok(());
        };
        if !self.batch.is_empty() {
            self.hand_on(intake)?;
        }
        self.by = Some(successor);
        // Empty, so that it takes over on a quiet topic too.
        self.hand_on(intake)
    }

    /// Without a publish thread nothing that is dealt comes to anything; and it may be long until the next batch is.
    fn check_publish(&self) -> Result<(), LineError> {
        match self.publish_ended.try_recv() {
            Err(TryRecvError::Disconnected) => Err(LineError::Broken),
            _ => Ok(()),
        }
    }

    /// Waits for one record, and takes those that came with it.
    fn take_some(&mut self, intake: &Intake) -> Result<(), LineError> {
        let mut patience = self.patience();
        for _ in 0..AT_ONCE {
            let polled = intake.poll(patience)?;
            // What changed within the poll comes before its record; and that record is taken in
            // before anything is dealt, since dealing may poll for the next one.
            let mut assigned = Vec::new();
            self.absorb_changes(intake, None, &mut assigned)?;
            self.take(intake, &polled)?;
            self.deal_assigned(intake, assigned)?;
            if self.is_full() || matches!(polled, Polled::Nothing) {
                break;
            }
            patience = Duration::ZERO;
        }
        Ok(())
    }

    /// Until when a poll may wait: the age limit of the batch at hand.
    fn patience(&self) -> Duration {
        match self.opened {
            Some(opened) => self.line.batch_age.saturating_sub(opened.elapsed()),
            None => IDLE,
        }
    }

    fn is_full(&self) -> bool {
        self.batch.len() >= self.line.batch_rows || self.batch.bytes() >= self.line.batch_bytes
    }

    fn is_due(&self) -> bool {
        self.is_full()
            || self
                .opened
                .is_some_and(|opened| opened.elapsed() >= self.line.batch_age)
    }

    fn take(&mut self, intake: &Intake, polled: &Polled<'_>) -> Result<(), LineError> {
        match polled {
            Polled::Record(record) => {
                let (partition, offset) = (record.partition(), record.offset());
                match self.expected.get_mut(&partition) {
                    Some(expected) if *expected == offset => {
                        *expected += 1;
                        self.push(record);
                    }
                    Some(&mut expected) => self.take_unexpected(intake, record, expected),
                    None => {} // No longer ours, or fetched before the partition was halted.
                }
            }
            Polled::OutOfRange => self.find_out_of_range(intake)?,
            Polled::Nothing => {}
        }
        Ok(())
    }

    /// A record that does not follow on the one before it.
    fn take_unexpected(&mut self, intake: &Intake, record: &Received<'_>, expected: i64) {
        let (partition, offset) = (record.partition(), record.offset());
        if offset < expected {
            return; // Handed on already.
        }
        // Markers of transactions leave gaps of one offset each. Whoever falls behind retention is told so by an error; only
        // the embedded broker jumps, and then far.
        if offset - expected <= MARKERS {
            self.push(record);
            self.expected.insert(partition, offset + 1);
            return;
        }
        match intake.watermarks(partition) {
            Ok((low, _)) if low > expected => {
                let loss = Loss {
                    cause: Cause::Retention,
                    from: Some(expected),
                    to: low,
                };
                self.report_loss(partition, &loss);
                if self.on_data_loss == OnDataLoss::Halt {
                    self.halt(intake, partition);
                    return;
                }
            }
            // Transaction markers and compaction leave gaps that hold no records.
            Ok(_) => {}
            Err(error) => {
                tracing::warn!(
                    partition,
                    "a gap in the offsets could not be judged: {error}"
                );
            }
        }
        self.push(record);
        self.expected.insert(partition, offset + 1);
    }

    fn push(&mut self, record: &Received<'_>) {
        if self.opened.is_none() {
            self.opened = Some(Instant::now());
        }
        self.batch.push(
            record.partition(),
            record.offset(),
            record.timestamp_ms(),
            record.key(),
            record.payload(),
        );
    }

    /// Applies what the rebalance callback has recorded, in its order. Adds to `positions` those of
    /// new partitions, which the publish thread must hear of before their first batch. `in_hand` is
    /// what waits to be dealt.
    fn absorb_changes(
        &mut self,
        intake: &Intake,
        mut in_hand: Option<&mut Work>,
        positions: &mut Vec<Position>,
    ) -> Result<(), LineError> {
        if !intake.has_changes() {
            return Ok(());
        }
        for change in intake.changes() {
            match change {
                Change::Assigned(new) => {
                    self.assigned(intake, &new)?;
                    positions.extend(new);
                }
                // The callback has waited for the line to let go of what it held; what has not
                // been dealt yet is dropped here.
                Change::Revoked(partitions) => {
                    let is_left = |position: &Position| !partitions.contains(&position.partition);
                    positions.retain(is_left);
                    match &mut in_hand {
                        Some(Work::Batch(batch)) => batch.forget(&partitions),
                        Some(Work::Control(Control::Assigned(positions, _))) => {
                            positions.retain(is_left);
                        }
                        _ => {}
                    }
                    self.revoked(&partitions);
                }
            }
        }
        Ok(())
    }

    fn deal_assigned(
        &mut self,
        intake: &Intake,
        positions: Vec<Position>,
    ) -> Result<(), LineError> {
        if positions.is_empty() {
            return Ok(());
        }
        let (told, settled) = bounded(0);
        self.unsettled.push(settled);
        self.deal(intake, Work::Control(Control::Assigned(positions, told)))
    }

    fn assigned(&mut self, intake: &Intake, positions: &[Position]) -> Result<(), LineError> {
        for position in positions {
            let partition = position.partition;
            if let Some(loss) = &position.loss {
                self.report_loss(partition, loss);
            }
            if position.halted {
                self.halted.insert(partition);
                continue;
            }
            // Ids of records have the topic's id in them.
            let ids = (position.note.topic.as_ref(), intake.topic_id());
            if matches!(ids, (Some(now), Some(then)) if now != then) {
                let why = "the topic was made anew since this line began";
                return Err(LineError::Loss(why.into()));
            }
            self.expected.insert(partition, position.next);
            if let Some(until) = position.suspect_until {
                self.sandbox.suspect(partition, position.next, until);
            }
        }
        self.metrics.rebalances.get(Rebalance::Assigned).inc();
        self.report_halted();
        self.report_assignment();
        Ok(())
    }

    fn revoked(&mut self, partitions: &[i32]) {
        if !planted::has(&Defect::KeepRevoked) {
            self.batch.forget(partitions);
        }
        self.sandbox.forget(partitions);
        if self.batch.is_empty() {
            self.opened = None;
        }
        self.expected
            .retain(|partition, _| !partitions.contains(partition));
        self.halted
            .retain(|partition| !partitions.contains(partition));
        self.metrics.rebalances.get(Rebalance::Revoked).inc();
        self.report_halted();
        self.report_assignment();
    }

    fn report_assignment(&self) {
        let assigned = self.expected.len() + self.halted.len();
        self.metrics.assigned_partitions.set(assigned as i64);
        tracing::info!(partitions = assigned, "assignment changed");
        // An instance beyond the number of partitions is idle, and that is fine.
        self.health.set(Condition::Assignment, Ok(()));
    }

    /// Sends the batch at hand down the line.
    fn hand_on(&mut self, intake: &Intake) -> Result<(), LineError> {
        let empty = self.spent.try_recv().unwrap_or_default();
        let mut batch = std::mem::replace(&mut self.batch, empty);
        batch.by.clone_from(&self.by);
        self.sandbox.examine(&mut batch);
        self.opened = None;
        self.deal(intake, Work::Batch(batch))
    }

    /// Deals `work`. While the line is full for long, pauses all partitions and goes on polling.
    pub(super) fn deal(&mut self, intake: &Intake, mut work: Work) -> Result<(), LineError> {
        let mut patience = HOLD;
        let mut assigned_meanwhile = Vec::new();
        loop {
            match self.try_deal(work, patience) {
                Ok(()) => break,
                Err(SendTimeoutError::Disconnected(_)) => return Err(LineError::Broken),
                Err(SendTimeoutError::Timeout(back)) => work = back,
            }
            self.health.beat(Instant::now());
            self.check_publish()?;
            self.pause(intake);
            patience = IDLE;
            let polled = intake.poll(Duration::ZERO)?;
            self.absorb_changes(intake, Some(&mut work), &mut assigned_meanwhile)?;
            // A record that was fetched before the pause waits in the next batch.
            self.take(intake, &polled)?;
        }
        if self.paused {
            self.paused = false;
            if let Err(error) = intake.resume(&self.halted) {
                tracing::warn!("resuming: {error}");
            }
        }
        self.report_queue();
        self.deal_assigned(intake, assigned_meanwhile)
    }

    /// Deals `work`, or gives it back if that takes longer than `patience`.
    fn try_deal(&mut self, work: Work, patience: Duration) -> Result<(), SendTimeoutError<Work>> {
        while let (Work::Batch(_), Some(unsettled)) = (&work, self.unsettled.last()) {
            // Nothing comes out of it: it closes.
            if unsettled.recv_timeout(patience) == Err(RecvTimeoutError::Timeout) {
                return Err(SendTimeoutError::Timeout(work));
            }
            self.unsettled.pop();
        }
        let mut dealer = self.dealer.lock().unwrap_or_else(PoisonError::into_inner);
        dealer.deal(work, patience)
    }

    fn report_queue(&self) {
        let dealer = self.dealer.lock().unwrap_or_else(PoisonError::into_inner);
        let waiting: usize = dealer.workers.iter().map(Sender::len).sum();
        self.metrics
            .queue_depth
            .get(Queue::Score)
            .set(waiting as i64);
    }

    /// Pauses everything, newly assigned partitions too.
    fn pause(&mut self, intake: &Intake) {
        self.paused = true;
        if let Err(error) = intake.pause() {
            tracing::warn!("pausing: {error}");
        }
    }
}
