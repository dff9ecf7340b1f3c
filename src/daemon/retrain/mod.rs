//! Starts `outlierd retrain` when it is due or asked for, and listens to it.
//!
//! It is a process of its own: what it does to itself is nothing to the line. Whether its model serves is for the store to
//! say, which is watched anyway.

mod drifted;
mod ended;
mod shown;

use std::process::Stdio;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use jiff::Timestamp;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::Child;
use tokio::sync::{mpsc, watch};

use drifted::Drifted;
use ended::{Ended, Event, unfinished};
pub(super) use shown::Retraining;
use shown::{Last, Running};

use super::Ourselves;
use crate::config::Config;
use crate::http::Order;
use crate::metrics::{Metrics, RetrainOutcome};
use crate::registry::Store;
use crate::retrain::Schedule;

/// Between two looks at the clock: it may be set, and the machine may sleep.
const LOOK: Duration = Duration::from_secs(1);

/// After this it is looked whether another instance has seen to a slot: if it is gone, one of those left does.
const ELSEWHERE: Duration = Duration::from_secs(15);

/// A candidate whose trial has failed is tried again after this.
const AFTER_FAULT: Duration = Duration::from_secs(60);

/// So many refusals in a row are said as an error.
const LOUD: usize = 3;

/// What there is to do.
enum Task {
    /// A new model, for a slot of the schedule or not.
    Train(Option<Timestamp>),
    /// A new model of what has come since, whatever the one that serves says of it.
    Accept(Timestamp),
    /// A candidate to be judged beside what serves.
    Trial(String),
}

impl Task {
    fn slot(&self) -> Option<Timestamp> {
        match self {
            Task::Train(slot) => *slot,
            Task::Accept(_) | Task::Trial(_) => None,
        }
    }
}

/// Has retrains run, one at a time.
pub(super) struct Retrainer {
    store: Store,
    ourselves: Ourselves,
    schedule: Option<Schedule>,
    jitter: Duration,
    /// Slots up to this one are not to be seen to: of before the first start, or tried in vain.
    past: Timestamp,
    orders: mpsc::Receiver<Order>,
    /// None where a drift is no reason.
    drifted: Option<Drifted>,
    /// Whether candidates are tried before they take over.
    tries: bool,
    /// Not before this is anything due by itself: another instance is at it, or a trial has failed.
    not_before: Option<Instant>,
    /// What was asked for while something else was at work that does not do it. Of two the newest.
    waiting: Option<Task>,
    /// When the slot that is due begins: a part of the jitter after it was seen.
    begins: Option<Instant>,
    /// When the last one began.
    began: Option<Instant>,
    shown: Arc<Mutex<Retraining>>,
    metrics: Arc<Metrics>,
}

impl Retrainer {
    /// None without a store.
    pub(super) fn new(
        config: &Config,
        store: Option<Store>,
        ourselves: Ourselves,
        orders: mpsc::Receiver<Order>,
        drifting: watch::Receiver<usize>,
        metrics: &Arc<Metrics>,
    ) -> Option<Retrainer> {
        let store = store?;
        let ledger = tokio::task::block_in_place(|| store.ledger());
        let seen_to = ledger.ok().and_then(|ledger| ledger.slot);
        Some(Retrainer {
            // What was missed since the last one is made up for once.
            past: seen_to.unwrap_or_else(Timestamp::now),
            store,
            ourselves,
            schedule: Schedule::of(&config.retrain.when),
            jitter: config.retrain.jitter,
            orders,
            drifted: config.retrain.on_drift.then_some(Drifted {
                fields: drifting,
                lasts: config.retrain.drift_for,
                since: None,
            }),
            tries: config.retrain.shadow.is_some(),
            not_before: None,
            waiting: None,
            begins: None,
            began: None,
            shown: Arc::default(),
            metrics: Arc::clone(metrics),
        })
    }

    /// What `/status` tells, now and later.
    pub(super) fn shown(&self) -> Arc<Mutex<Retraining>> {
        Arc::clone(&self.shown)
    }

    /// Runs for as long as the daemon does.
    pub(super) async fn run(mut self) {
        loop {
            self.show_next();
            tokio::select! {
                order = self.orders.recv() => match order {
                    Some(Order::Retrain) => self.retrain(Task::Train(None)).await,
                    Some(Order::Accept(from)) => {
                        self.waiting = None;
                        self.retrain(Task::Accept(from)).await;
                    }
                    Some(Order::Cancel) => self.waiting = None,
                    None => return,
                },
                () = tokio::time::sleep(LOOK) => {
                    if let Some(task) = self.next_task() {
                        self.retrain(task).await;
                    }
                }
            }
        }
    }

    /// What is to be done now, if anything is.
    fn next_task(&mut self) -> Option<Task> {
        if self.not_before.is_some_and(|then| Instant::now() < then) {
            return None;
        }
        if let Some(task) = self.waiting.take() {
            return Some(task);
        }
        if self.has_drifted() {
            tracing::info!("the stream drifts: a new model is trained");
            return Some(Task::Train(None));
        }
        let task = self.due();
        if !matches!(task, Some(Task::Train(_))) {
            self.begins = None;
            return task;
        }
        let pause = self.pause();
        let begins = *self.begins.get_or_insert_with(|| Instant::now() + pause);
        task.filter(|_| Instant::now() >= begins)
    }

    fn has_drifted(&mut self) -> bool {
        let began = self.began;
        let drifted = self.drifted.as_mut();
        drifted.is_some_and(|drifted| drifted.is_due(Instant::now(), began))
    }

    /// What is to be done by itself: a slot of the schedule, or a candidate that is to be judged again.
    fn due(&self) -> Option<Task> {
        if self.schedule.is_none() && !self.tries {
            return None;
        }
        // A ledger that cannot be read is said elsewhere.
        let ledger = tokio::task::block_in_place(|| self.store.ledger()).ok()?;
        let now = Timestamp::now();
        let done = ledger.slot.map_or(self.past, |seen| seen.max(self.past));
        let slot = self.schedule.as_ref().and_then(|it| it.due(now, done));
        if slot.is_some() {
            return Some(Task::Train(slot));
        }
        let candidate = ledger.trial_due(now).filter(|_| self.tries)?;
        Some(Task::Trial(candidate.version.clone()))
    }

    /// A part of the jitter, another one in every process.
    fn pause(&self) -> Duration {
        let now = Timestamp::now().as_nanosecond();
        let seed = u64::from(std::process::id()) ^ now as u64;
        self.jitter
            .mul_f64(ChaCha8Rng::seed_from_u64(seed).random())
    }

    /// Runs one, and says how it ended.
    async fn retrain(&mut self, task: Task) {
        let slot = task.slot();
        let now = Timestamp::now().to_string();
        match &task {
            Task::Train(_) => {
                tracing::info!(slot = slot.map(|slot| slot.to_string()), "a retrain begins");
            }
            Task::Accept(from) => {
                tracing::info!(%from, "a retrain begins, which takes the stream as it is");
            }
            Task::Trial(version) => tracing::info!(version, "a candidate is judged again"),
        }
        self.lock().running = Some(Running {
            since: now,
            slot: slot.map(|slot| slot.to_string()),
            phase: "starting".to_owned(),
            ..Running::default()
        });
        self.metrics.retrain_running.set(1);
        self.begins = None;
        if !matches!(task, Task::Trial(_)) {
            self.began = Some(Instant::now());
        }
        let ended = match self.start(&task) {
            Ok(child) => self.listen(child, &task).await,
            Err(error) => Ended::failed(format!("starting it: {error}")),
        };
        self.metrics.retrain_running.set(0);
        self.metrics.retrain_progress.set(0.0);
        let pause = match (ended.outcome, &task) {
            (RetrainOutcome::Elsewhere, _) => Some(ELSEWHERE),
            (RetrainOutcome::Failed, Task::Trial(_)) => Some(AFTER_FAULT),
            _ => None,
        };
        self.not_before = pause.map(|pause| Instant::now() + pause);
        if let Some(slot) = slot.filter(|_| ended.outcome == RetrainOutcome::Failed) {
            self.pass(slot);
        }
        if ended.outcome == RetrainOutcome::Elsewhere && matches!(task, Task::Accept(_)) {
            // What the other one does is not what was asked for.
            self.waiting.get_or_insert(task);
        }
        self.conclude(ended);
    }

    /// A slot that was tried in vain is not tried again, by no instance.
    fn pass(&mut self, slot: Timestamp) {
        self.past = self.past.max(slot);
        let passed = tokio::task::block_in_place(|| {
            self.store.change(|ledger, _| {
                ledger.pass(slot);
                Ok(())
            })
        });
        if let Err(error) = passed {
            tracing::warn!("that a slot was tried in vain is not noted: {error}");
        }
    }

    fn start(&self, task: &Task) -> std::io::Result<Child> {
        let mut command = self.ourselves.retrain();
        command
            .args(["--json", "--background"])
            .stdout(Stdio::piped());
        match task {
            Task::Train(Some(slot)) => command.args(["--slot", &slot.to_string()]),
            Task::Train(None) => &mut command,
            Task::Accept(from) => command.args(["--accept", "--from", &from.to_string()]),
            Task::Trial(version) => command.args(["--trial", version]),
        };
        command.spawn()
    }

    /// Follows its progress to its end; kills it when that is asked for.
    async fn listen(&mut self, mut child: Child, task: &Task) -> Ended {
        let Some(output) = child.stdout.take() else {
            return Ended::failed("it has no output".to_owned());
        };
        let mut lines = BufReader::new(output).lines();
        let (mut done, mut cancelled) = (None, false);
        loop {
            tokio::select! {
                line = lines.next_line() => match line {
                    Ok(Some(line)) => match serde_json::from_str(&line) {
                        Ok(Event::Progress { phase, step, steps }) => {
                            self.progress(phase, step, steps);
                        }
                        Ok(Event::Done { outcome, version, refusals, gate }) => {
                            if !gate.is_null() {
                                tracing::info!(%gate, version, "the gate of a retrain");
                            }
                            done = Some((outcome, version, refusals));
                        }
                        Err(error) => tracing::debug!("a line of the retrain: {error}"),
                    },
                    Ok(None) | Err(_) => break,
                },
                order = self.orders.recv(), if !cancelled => match order {
                    Some(Order::Cancel) => {
                        cancelled = true;
                        self.waiting = None;
                        child.start_kill().ok();
                    }
                    Some(Order::Accept(from)) => self.waiting = Some(Task::Accept(from)),
                    Some(Order::Retrain) => match task {
                        Task::Trial(_) => {
                            self.waiting.get_or_insert(Task::Train(None));
                        }
                        // That is what is wanted.
                        Task::Train(_) | Task::Accept(_) => {}
                    },
                    None => return Ended::failed("the daemon ends".to_owned()),
                },
            }
        }
        match (child.wait().await, done) {
            (_, Some(done)) => Ended::of(done),
            (Ok(_), None) if cancelled => Ended::failed("it was cancelled".to_owned()),
            (Ok(status), None) => Ended::failed(unfinished(status)),
            (Err(error), None) => Ended::failed(error.to_string()),
        }
    }

    fn progress(&self, phase: String, step: u64, steps: u64) {
        if steps > 0 {
            self.metrics
                .retrain_progress
                .set(step as f64 / steps as f64);
        }
        if let Some(running) = &mut self.lock().running {
            (running.phase, running.step, running.steps) = (phase, step, steps);
        }
    }

    fn conclude(&self, ended: Ended) {
        let Ended {
            outcome,
            version,
            refusals,
            why,
        } = ended;
        self.metrics.retrains.get(outcome).inc();
        self.metrics.retrain_refusals.set(refusals as i64);
        let named = version.as_deref().unwrap_or("none");
        match outcome {
            RetrainOutcome::Failed => {
                let why = why.as_deref().unwrap_or("no reason given");
                tracing::error!("a retrain failed: {why}; what serves goes on");
            }
            RetrainOutcome::Refused if refusals >= LOUD => tracing::error!(
                "{named} is refused, the {refusals}. in a row: the stream has changed, or is broken; look at \
                 `outlierd models show {named}`, and if the change is rightful, `outlierd retrain --accept`"
            ),
            RetrainOutcome::Refused => {
                tracing::warn!("{named} is refused: `outlierd models show {named}` says why");
            }
            _ => tracing::info!(
                version = named,
                outcome = outcome.as_str(),
                "a retrain ended"
            ),
        }
        let mut shown = self.lock();
        shown.running = None;
        shown.last = Some(Last {
            at: Timestamp::now().to_string(),
            outcome: outcome.as_str(),
            version,
            why,
        });
    }

    fn show_next(&self) {
        let next = self
            .schedule
            .as_ref()
            .and_then(|it| it.next(Timestamp::now()));
        self.lock().next = next.map(|next| next.to_string());
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Retraining> {
        self.shown.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
