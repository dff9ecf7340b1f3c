//! The line as a whole: its threads, their channels, its end.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, Sender, bounded, select, unbounded};
use tokio::sync::watch;

use super::audit::Audit;
use super::consume::Consume;
use super::dealer::Dealer;
use super::delivery::{Delivery, Oversize};
use super::message::Messages;
use super::publish::Publish;
use super::report::Reporter;
use super::sandbox::{Probe, Sandbox};
use super::score::{self, Control, Work};
use super::succession::{Judging, Serving, Succession};
use super::thresholds::{Thresholds, Verdicts};
use super::watch::Watch;
use super::{Batch, LineError, Redaction};
use crate::config::{self, Config};
use crate::detect::Episodes;
use crate::health::{Condition, Health};
use crate::kafka::{Connection, Intake, IntakeError, Origin, Outlet, Topics, Trail};
use crate::metrics::Metrics;

/// Batches waiting in front of each score thread: one to work on while another is filled.
const WAITING: usize = 1;

/// How long a rebalance waits for the line to let go of revoked partitions: half of librdkafka's
/// `max.poll.interval.ms` would be minutes; the classic group's rebalance is held up meanwhile, so
/// that half of the default session timeout is the bound.
const LET_GO: Duration = Duration::from_secs(22);

/// What the line is built from.
pub struct Parts<'a> {
    pub config: &'a Config,
    /// With the secrets of now, which those of `config` may not be any more.
    pub connection: Connection,
    /// The model it begins with.
    pub serving: Arc<Serving>,
    /// How to try records in another process, if that is possible.
    pub probe: Option<Probe>,
    /// What a line before this one learnt of messages too large for a transaction.
    pub oversize: Arc<Oversize>,
    /// What a line before this one has committed.
    pub trail: Arc<Trail>,
    /// Told how many fields drift, the scores among them.
    pub drifting: watch::Sender<usize>,
    /// Told of a model when it has taken over.
    pub succeeded: watch::Sender<Arc<Serving>>,
    pub health: Arc<Health>,
    pub metrics: Arc<Metrics>,
}

/// A running line.
pub struct Line {
    stop: Arc<AtomicBool>,
    abandon: Arc<AtomicBool>,
    consume: JoinHandle<Result<(), LineError>>,
    succeed: Sender<Arc<Succession>>,
    threads: usize,
    /// Models that were sent on their way.
    successions: u64,
}

impl Line {
    /// Connects to Kafka and starts the threads.
    ///
    /// # Errors
    /// When Kafka refuses, a topic is missing, or a thread cannot be started. Nothing has been
    /// consumed then.
    pub fn start(parts: &Parts<'_>) -> Result<Line, LineError> {
        let config = parts.config;
        let outlet = Outlet::new(
            &parts.connection,
            Topics {
                outliers: config.output.topic.clone(),
                dead_letters: config.dead_letter.topic.clone(),
                audit: config.audit.topic.clone(),
            },
            config.delivery.transactional_id(&config.input.group),
            &parts.health,
            &parts.metrics,
        )?;
        let threads = config.line.threads.max(1);
        let (to_score, from_consume): (Vec<_>, Vec<_>) =
            (0..threads).map(|_| bounded(WAITING)).unzip();
        let (to_publish, from_score): (Vec<_>, Vec<_>) =
            (0..threads).map(|_| bounded(WAITING)).unzip();
        let dealer = Dealer::new(to_score);
        let (alive, ended) = bounded(0);
        let intake = join_group(parts, &dealer, ended.clone())?;
        let judging = Judging {
            config,
            serving: &parts.serving,
            metrics: &parts.metrics,
        };
        let verdicts = judging.deciding()?.map(|(budget, judge)| Verdicts {
            thresholds: Thresholds::new(budget, Arc::clone(&parts.metrics)),
            judge,
        });
        for (input, output) in from_consume.into_iter().zip(to_publish) {
            let judge = judging.scoring()?;
            spawn("score", move || {
                score::run(judge, &input, &output);
                Ok(())
            })?;
        }
        // Every batch that can exist at once: one being filled, and those in the channels.
        let (spent, to_reuse) = bounded::<Batch>(2 * threads * WAITING + threads + 2);
        let abandon = Arc::new(AtomicBool::new(false));
        let publish = Publish {
            abandon: Arc::clone(&abandon),
            _alive: alive,
            delivery: Delivery::new(
                outlet,
                Arc::clone(&parts.oversize),
                Arc::clone(&parts.metrics),
            ),
            messages: messages(parts, &intake),
            verdicts,
            audit: config
                .audit
                .topic
                .as_ref()
                .map(|_| Audit::new(&config.input.topic, &parts.serving.version)),
            by: None,
            version: parts.serving.version.clone(),
            succeeded: parts.succeeded.clone(),
            intake: intake.share(),
            inputs: from_score,
            turn: 0,
            spent,
            keep_bytes: 2 * config.line.batch_bytes,
            commit_interval: config.line.commit_interval,
            positions: BTreeMap::new(),
            assigned: Vec::new(),
            uncommitted: Vec::new(),
            reporter: Reporter::new(
                Arc::clone(&parts.metrics),
                Watch::new(
                    &parts.serving.model,
                    Arc::clone(&parts.metrics),
                    parts.drifting.clone(),
                ),
            ),
            health: Arc::clone(&parts.health),
            metrics: Arc::clone(&parts.metrics),
        };
        let publish = spawn("publish", move || publish.run())?;
        let stop = Arc::new(AtomicBool::new(false));
        let (succeed, successors) = unbounded();
        let mut consume = Consume {
            dealer: Arc::clone(&dealer),
            spent: to_reuse,
            line: config::Line {
                batch_rows: parts
                    .serving
                    .device
                    .batch_rows()
                    .unwrap_or(config.line.batch_rows),
                ..config.line.clone()
            },
            stop: Arc::clone(&stop),
            health: Arc::clone(&parts.health),
            metrics: Arc::clone(&parts.metrics),
            batch: Batch::default(),
            successors,
            by: None,
            opened: None,
            expected: BTreeMap::new(),
            on_data_loss: config.input.on_data_loss,
            halted: BTreeSet::new(),
            sandbox: Sandbox::new(parts.probe.clone(), Arc::clone(&parts.health)),
            unsettled: Vec::new(),
            is_anew: false,
            publish_ended: ended.clone(),
            paused: false,
        };
        let (health, metrics) = (Arc::clone(&parts.health), Arc::clone(&parts.metrics));
        let given_up = Arc::clone(&abandon);
        let consume = spawn("consume", move || {
            let consumed = consume.run(&intake);
            // Nobody polls any more: whatever is not durable by now is read again by the next line.
            given_up.fetch_or(consumed.is_err(), Ordering::Relaxed);
            // Without input the score threads end, then the publish thread, each when it is done.
            dealer.lock().unwrap_or_else(PoisonError::into_inner).end();
            let published = join("publish", publish);
            health.set(Condition::Assignment, Err("the line has ended".into()));
            health.set(Condition::HaltedPartitions, Ok(()));
            health.committed();
            metrics.assigned_partitions.set(0);
            metrics.halted_partitions.set(0);
            intake.leave(Duration::from_secs(5));
            // The first cause: a broken publish thread is why the consume thread found no taker, and else the publish
            // thread has only given up what nobody would go on with.
            match consumed {
                Err(LineError::Broken) | Ok(()) => published.and(consumed),
                consumed => consumed,
            }
        })?;
        Ok(Line {
            stop,
            abandon,
            consume,
            succeed,
            threads,
            successions: 0,
        })
    }

    /// Has `serving` take over between two batches; configuration and metrics are those that the line was started with.
    /// Until then the model before goes on. That the new one serves is told through [`Parts::succeeded`].
    ///
    /// # Errors
    /// The model's weights do not have its shape. Nothing has changed then.
    pub fn succeed(
        &mut self,
        config: &Config,
        serving: &Arc<Serving>,
        metrics: &Arc<Metrics>,
    ) -> Result<(), LineError> {
        let number = self.successions + 1;
        let judging = Judging {
            config,
            serving,
            metrics,
        };
        let succession = Succession::prepare(number, &judging, self.threads)?;
        self.successions = number;
        // A line that has ended starts over with the new model.
        self.succeed.send(Arc::new(succession)).ok();
        Ok(())
    }

    /// Asks the line to finish what it holds and to end.
    pub fn stop(&self) {
        self.stop.store(true, Ordering::Relaxed);
    }

    /// Asks a line that was asked to stop not to finish what it holds.
    pub fn abandon(&self) {
        self.abandon.store(true, Ordering::Relaxed);
    }

    pub fn has_ended(&self) -> bool {
        self.consume.is_finished()
    }

    /// Waits until the line has ended.
    ///
    /// # Errors
    /// Why it ended, if it was not asked to or could not finish.
    pub fn join(self) -> Result<(), LineError> {
        join("consume", self.consume)
    }
}

fn join_group(
    parts: &Parts<'_>,
    dealer: &Arc<std::sync::Mutex<Dealer>>,
    publish_ended: Receiver<()>,
) -> Result<Intake, IntakeError> {
    let dealer = Arc::clone(dealer);
    let let_go = move |partitions: &[i32]| {
        let deadline = Instant::now() + LET_GO;
        let (acknowledge, acknowledged) = bounded(1);
        let revoked = Work::Control(Control::Revoked {
            partitions: partitions.to_vec(),
            acknowledge,
        });
        let dealt = dealer
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .deal_or_owe(revoked, LET_GO);
        // A message lies in its channel until both ends are gone: that nobody takes it out any more is said apart.
        let answered = || {
            select! {
                recv(acknowledged) -> answer => answer.is_ok(),
                recv(publish_ended) -> _ => false,
                default(deadline.saturating_duration_since(Instant::now())) => false,
            }
        };
        let in_time = dealt && answered();
        if !in_time {
            tracing::warn!(
                ?partitions,
                "the line did not let go of revoked partitions in time: their next owner repeats \
                 what was not committed"
            );
        }
    };
    let offsets = &parts.serving.model.provenance.offsets;
    Intake::join(
        &parts.connection,
        &parts.config.input,
        offsets
            .iter()
            .map(|&(partition, _, next)| (partition, next))
            .collect(),
        &parts.trail,
        &parts.health,
        &parts.metrics,
        Box::new(let_go),
    )
}

fn messages(parts: &Parts<'_>, intake: &Intake) -> Messages {
    let config = parts.config;
    Messages::new(
        Origin {
            cluster: intake.cluster().to_owned(),
            topic: config.input.topic.clone(),
            topic_id: intake.topic_id().cloned(),
        },
        Redaction::new(&config.output, &config.input, &config.fields),
        config.dead_letter.payload,
        Episodes::new(config.detect.episode_gap),
        &parts.serving.model,
        &parts.serving.version,
    )
}

type Ending = Result<(), LineError>;

fn spawn(
    name: &'static str,
    run: impl FnOnce() -> Ending + Send + 'static,
) -> Result<JoinHandle<Ending>, LineError> {
    std::thread::Builder::new()
        .name(name.into())
        .spawn(run)
        .map_err(|source| LineError::Thread(name, source))
}

fn join(name: &'static str, thread: JoinHandle<Ending>) -> Ending {
    thread.join().unwrap_or(Err(LineError::Panicked(name)))
}
