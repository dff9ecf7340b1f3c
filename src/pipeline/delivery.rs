//! Messages on their way out, and the batches that wait for them.

use std::collections::{BTreeSet, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crossbeam_channel::Receiver;

use super::LineError;
use super::flight::Flight;
use super::outbox::Outbox;
use crate::kafka::{
    Claim, Destination, Outgoing, Outlet, Position, Refusal, Report, Sent, TransactionError,
};
use crate::metrics::{Metrics, OutputTopic, PublishError};
use crate::planted::{self, Defect};

/// Batches that may wait for their acknowledgements. With the batch's own bounds this bounds what
/// is held while the output is slow.
const FLIGHTS: usize = 8;

/// Pause before what was refused is produced again.
const AGAIN: Duration = Duration::from_secs(1);

/// How long a transaction that nobody goes on with may take to end.
const ABORT: Duration = Duration::from_secs(2);

/// A batch that waits longer than this for its acknowledgements is said in readiness.
const LATE: Duration = Duration::from_secs(5);

/// What is under way.
pub(super) struct Delivery {
    outlet: Outlet,
    metrics: Arc<Metrics>,
    flights: VecDeque<Flight>,
    /// Number of the front of `flights`.
    first_flight: u64,
    outbox: Outbox<Message>,
    refused: Option<String>,
    /// Since when a transaction is open, where outputs and offsets are one.
    open: Option<Instant>,
    /// What was acknowledged in it.
    written: Vec<Message>,
    oversize: Arc<Oversize>,
}

/// A message on its way: `whole`, or, if that is too large for its topic, `by_reference`.
pub(super) struct Parcel {
    /// Partition and offset of the record that it is about.
    pub(super) about: (i32, i64),
    pub(super) whole: Outgoing,
    pub(super) by_reference: Outgoing,
}

/// Records whose message was too large in a transaction. That ends the transaction, so the next attempt must know;
/// it outlives the line.
#[derive(Debug, Default)]
pub struct Oversize(Mutex<BTreeSet<(i32, i64)>>);

impl Oversize {
    fn places(&self) -> MutexGuard<'_, BTreeSet<(i32, i64)>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

struct Message {
    flight: u64,
    about: (i32, i64),
    outgoing: Outgoing,
    /// What to publish if that is too large; `None` once it is this that was produced.
    by_reference: Option<Outgoing>,
}

impl Delivery {
    pub(super) fn new(outlet: Outlet, oversize: Arc<Oversize>, metrics: Arc<Metrics>) -> Delivery {
        Delivery {
            outlet,
            metrics,
            flights: VecDeque::new(),
            first_flight: 0,
            outbox: Outbox::new(),
            refused: None,
            open: None,
            written: Vec::new(),
            oversize,
        }
    }

    /// Whether outputs and offsets are one transaction.
    pub(super) fn is_transactional(&self) -> bool {
        self.outlet.is_transactional()
    }

    /// Commits `claim` with everything that was sent since the last commit, all of which must have landed.
    pub(super) fn commit(&mut self, claim: Claim) -> Result<(), LineError> {
        self.begin()?;
        self.outlet.commit(claim)?;
        self.open = None;
        for message in self.written.drain(..) {
            count(&self.metrics, &message);
        }
        Ok(())
    }

    /// Ends the open transaction, if there is one: nobody goes on with it.
    pub(super) fn abort(&mut self) {
        if self.open.take().is_some()
            && let Err(error) = self.outlet.abort(ABORT)
        {
            tracing::debug!("{error}");
        }
    }

    /// Ends the open transaction and produces all that was in it in a new one.
    pub(super) fn open_anew(&mut self) -> Result<(), LineError> {
        self.outlet.abort(ABORT)?;
        self.open = None;
        let messages = std::mem::take(&mut self.written);
        self.dispatch(Flight::empty(Instant::now()), messages)
    }

    /// What was too large below these positions is done with.
    pub(super) fn passed(&mut self, positions: &[Position]) {
        let is_above = |&(partition, offset): &(i32, i64)| {
            positions
                .iter()
                .all(|position| position.partition != partition || position.next <= offset)
        };
        self.oversize.places().retain(is_above);
    }

    fn begin(&mut self) -> Result<(), LineError> {
        if self.open.is_none() {
            self.outlet.begin()?;
            self.open = Some(Instant::now());
        }
        Ok(())
    }

    /// Gives a transaction up whose messages are not acknowledged in time: the cluster is slow or gone.
    pub(super) fn check_open(&self, now: Instant) -> Result<(), LineError> {
        let patience = self.outlet.for_messages();
        match self.open {
            Some(since) if now.duration_since(since) > patience => {
                let why = format!("its messages were not acknowledged within {patience:.1?}");
                Err(TransactionError::GivenUp(why).into())
            }
            _ => Ok(()),
        }
    }

    pub(super) fn reports(&self) -> Receiver<Report> {
        self.outlet.reports().clone()
    }

    pub(super) fn is_full(&self) -> bool {
        self.flights.len() >= FLIGHTS
    }

    pub(super) fn is_empty(&self) -> bool {
        self.flights.is_empty()
    }

    /// Messages without an acknowledgement.
    pub(super) fn in_flight(&self) -> usize {
        self.outbox.len()
    }

    /// Produces a batch's messages.
    pub(super) fn send_off(
        &mut self,
        flight: Flight,
        parcels: Vec<Parcel>,
    ) -> Result<(), LineError> {
        let message = |parcel: Parcel| {
            let oversize = self.oversize.places().contains(&parcel.about);
            let (outgoing, by_reference) = match oversize {
                true => (parcel.by_reference, None),
                false => (parcel.whole, Some(parcel.by_reference)),
            };
            Message {
                flight: 0,
                about: parcel.about,
                outgoing,
                by_reference,
            }
        };
        let messages = parcels.into_iter().map(message).collect();
        self.dispatch(flight, messages)
    }

    fn dispatch(&mut self, mut flight: Flight, messages: Vec<Message>) -> Result<(), LineError> {
        if self.is_transactional() && !messages.is_empty() {
            self.begin()?;
        }
        flight.waiting = messages.len();
        let number_of_flight = self.first_flight + self.flights.len() as u64;
        self.flights.push_back(flight);
        for mut message in messages {
            message.flight = number_of_flight;
            self.outbox.push(message);
        }
        self.produce()
    }

    /// The oldest batch, once all its messages are durable.
    pub(super) fn landed(&mut self) -> Option<Flight> {
        if self.flights.front()?.waiting > 0 {
            return None;
        }
        self.first_flight += 1;
        self.flights.pop_front()
    }

    /// Produces what may be produced now.
    pub(super) fn produce(&mut self) -> Result<(), LineError> {
        while let Some((number, message)) = self.outbox.ready(Instant::now()) {
            match self.outlet.send(number, &message.outgoing)? {
                Sent::Queued => self.outbox.produced(),
                Sent::Full => break,
                Sent::TooLarge => self.shorten(number),
            }
        }
        Ok(())
    }

    /// Takes a report in.
    pub(super) fn settle(&mut self, report: Report) -> Result<(), LineError> {
        self.outbox.reported();
        match report.outcome {
            Ok(()) => self.delivered(report.number),
            Err(Refusal::TooLarge) => self.too_large(report.number)?,
            Err(refusal) => {
                if let Some(fatal) = self.outlet.fatal_error() {
                    return Err(LineError::Output(fatal));
                }
                if self.is_transactional() {
                    self.metrics.publish_errors.get(refusal.reason()).inc();
                    let why = format!("a message was refused: {refusal}");
                    return Err(TransactionError::GivenUp(why).into());
                }
                self.refuse(report.number, refusal.reason(), &refusal.to_string());
            }
        }
        self.produce()
    }

    fn delivered(&mut self, number: u64) {
        let Some(message) = self.outbox.take(number) else {
            return;
        };
        let at = (message.flight - self.first_flight) as usize;
        if let Some(flight) = self.flights.get_mut(at) {
            flight.waiting -= 1;
        }
        self.refused = None;
        if self.open.is_some() {
            self.written.push(message);
        } else {
            count(&self.metrics, &message);
        }
    }

    /// The broker found it too large. That ends a transaction; the next one knows.
    fn too_large(&mut self, number: u64) -> Result<(), LineError> {
        let transactional = self.is_transactional();
        let Some(message) = self.outbox.get_mut(number) else {
            return Ok(());
        };
        let (partition, offset) = message.about;
        if !transactional || message.by_reference.is_none() {
            // What was produced behind it waits until it has gone by reference.
            self.outbox.hold(Instant::now());
            self.shorten(number);
            return Ok(());
        }
        self.oversize.places().insert((partition, offset));
        let errors = &self.metrics.publish_errors;
        errors.get(PublishError::TooLarge).inc();
        let why = format!(
            "the message about offset {offset} of partition {partition} is too large for its topic, and will go by \
             reference"
        );
        Err(TransactionError::GivenUp(why).into())
    }

    /// Has what does not fit go by reference. If even that does not fit, the topic is at fault.
    fn shorten(&mut self, number: u64) {
        let Some(message) = self.outbox.get_mut(number) else {
            return;
        };
        if let Some(by_reference) = message.by_reference.take() {
            message.outgoing = by_reference;
            let errors = &self.metrics.publish_errors;
            errors.get(PublishError::TooLarge).inc();
            return;
        }
        self.refuse(
            number,
            PublishError::TooLarge,
            "even a message without its record is too large for the topic: raise its max.message.bytes",
        );
    }

    fn refuse(&mut self, number: u64, error: PublishError, reason: &str) {
        self.metrics.publish_errors.get(error).inc();
        if planted::has(&Defect::CommitPastFailure) {
            return self.delivered(number);
        }
        if self.refused.is_none() {
            tracing::warn!(
                "a message was refused: {reason}; it is produced again until it is taken"
            );
        }
        self.refused = Some(reason.to_owned());
        self.outbox.hold(Instant::now() + AGAIN);
    }

    /// Whether the output takes what we publish, for readiness.
    pub(super) fn state(&self, now: Instant) -> Result<(), String> {
        if let Some(reason) = &self.refused {
            return Err(format!("a message was refused: {reason}"));
        }
        match self.flights.front() {
            Some(flight) if now.duration_since(flight.since) > LATE => Err(format!(
                "the output has not acknowledged a message for {:.0} s",
                now.duration_since(flight.since).as_secs_f64()
            )),
            _ => Ok(()),
        }
    }

    pub(super) fn close(self) {
        self.outlet.close(Duration::from_secs(1));
    }
}

/// Counts a message that is there for good.
fn count(metrics: &Metrics, message: &Message) {
    metrics.published.get(message.outgoing.to.into()).inc();
    if message.by_reference.is_none() {
        metrics.published_by_reference.inc();
    }
}

impl From<Destination> for OutputTopic {
    fn from(destination: Destination) -> OutputTopic {
        match destination {
            Destination::Outliers => OutputTopic::Outliers,
            Destination::DeadLetters => OutputTopic::DeadLetters,
            Destination::Audit => OutputTopic::Audit,
        }
    }
}
