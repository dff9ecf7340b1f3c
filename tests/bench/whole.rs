//! The whole line: the daemon as `outlierd run` starts it, in this process, against the feed.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{bail, ensure};
use outlierd::daemon::{Daemon, Signals};
use outlierd::metrics::{Disposition, Metrics};
use outlierd::registry::Stored;
use tokio::runtime::Runtime;

use super::feed::Feed;
use super::report::Figure;
use super::{allocations, clock, stream, threads};

/// As fast as the line takes them.
const FAST: Load = Load {
    name: "line at full speed",
    warm_up: 300_000,
    records: 2_400_000,
    rate: 10_000_000,
};

/// With room to spare: latency, and what smaller batches cost.
const PACED: Load = Load {
    name: "line at 50,000/s",
    warm_up: 50_000,
    records: 300_000,
    rate: 50_000,
};

/// The measured part of a load is cut into so many slices.
const SLICES: u64 = 8;

const LOOK: Duration = Duration::from_millis(10);
const PATIENCE: Duration = Duration::from_secs(40);

struct Load {
    name: &'static str,
    /// The first of the records, which do not count.
    warm_up: u64,
    records: u64,
    rate: u64,
}

/// This process at one moment.
struct Moment {
    at: Instant,
    done: u64,
    cpu: u64,
    resident: u64,
    allocations: u64,
    threads: BTreeMap<String, u64>,
}

pub fn measure(folder: &Path, model: &Stored) -> anyhow::Result<Vec<Figure>> {
    let mut feed = Feed::start()?;
    let config = Arc::new(stream::config(folder, feed.brokers())?);
    let runtime = Runtime::new()?;
    let (daemon, mut signals) = runtime.block_on(async {
        let mut signals = Signals::listen()?;
        let daemon = Daemon::start(config, model.clone(), None, &mut signals).await?;
        anyhow::Ok((daemon, signals))
    })?;
    let metrics = Arc::clone(daemon.metrics());
    wait_for_partitions(&metrics)?;
    let mut figures = Vec::new();
    for load in [FAST, PACED] {
        figures.extend(load.measure(&mut feed, &metrics)?);
    }
    signals.raise();
    runtime.block_on(daemon.run(&mut signals))?;
    Ok(figures)
}

fn wait_for_partitions(metrics: &Metrics) -> anyhow::Result<()> {
    let began = Instant::now();
    while metrics.assigned_partitions.get() != i64::from(stream::PARTITIONS) {
        ensure!(began.elapsed() < PATIENCE, "no partitions were assigned");
        std::thread::sleep(LOOK);
    }
    Ok(())
}

/// Records with a durable disposition.
fn done(metrics: &Metrics) -> u64 {
    let count = |&disposition| metrics.records.get(disposition).get();
    Disposition::ALL.iter().map(count).sum()
}

impl Load {
    fn measure(&self, feed: &mut Feed, metrics: &Metrics) -> anyhow::Result<Vec<Figure>> {
        let before = done(metrics);
        feed.feed(self.records, self.rate)?;
        let slice = (self.records - self.warm_up) / SLICES;
        let (began, mut moments, mut peak) = (Instant::now(), Vec::new(), 0);
        let mut latency = BTreeMap::new();
        loop {
            std::thread::sleep(LOOK);
            let all = done(metrics);
            feed.done(all)?;
            sound(metrics)?;
            let done = all - before;
            peak = peak.max(clock::resident());
            if moments.is_empty() {
                latency = latencies(metrics)?;
            }
            if done >= self.warm_up + slice * moments.len() as u64 || done == self.records {
                moments.push(Moment::now(done));
            }
            if done >= self.records {
                ensure!(
                    done == self.records,
                    "{done} records came of {}",
                    self.records
                );
                break;
            }
            if began.elapsed() > PATIENCE {
                bail!(
                    "{}: {done} of {} records in {PATIENCE:?}",
                    self.name,
                    self.records
                );
            }
        }
        let latency = Latency::between(&latency, &latencies(metrics)?);
        Ok(self.figures(&moments, peak, &latency))
    }

    fn figures(&self, moments: &[Moment], peak: u64, latency: &Latency) -> Vec<Figure> {
        let over_slices = |of: &dyn Fn(&Moment, &Moment) -> f64| -> Vec<f64> {
            let slices = moments
                .windows(2)
                .filter(|pair| pair[1].done > pair[0].done);
            slices.map(|pair| of(&pair[0], &pair[1])).collect()
        };
        let figure =
            |name: &str, unit, values| Figure::new(format!("{}: {name}", self.name), unit, values);
        let records = |a: &Moment, b: &Moment| (b.done - a.done) as f64;
        let cpu_us = |a: &Moment, b: &Moment| (b.cpu - a.cpu) as f64 / 1000.0 / records(a, b);
        let mib = |bytes: u64| bytes as f64 / f64::from(1 << 20);
        let seconds = |a: &Moment, b: &Moment| (b.at - a.at).as_secs_f64();
        let mut figures = vec![
            figure(
                "records",
                "a second",
                over_slices(&|a, b| records(a, b) / seconds(a, b)),
            ),
            figure("CPU a record", "us", over_slices(&cpu_us)),
            figure(
                "records a core",
                "a second",
                over_slices(&|a, b| 1e6 / cpu_us(a, b)),
            ),
        ];
        for name in moments
            .first()
            .iter()
            .flat_map(|moment| moment.threads.keys())
        {
            let spent = |moment: &Moment| moment.threads.get(name).copied().unwrap_or(0);
            let us = |a: &Moment, b: &Moment| {
                spent(b).saturating_sub(spent(a)) as f64 / 1000.0 / records(a, b)
            };
            figures.push(figure(&format!("  {name}"), "us", over_slices(&us)));
        }
        let allocated =
            |a: &Moment, b: &Moment| (b.allocations - a.allocations) as f64 / records(a, b);
        figures.push(figure("allocations", "a record", over_slices(&allocated)));
        let resident = moments.iter().map(|moment| mib(moment.resident));
        figures.push(figure("memory", "MiB", resident.collect()));
        figures.push(figure("memory at its peak", "MiB", vec![mib(peak)]));
        let last = moments.last().map_or(0, |moment| moment.resident);
        figures.push(figure("memory at the end", "MiB", vec![mib(last)]));
        if self.rate <= 1_000_000 {
            figures.push(figure("latency p50, at most", "ms", vec![latency.p50_ms]));
            figures.push(figure("latency p99, at most", "ms", vec![latency.p99_ms]));
        }
        figures
    }
}

impl Moment {
    fn now(done: u64) -> Moment {
        Moment {
            at: Instant::now(),
            done,
            cpu: clock::process_cpu(),
            resident: clock::resident(),
            allocations: allocations::count(),
            threads: threads::cpu(),
        }
    }
}

/// Nothing was lost, and nothing was refused: else the figures are those of something else.
fn sound(metrics: &Metrics) -> anyhow::Result<()> {
    let (lost, halted) = (metrics.records_lost.get(), metrics.halted_partitions.get());
    ensure!(
        lost == 0 && halted == 0,
        "{lost} records were lost: the feed was too fast"
    );
    let dead = metrics.records.get(Disposition::DeadLetter).get();
    ensure!(dead == 0, "{dead} records were dead letters");
    Ok(())
}

/// From a record's timestamp until its verdict is durable, for the oldest and the newest record of
/// each batch: the bounds of the line's own histogram.
struct Latency {
    p50_ms: f64,
    p99_ms: f64,
}

impl Latency {
    fn between(before: &BTreeMap<u64, u64>, after: &BTreeMap<u64, u64>) -> Latency {
        let counts: Vec<(u64, u64)> = after
            .iter()
            .map(|(bound, count)| (*bound, count - before.get(bound).copied().unwrap_or(0)))
            .collect();
        let all = counts.last().map_or(0, |(_, count)| *count) as f64;
        let at = |share: f64| {
            let reached = counts
                .iter()
                .find(|(_, count)| *count as f64 >= share * all);
            reached.map_or(f64::NAN, |(bound, _)| *bound as f64)
        };
        Latency {
            p50_ms: at(0.5),
            p99_ms: at(0.99),
        }
    }
}

/// The histogram's bounds in milliseconds, and how many observations were at most that.
fn latencies(metrics: &Metrics) -> anyhow::Result<BTreeMap<u64, u64>> {
    let text = metrics.render()?;
    let bucket = |line: &str| {
        let rest = line.strip_prefix("outlierd_end_to_end_seconds_bucket{le=\"")?;
        let (bound, count) = rest.split_once("\"} ")?;
        let bound: f64 = bound.parse().ok()?;
        Some(((bound * 1000.0) as u64, count.parse().ok()?))
    };
    Ok(text.lines().filter_map(bucket).collect())
}
