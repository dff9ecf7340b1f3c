//! Messages on their way out, and the batches that wait for them.

use std::collections::{BTreeSet, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crossbeam_channel::Receiver;

use super::LineError;
use super::flight::Flight;
use crate::kafka::{
    Claim, Destination, Outgoing, Outlet, Position, Refusal, Report, Sent, TransactionError,
};
use crate::metrics::{Metrics, OutputTopic, PublishError};
use crate::planted::{self, Defect};

/// Batches that may wait for their acknowledgements. With the batch's own bounds this bounds what
/// is held while the output is slow.
const FLIGHTS: usize = 8;

/// Pause before a refused message is produced again.
const AGAIN: Duration = Duration::from_secs(1);

/// How long a transaction that nobody goes on with may take to end.
const ABORT: Duration = Duration::from_secs(2);

/// A batch that waits longer than this for its acknowledgements is said in readiness.
const LATE: Duration = Duration::from_secs(5);

/// What is under way: a message has a number, and its report names it.
pub(super) struct Delivery {
    outlet: Outlet,
    metrics: Arc<Metrics>,
    flights: VecDeque<Flight>,
    /// Number of the front of `flights`.
    first_flight: u64,
    /// Messages by number; `None` is delivered.
    messages: VecDeque<Option<Message>>,
    /// Number of the front of `messages`.
    first_message: u64,
    /// Messages to produce again, each at its time.
    again: VecDeque<(Instant, u64)>,
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
            messages: VecDeque::new(),
            first_message: 0,
            again: VecDeque::new(),
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
    pub(super) fn commit(&mut self, claim: &Claim) -> Result<(), LineError> {
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
        self.messages.iter().flatten().count()
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
            let number = self.first_message + self.messages.len() as u64;
            message.flight = number_of_flight;
            self.messages.push_back(Some(message));
            self.produce(number)?;
        }
        Ok(())
    }

    /// The oldest batch, once all its messages are durable.
    pub(super) fn landed(&mut self) -> Option<Flight> {
        if self.flights.front()?.waiting > 0 {
            return None;
        }
        self.first_flight += 1;
        self.flights.pop_front()
    }

    fn produce(&mut self, number: u64) -> Result<(), LineError> {
        let at = (number - self.first_message) as usize;
        let Some(Some(message)) = self.messages.get(at) else {
            return Ok(());
        };
        match self.outlet.send(number, &message.outgoing)? {
            Sent::Queued => {}
            Sent::Full => self.again.push_back((Instant::now(), number)),
            Sent::TooLarge => self.shorten(number)?,
        }
        Ok(())
    }

    fn message(&mut self, number: u64) -> Option<&mut Message> {
        let at = usize::try_from(number.checked_sub(self.first_message)?).ok()?;
        self.messages.get_mut(at)?.as_mut()
    }

    fn take_message(&mut self, number: u64) -> Option<Message> {
        let at = usize::try_from(number.checked_sub(self.first_message)?).ok()?;
        self.messages.get_mut(at)?.take()
    }

    /// Takes a report in.
    pub(super) fn settle(&mut self, report: Report) -> Result<(), LineError> {
        match report.outcome {
            Ok(()) => self.delivered(report.number),
            Err(Refusal::TooLarge) => return self.too_large(report.number),
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
        Ok(())
    }

    fn delivered(&mut self, number: u64) {
        let Some(message) = self.take_message(number) else {
            return;
        };
        let flight = message.flight;
        while let Some(None) = self.messages.front() {
            self.messages.pop_front();
            self.first_message += 1;
        }
        if let Some(flight) = self.flights.get_mut((flight - self.first_flight) as usize) {
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
        let Some(message) = self.message(number) else {
            return Ok(());
        };
        let (partition, offset) = message.about;
        if !transactional || message.by_reference.is_none() {
            return self.shorten(number);
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

    /// Publishes by reference what does not fit. If even that does not fit, the topic is at fault.
    fn shorten(&mut self, number: u64) -> Result<(), LineError> {
        let errors = &self.metrics.publish_errors;
        errors.get(PublishError::TooLarge).inc();
        let Some(message) = self.message(number) else {
            return Ok(());
        };
        if let Some(by_reference) = message.by_reference.take() {
            message.outgoing = by_reference;
            return self.produce(number);
        }
        self.refuse(
            number,
            PublishError::TooLarge,
            "even a message without its record is too large for the topic: raise its max.message.bytes",
        );
        Ok(())
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
        self.again.push_back((Instant::now() + AGAIN, number));
    }

    /// Produces again what was refused, when its time has come.
    pub(super) fn produce_again(&mut self) -> Result<(), LineError> {
        let now = Instant::now();
        for _ in 0..self.again.len() {
            if let Some((at, number)) = self.again.pop_front() {
                if at <= now {
                    self.produce(number)?;
                } else {
                    self.again.push_back((at, number));
                }
            }
        }
        Ok(())
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
