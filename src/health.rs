//! Whether this instance can do its work (ready), and whether a restart would help (alive).

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// Something that must hold for the instance to be ready. The order is the order of a report.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Condition {
    /// Unmet until the line runs.
    Starting,
    /// At least one broker answers.
    Broker,
    /// The group has answered with an assignment.
    Assignment,
    /// A valid model scores.
    Model,
    /// The output topics take messages.
    Output,
    /// Offsets are committed within some seconds.
    Commit,
    /// No partition stands still until an operator decides.
    HaltedPartitions,
    /// Unmet from the moment a stop is asked for.
    Stopping,
}

impl Condition {
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Starting => "starting",
            Self::Broker => "broker",
            Self::Assignment => "assignment",
            Self::Model => "model",
            Self::Output => "output",
            Self::Commit => "commit",
            Self::HaltedPartitions => "halted partitions",
            Self::Stopping => "stopping",
        }
    }
}

/// Something that a reader of readiness should know although the instance does its work. The order is the order of a
/// report.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Note {
    /// Which model serves, and which one should and cannot.
    Model,
    /// What scores is not what could be wished for.
    Device,
    /// Others of the group go by another store.
    Store,
}

impl Note {
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Model => "model",
            Self::Device => "device",
            Self::Store => "store",
        }
    }
}

/// The state of one instance, shared by the threads that know and the probes that ask.
///
/// Readiness is a set of latches, each set by the one place that knows. The heartbeat is an atomic:
/// the consume loop gives one a round, also while it waits for a broker, so that a lost broker
/// makes the instance unready and never gets it restarted.
#[derive(Debug)]
pub struct Health {
    unmet: Mutex<BTreeMap<Condition, String>>,
    notes: Mutex<BTreeMap<Note, String>>,
    epoch: Instant,
    limit: Duration,
    /// Milliseconds from `epoch` to the newest heartbeat, plus 1; 0 before the first.
    beat: AtomicU64,
    /// The same to the moment from which on offsets wait for their commit; 0 if none do. Whoever commits may be held up by
    /// the cluster and could not say so.
    committing: AtomicU64,
}

/// Offsets that wait for longer than this are said.
const COMMIT_LATE: Duration = Duration::from_secs(5);

impl Health {
    /// Not ready yet, and alive. `limit` is how old the newest heartbeat may grow.
    pub fn new(now: Instant, limit: Duration) -> Self {
        let starting = (Condition::Starting, "the line does not run yet".to_owned());
        Self {
            unmet: Mutex::new(BTreeMap::from([starting])),
            notes: Mutex::default(),
            epoch: now,
            limit,
            beat: AtomicU64::new(0),
            committing: AtomicU64::new(0),
        }
    }

    /// Says that a condition holds, or why it does not.
    /// Returns whether the condition went from met to unmet or back, so that the caller can log it.
    pub fn set(&self, condition: Condition, state: Result<(), String>) -> bool {
        let mut unmet = self.unmet();
        let was_met = !unmet.contains_key(&condition);
        let is_met = state.is_ok();
        match state {
            Ok(()) => unmet.remove(&condition),
            Err(reason) => unmet.insert(condition, reason),
        };
        was_met != is_met
    }

    /// Sets what there is to know about something, or that there is nothing.
    pub fn note(&self, about: Note, text: Option<String>) {
        let mut notes = self.notes.lock().unwrap_or_else(PoisonError::into_inner);
        match text {
            Some(text) => notes.insert(about, text),
            None => notes.remove(&about),
        };
    }

    /// What there is to know, whether the instance is ready or not.
    pub fn notes(&self) -> Vec<(Note, String)> {
        let notes = self.notes.lock().unwrap_or_else(PoisonError::into_inner);
        notes.clone().into_iter().collect()
    }

    /// Offsets wait to be committed, from now on or since before.
    pub fn committing(&self, now: Instant) {
        let since = self.since_epoch(now) + 1;
        // Those that wait already have waited for longer.
        self.committing
            .compare_exchange(0, since, Ordering::Relaxed, Ordering::Relaxed)
            .ok();
    }

    /// No offsets wait any more.
    pub fn committed(&self) {
        self.committing.store(0, Ordering::Relaxed);
    }

    /// The conditions that do not hold, with their reasons. Ready when there are none.
    pub fn readiness(&self, now: Instant) -> Vec<(Condition, String)> {
        let mut unmet = self.unmet().clone();
        let since = self.committing.load(Ordering::Relaxed);
        let waited = self
            .since_epoch(now)
            .saturating_sub(since.saturating_sub(1));
        if since > 0 && Duration::from_millis(waited) > COMMIT_LATE {
            let seconds = waited / 1000;
            let why = format!("offsets have waited for {seconds} s to be committed");
            unmet.insert(Condition::Commit, why);
        }
        unmet.into_iter().collect()
    }

    /// Notes that the consume loop went round.
    pub fn beat(&self, now: Instant) {
        self.beat
            .fetch_max(self.since_epoch(now) + 1, Ordering::Relaxed);
    }

    /// Whether the consume loop still goes round.
    ///
    /// Always true before its first round and while stopping: both have deadlines of their own.
    ///
    /// # Errors
    ///
    /// How old the newest heartbeat is, when that is above the limit.
    pub fn alive(&self, now: Instant) -> Result<(), String> {
        let beat = self.beat.load(Ordering::Relaxed);
        if beat == 0 || self.unmet().contains_key(&Condition::Stopping) {
            return Ok(());
        }
        let age = Duration::from_millis(self.since_epoch(now).saturating_sub(beat - 1));
        if age <= self.limit {
            return Ok(());
        }
        Err(format!(
            "the line stands still: last heartbeat {:.1} s ago, limit {:.1} s",
            age.as_secs_f64(),
            self.limit.as_secs_f64()
        ))
    }

    fn since_epoch(&self, now: Instant) -> u64 {
        let elapsed = now.saturating_duration_since(self.epoch);
        u64::try_from(elapsed.as_millis()).unwrap_or(u64::MAX - 1)
    }

    /// Every change is a single insertion or removal, so a panic elsewhere leaves the map whole.
    fn unmet(&self) -> MutexGuard<'_, BTreeMap<Condition, String>> {
        self.unmet.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMIT: Duration = Duration::from_secs(10);

    #[test]
    fn a_new_instance_is_alive_and_not_ready() {
        let start = Instant::now();
        let health = Health::new(start, LIMIT);
        let conditions: Vec<_> = health
            .readiness(Instant::now())
            .into_iter()
            .map(|(c, _)| c)
            .collect();
        assert_eq!(conditions, [Condition::Starting]);
        assert_eq!(health.alive(start + 100 * LIMIT), Ok(()));
    }

    #[test]
    fn it_is_ready_when_every_condition_holds_and_names_the_ones_that_do_not() {
        let health = Health::new(Instant::now(), LIMIT);
        health.set(Condition::Output, Err("refused".to_owned()));
        health.set(Condition::Broker, Err("no answer for 30 s".to_owned()));
        health.set(Condition::Broker, Err("no answer for 31 s".to_owned()));
        health.set(Condition::Starting, Ok(()));
        assert_eq!(
            health.readiness(Instant::now()),
            [
                (Condition::Broker, "no answer for 31 s".to_owned()),
                (Condition::Output, "refused".to_owned()),
            ]
        );
        health.set(Condition::Broker, Ok(()));
        health.set(Condition::Output, Ok(()));
        assert!(health.readiness(Instant::now()).is_empty());
    }

    #[test]
    fn a_line_that_stands_still_is_not_alive_until_it_goes_round_again() {
        let start = Instant::now();
        let health = Health::new(start, LIMIT);
        health.beat(start + LIMIT);
        assert_eq!(health.alive(start + 2 * LIMIT), Ok(()));
        let late = start + 2 * LIMIT + Duration::from_millis(100);
        let reason = health.alive(late);
        assert_eq!(
            reason,
            Err("the line stands still: last heartbeat 10.1 s ago, limit 10.0 s".to_owned())
        );
        health.beat(late);
        assert_eq!(health.alive(late), Ok(()));
    }

    #[test]
    fn a_lost_broker_makes_it_unready_and_leaves_it_alive() {
        let start = Instant::now();
        let health = Health::new(start, LIMIT);
        health.beat(start);
        health.set(Condition::Broker, Err("no answer".to_owned()));
        health.beat(start + 5 * LIMIT);
        assert!(!health.readiness(Instant::now()).is_empty());
        assert_eq!(health.alive(start + 5 * LIMIT), Ok(()));
    }

    #[test]
    fn an_instance_that_stops_is_not_ready_and_is_not_killed_for_its_silence() {
        let start = Instant::now();
        let health = Health::new(start, LIMIT);
        health.beat(start);
        health.set(Condition::Stopping, Err("asked to".to_owned()));
        assert_eq!(health.alive(start + 5 * LIMIT), Ok(()));
        assert!(!health.readiness(Instant::now()).is_empty());
    }

    #[test]
    fn an_old_heartbeat_that_comes_late_changes_nothing() {
        let start = Instant::now();
        let health = Health::new(start, LIMIT);
        health.beat(start + 2 * LIMIT);
        health.beat(start);
        assert_eq!(health.alive(start + 3 * LIMIT), Ok(()));
    }

    #[test]
    fn offsets_that_wait_long_are_said_until_they_are_committed() {
        let start = Instant::now();
        let health = Health::new(start, LIMIT);
        health.set(Condition::Starting, Ok(()));
        health.committing(start);
        health.committing(start + COMMIT_LATE);
        assert!(health.readiness(start + COMMIT_LATE).is_empty());
        let late = start + COMMIT_LATE + Duration::from_secs(1);
        let (condition, why) = health.readiness(late).remove(0);
        assert_eq!(condition, Condition::Commit);
        assert_eq!(why, "offsets have waited for 6 s to be committed");
        health.committed();
        assert!(health.readiness(late).is_empty());
    }
}
