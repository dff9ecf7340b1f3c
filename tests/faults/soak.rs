//! Load for long, and a fault every so often: what is lost, how late outliers come, whether memory grows.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rustix::process::Signal;

use crate::cells::stop;
use crate::harness::{Outlierd, Setup, until};
use crate::latency::{latencies, percentiles};
use crate::load::Load;
use crate::proxy::{Harm, Plan, Request};
use crate::resources::memory_kib;
use crate::scene::{Mode, Scene};
use crate::verifier::verify;

/// Records a second.
const RATE: usize = 500;

/// Between the end of a fault and the next.
const CALM: Duration = Duration::from_secs(15);

/// What is fed in this time before a fault or after it counts as disturbed.
const DISTURBED: Duration = Duration::from_secs(12);

const FAULTS: [&str; 7] = [
    "SIGKILL",
    "SIGTERM",
    "SIGSTOP for 6 s",
    "broker paused for 3 s",
    "broker killed",
    "outliers refused for 5 s",
    "requests harmed",
];

/// Runs for `time`, prints what came of it, and says whether all was kept.
pub fn soak(scene: &mut Scene<'_>, time: Duration) -> bool {
    let mut random = ChaCha8Rng::seed_from_u64(11);
    let load = Load::start(
        &scene.cluster.address,
        &scene.topic(""),
        &scene.stream,
        RATE,
    );
    let proxy = scene
        .cluster
        .proxy
        .as_ref()
        .expect("brokers of our own")
        .address;
    let setup = scene.instance("steady");
    let steady = Outlierd::start(&setup);
    let harmed = scene
        .instance("harmed")
        .set("kafka", "brokers", &format!("{:?}", proxy.to_string()))
        .set("kafka.properties", "socket.timeout.ms", "\"3000\"");
    let mut daemon = Outlierd::start(&harmed);
    let (mut fired, mut when) = (BTreeMap::<&str, usize>::new(), Vec::new());
    let mut memory = Vec::new();
    let began = Instant::now();
    while began.elapsed() < time {
        let calm = Instant::now();
        while calm.elapsed() < CALM {
            memory.push((
                began.elapsed().as_secs_f64(),
                memory_kib(steady.id(), "VmRSS") as f64,
            ));
            std::thread::sleep(Duration::from_secs(1));
        }
        let fault = FAULTS[random.random_range(0..FAULTS.len())];
        let from = Instant::now();
        daemon = strike(scene, fault, daemon, &harmed, &mut random);
        when.push((from, Instant::now()));
        *fired.entry(fault).or_default() += 1;
    }
    let fed = load.end();
    let count = fed.last().map_or(0, |(count, _)| *count);
    until("all records", || (scene.committed() >= count).then_some(()));
    let restarts = steady.metric("outlierd_line_restarts_total");
    for mut daemon in [steady, daemon] {
        stop(&mut daemon);
    }
    let seen = scene.witnessed();
    let expected = scene.stream.cycled(count);
    let (outliers, dead) = (scene.topic(".outliers"), scene.topic(".dead-letters"));
    let findings = verify(&expected, &scene.client, &outliers, &dead);
    let (mut calm, mut all) = (Vec::new(), Vec::new());
    for (fed, latency) in latencies(&fed, &seen) {
        all.push(latency);
        let is_near =
            |(from, to): &(Instant, Instant)| fed + DISTURBED > *from && fed < *to + DISTURBED;
        if !when.iter().any(is_near) {
            calm.push(latency);
        }
    }
    println!(
        "{}: {count} records in {:.0} s",
        scene.mode.name(),
        time.as_secs_f64()
    );
    println!("  faults: {fired:?}; {restarts} restarts of the steady instance's line");
    println!(
        "  lost {}, made up {}, told twice {}, out of order {}, told wrongly {}",
        findings.lost,
        findings.phantoms,
        findings.duplicated,
        findings.out_of_order,
        findings.wrong.len()
    );
    println!("  record to outlier, read committed: {}", percentiles(all));
    println!("  the same, away from faults: {}", percentiles(calm));
    println!("  memory of the steady instance: {}", trend(&memory));
    findings.fault(scene.mode == Mode::ExactlyOnce).is_none()
}

fn strike(
    scene: &mut Scene<'_>,
    fault: &str,
    mut daemon: Outlierd,
    setup: &Setup,
    random: &mut ChaCha8Rng,
) -> Outlierd {
    let wait = |seconds| std::thread::sleep(Duration::from_secs(seconds));
    match fault {
        "SIGKILL" => {
            daemon.kill();
            return Outlierd::start(setup);
        }
        "SIGTERM" => {
            stop(&mut daemon);
            return Outlierd::start(setup);
        }
        "SIGSTOP for 6 s" => {
            daemon.signal(Signal::STOP);
            wait(6);
            daemon.signal(Signal::CONT);
            wait(2);
        }
        "broker paused for 3 s" => {
            scene.cluster.signal(0, Signal::STOP);
            wait(3);
            scene.cluster.signal(0, Signal::CONT);
        }
        "broker killed" => scene.cluster.restart(0),
        "outliers refused for 5 s" => {
            scene.refuse_outliers(true);
            wait(5);
            scene.refuse_outliers(false);
        }
        _ => {
            let requests = [
                Request::Produce,
                Request::OffsetCommit,
                Request::EndTxn,
                Request::TxnOffsetCommit,
                Request::ConsumerGroupHeartbeat,
            ];
            let second = Duration::from_secs(1);
            let harms = [
                Harm::Cut,
                Harm::Unanswered,
                Harm::Swallowed,
                Harm::Delayed(second),
                Harm::Late(second),
            ];
            let proxy = scene.cluster.proxy.as_ref().unwrap();
            proxy.arm(Plan {
                request: requests[random.random_range(0..requests.len())],
                harm: harms[random.random_range(0..harms.len())],
                skip: 0,
                every: 2,
                times: 3,
            });
            wait(8);
            proxy.disarm();
        }
    }
    // One that was fenced has ended, as it should: somebody starts it again.
    match daemon.is_running() {
        true => daemon,
        false => Outlierd::start(setup),
    }
}

/// Least squares over all but the first tenth, in which caches fill.
fn trend(memory: &[(f64, f64)]) -> String {
    let memory = &memory[memory.len() / 10..];
    let count = memory.len() as f64;
    let mean = |value: fn(&(f64, f64)) -> f64| memory.iter().map(value).sum::<f64>() / count;
    let (time, size) = (mean(|it| it.0), mean(|it| it.1));
    let (mut both, mut square) = (0.0, 0.0);
    for &(at, kib) in memory {
        both += (at - time) * (kib - size);
        square += (at - time).powi(2);
    }
    format!(
        "{:.1} MiB on average, {:+.2} MiB an hour",
        size / 1024.0,
        both / square * 3600.0 / 1024.0
    )
}
