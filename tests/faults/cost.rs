//! What the guarantees cost: throughput, processor time and latency beside a bare consumer loop, in turns on one cluster.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use rdkafka::ClientConfig;
use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer};
use rustix::time::{ClockId, clock_gettime};

use crate::cells::stop;
use crate::cluster::Cluster;
use crate::harness::{Outlierd, until};
use crate::latency::{latencies, percentiles};
use crate::load::Load;
use crate::resources::processor_time;
use crate::scene::{Mode, Scene};

const RECORDS: usize = 400_000;
const ROUNDS: usize = 3;

/// For latency: records a second, for how long.
const RATE: usize = 2000;
const LONG: Duration = Duration::from_secs(20);

/// How long a commit lets records wait, in milliseconds.
const INTERVALS: [u32; 4] = [50, 100, 200, 500];

/// Prints everything.
pub fn cost(cluster: &mut Cluster) {
    println!("| | records a second | CPU a record, us |");
    println!("| --- | --- | --- |");
    let mut runs = BTreeMap::<&str, Vec<(f64, f64)>>::new();
    for _ in 0..ROUNDS {
        let scene = filled(cluster, Mode::AtLeastOnce);
        runs.entry("bare consumer").or_default().push(bare(&scene));
        let took = throughput(&scene);
        runs.entry("at least once").or_default().push(took);
        scene.end();
        let scene = filled(cluster, Mode::ExactlyOnce);
        let took = throughput(&scene);
        runs.entry("exactly once").or_default().push(took);
        scene.end();
    }
    for (name, runs) in &mut runs {
        runs.sort_by(|a, b| a.0.total_cmp(&b.0));
        let (rate, processor) = runs[runs.len() / 2];
        println!("| {name} | {rate:.0} | {processor:.2} |");
    }
    println!("\n| mode | commit_interval, ms | record to outlier, read committed |");
    println!("| --- | --- | --- |");
    for interval in INTERVALS {
        for mode in [Mode::AtLeastOnce, Mode::ExactlyOnce] {
            let latency = latency(cluster, mode, interval);
            println!("| {} | {interval} | {latency} |", mode.name());
        }
    }
}

/// With all records on the input topic.
fn filled(cluster: &mut Cluster, mode: Mode) -> Scene<'_> {
    let mut scene = Scene::new(cluster, "cost", mode, 20_000, 0, "1048588");
    for _ in 0..RECORDS / scene.stream.len() {
        scene.feed(1.0);
    }
    scene.stream = scene.stream.cycled(RECORDS);
    scene
}

/// Polls all records and commits now and then, and does nothing else.
fn bare(scene: &Scene<'_>) -> (f64, f64) {
    let consumer: BaseConsumer = ClientConfig::new()
        .set("bootstrap.servers", &scene.cluster.address)
        .set("group.id", "bare")
        .set("enable.auto.commit", "false")
        .set("auto.offset.reset", "earliest")
        .set("check.crcs", "true")
        .create()
        .unwrap();
    consumer.subscribe(&[&scene.topic("")]).unwrap();
    let processor = || Duration::try_from(clock_gettime(ClockId::ProcessCPUTime)).unwrap();
    let (mut began, mut used) = (Instant::now(), processor());
    let (mut count, mut committed) = (0, Instant::now());
    while count < RECORDS {
        if let Some(message) = consumer.poll(Duration::from_millis(100)) {
            message.unwrap();
            if count == 0 {
                (began, used) = (Instant::now(), processor());
            }
            count += 1;
            if committed.elapsed() > Duration::from_millis(200) {
                committed = Instant::now();
                consumer.commit_consumer_state(CommitMode::Async).unwrap();
            }
        }
    }
    consumer.commit_consumer_state(CommitMode::Sync).unwrap();
    per_record(began.elapsed(), processor() - used)
}

/// From the first record to the last commit.
fn throughput(scene: &Scene<'_>) -> (f64, f64) {
    let setup = scene.instance("a").set("line", "batch_rows", "1024").set(
        "line",
        "commit_interval",
        "\"200ms\"",
    );
    let mut daemon = Outlierd::start(&setup);
    let (mut began, mut used) = (Instant::now(), Duration::ZERO);
    until("the first records", || {
        (began, used) = (Instant::now(), processor_time(daemon.id()));
        (daemon.metric("outlierd_assigned_partitions") > 0).then_some(())
    });
    until("all records", || {
        (scene.committed() >= RECORDS).then_some(())
    });
    let took = per_record(began.elapsed(), processor_time(daemon.id()) - used);
    stop(&mut daemon);
    took
}

fn per_record(took: Duration, processor: Duration) -> (f64, f64) {
    let count = RECORDS as f64;
    (
        count / took.as_secs_f64(),
        processor.as_secs_f64() * 1e6 / count,
    )
}

fn latency(cluster: &mut Cluster, mode: Mode, interval: u32) -> String {
    let mut scene = Scene::new(cluster, "cost", mode, 20_000, 0, "1048588");
    let setup = scene
        .instance("a")
        .set("line", "commit_interval", &format!("\"{interval}ms\""));
    let mut daemon = Outlierd::start_ready(&setup);
    let topic = scene.topic("");
    let load = Load::start(&scene.cluster.address, &topic, &scene.stream, RATE);
    // Time is what is measured.
    std::thread::sleep(LONG);
    let fed = load.end();
    let count = fed.last().map_or(0, |(count, _)| *count);
    until("all records", || (scene.committed() >= count).then_some(()));
    stop(&mut daemon);
    let seen = scene.witnessed();
    let latencies = latencies(&fed, &seen);
    percentiles(latencies.into_iter().map(|(_, latency)| latency).collect())
}
