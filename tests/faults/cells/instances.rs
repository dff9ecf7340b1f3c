//! Instances that are killed, stopped, stand still, come, go, or get in each other's way.

use rustix::process::Signal;

use crate::harness::{Outlierd, Setup, until};
use crate::load::Load;
use crate::resources::memory_kib;
use crate::scene::{Mode, Scene};
use crate::stream::{PARTITIONS, POISON};

/// More than an instance ever needs here, whatever the fault: some 70 to 120 MiB.
const MEMORY_MIB: u64 = 300;

pub fn undisturbed(scene: &mut Scene<'_>) -> String {
    scene.feed(1.0);
    let mut daemon = Outlierd::start_ready(&scene.instance("a"));
    scene.wait_all();
    stop(&mut daemon);
    "nothing was to fire".into()
}

/// Killed three times in the middle of its work.
pub fn sigkill(scene: &mut Scene<'_>) -> String {
    let setup = scene.instance("a");
    let ends = ended_at(scene, &setup, &[0.1, 0.35, 0.6], |_, daemon| daemon.kill());
    format!("killed at {ends}")
}

/// Told to stop in the middle of its work.
pub fn sigterm(scene: &mut Scene<'_>) -> String {
    let setup = scene.instance("a");
    let ends = ended_at(scene, &setup, &[0.2, 0.5], |_, mut daemon| {
        stop(&mut daemon)
    });
    format!("stopped at {ends}")
}

/// An instance with `setup` is ended when so much is committed, again and again, and then left to finish; says where.
pub fn ended_at(
    scene: &mut Scene<'_>,
    setup: &Setup,
    shares: &[f64],
    end: impl Fn(&Scene<'_>, Outlierd),
) -> String {
    scene.feed(1.0);
    let mut ends = Vec::new();
    for &share in shares {
        let daemon = Outlierd::start(setup);
        scene.wait_committed(share);
        end(scene, daemon);
        let committed = scene.committed();
        assert!(committed < scene.stream.len(), "the end came too late");
        ends.push(committed.to_string());
    }
    let mut daemon = Outlierd::start(setup);
    scene.heal();
    scene.wait_all();
    stop(&mut daemon);
    ends.join(", ")
}

/// Stands still for longer than its session; another instance takes its partitions.
pub fn sigstop(scene: &mut Scene<'_>) -> String {
    scene.feed(0.7);
    let mut still = Outlierd::start(&scene.instance("a"));
    scene.wait_committed(0.1);
    still.signal(Signal::STOP);
    let mut other = Outlierd::start(&scene.instance("b"));
    scene.wait_assigned(&other, PARTITIONS as u64);
    scene.wait_committed(0.7);
    still.signal(Signal::CONT);
    scene.heal();
    scene.feed_rest(0.7);
    scene.wait_all();
    // If it stood still in a transaction, the coordinator gave that up, and nothing of it may come after.
    let fenced = !still.is_running();
    if fenced {
        assert_eq!(scene.mode, Mode::ExactlyOnce);
        assert_fenced(&mut still);
    } else {
        stop(&mut still);
    }
    stop(&mut other);
    format!("the other instance got all partitions; fenced: {fenced}")
}

/// Instances join and leave while there is work.
pub fn come_and_go(scene: &mut Scene<'_>) -> String {
    scene.feed(0.5);
    let mut stays = Outlierd::start(&scene.instance("a"));
    scene.wait_committed(0.05);
    let mut goes = Outlierd::start(&scene.instance("b"));
    scene.wait_assigned(&goes, PARTITIONS as u64 / 2);
    scene.feed_rest(0.5);
    until("work of the second instance", || {
        (goes.records() > 0).then_some(())
    });
    stop(&mut goes);
    scene.heal();
    scene.wait_all();
    let revoked = stays.metric("outlierd_rebalances_total{kind=\"revoked\"}");
    // A transaction that the cluster refused in the middle of a rebalance has the line start over.
    let restarts = stays.metric("outlierd_line_restarts_total");
    assert!(revoked + restarts > 0, "nothing was revoked");
    stop(&mut stays);
    format!("{revoked} revocations, {restarts} restarts of the line")
}

/// Another instance comes and goes while records keep coming: what is in hand of a partition that goes is its next owner's.
pub fn moved_under_load(scene: &mut Scene<'_>) -> String {
    /// Records a second; a batch of them is in hand most of the time.
    const RATE: usize = 2000;
    const TIMES: u64 = 6;
    let setups = ["a", "b"].map(|name| {
        let setup = scene.instance(name).set("line", "batch_rows", "1000");
        setup.set("line", "batch_age", "\"200ms\"")
    });
    let mut stays = Outlierd::start_ready(&setups[0]);
    let address = scene.cluster.address.clone();
    let load = Load::start(&address, &scene.topic(""), &scene.stream, RATE);
    for _ in 0..TIMES {
        let mut goes = Outlierd::start(&setups[1]);
        scene.wait_assigned(&goes, PARTITIONS as u64 / 2);
        stop(&mut goes);
        scene.wait_assigned(&stays, PARTITIONS as u64);
    }
    let count = load.end().last().map_or(0, |(count, _)| *count);
    scene.stream = scene.stream.cycled(count);
    scene.heal();
    scene.wait_all();
    let revoked = stays.metric("outlierd_rebalances_total{kind=\"revoked\"}");
    let restarts = stays.metric("outlierd_line_restarts_total");
    assert!(
        revoked + restarts >= TIMES,
        "{revoked} revocations, {restarts} restarts"
    );
    stop(&mut stays);
    format!("{revoked} revocations over {count} records, {restarts} restarts of the line")
}

/// Three instances, each stopped and started again in turn.
pub fn rolling_restart(scene: &mut Scene<'_>) -> String {
    let setups = ["a", "b", "c"].map(|instance| scene.instance(instance));
    let mut daemons: Vec<Outlierd> = setups.iter().map(Outlierd::start).collect();
    let assigned = |daemon: &Outlierd| daemon.metric("outlierd_assigned_partitions");
    until("a share for each", || {
        let all: u64 = daemons.iter().map(assigned).sum();
        (all == PARTITIONS as u64 && daemons.iter().all(|daemon| assigned(daemon) > 0))
            .then_some(())
    });
    scene.feed(0.25);
    for turn in 0..setups.len() {
        stop(&mut daemons[turn]);
        daemons[turn] = Outlierd::start(&setups[turn]);
        let from = 0.25 * (turn + 1) as f64;
        let rows = (scene.stream.len() as f64 * from) as usize
            ..(scene.stream.len() as f64 * (from + 0.25)) as usize;
        scene.feed_range(rows);
    }
    scene.heal();
    scene.wait_all();
    daemons.iter_mut().for_each(stop);
    "three restarts".into()
}

/// The oldest way to assign partitions: all are taken away at each rebalance.
pub fn range(scene: &mut Scene<'_>) -> String {
    scene.strategy = Some("range");
    come_and_go(scene)
}

/// Members that keep their partitions over a restart.
pub fn static_members(scene: &mut Scene<'_>) -> String {
    scene.is_static = true;
    rolling_restart(scene)
}

/// A second instance with the name of the first: the first one ends, and says both causes.
pub fn one_name_twice(scene: &mut Scene<'_>) -> String {
    scene.feed(0.5);
    let mut first = Outlierd::start(&scene.instance("a"));
    scene.wait_committed(0.05);
    let mut second = Outlierd::start(&scene.instance("a"));
    scene.feed_rest(0.5);
    let said = assert_fenced(&mut first);
    scene.heal();
    scene.wait_all();
    stop(&mut second);
    said
}

/// It stands still for longer than a transaction may take: it ends, and the next one goes on.
pub fn transaction_expires(scene: &mut Scene<'_>) -> String {
    let setup = scene
        .instance("a")
        .set("kafka.properties", "transaction.timeout.ms", "\"1000\"");
    scene.feed(1.0);
    let mut still = Outlierd::start(&setup);
    // A stop may fall between two transactions: so it is stopped until it was in one. It stands still for less than
    // its session, or it would lose its partitions first.
    loop {
        let committed = scene.committed();
        assert!(
            committed < scene.stream.len(),
            "no stop fell into a transaction"
        );
        until("work after a stop", || {
            (!still.is_running() || scene.committed() > committed).then_some(())
        });
        if !still.is_running() {
            break;
        }
        still.signal(Signal::STOP);
        // Time is the fault: a transaction may take 1 s, and the coordinator looks every half second.
        std::thread::sleep(std::time::Duration::from_millis(2200));
        still.signal(Signal::CONT);
    }
    let said = assert_fenced(&mut still);
    let mut next = Outlierd::start(&setup);
    scene.heal();
    scene.wait_all();
    stop(&mut next);
    said
}

#[track_caller]
fn assert_fenced(daemon: &mut Outlierd) -> String {
    let status = daemon.wait();
    let said = daemon.stderr();
    assert_eq!(status.code(), Some(1), "{said}");
    for cause in ["delivery.instance", "transaction.timeout.ms"] {
        assert!(said.contains(cause), "{cause} is not named: {said}");
    }
    "fenced, exit status 1".into()
}

/// Records that end the process, on one partition of a group of two: one instance dies of them, and no other.
pub fn poison(scene: &mut Scene<'_>) -> String {
    let partitions = PARTITIONS as usize;
    scene
        .stream
        .poison(&[1000, 1001, 3000].map(|nth| nth * partitions));
    scene.planted.get_or_insert(format!("crash:{POISON}"));
    scene.feed(1.0);
    let setups = ["a", "b"].map(|name| scene.instance(name));
    let mut daemons = setups.each_ref().map(Outlierd::start);
    until("the death of one", || {
        daemons
            .iter_mut()
            .any(|daemon| !daemon.is_running())
            .then_some(())
    });
    scene.heal();
    scene.wait_all();
    let living: Vec<&mut Outlierd> = daemons
        .iter_mut()
        .filter_map(|daemon| daemon.is_running().then_some(daemon))
        .collect();
    assert_eq!(living.len(), 1, "more than one died");
    living.into_iter().for_each(stop);
    "one of two instances died of three records".into()
}

#[track_caller]
pub fn stop(daemon: &mut Outlierd) {
    let peak = memory_kib(daemon.id(), "VmHWM") / 1024;
    assert!(peak < MEMORY_MIB, "it took {peak} MiB");
    let status = daemon.terminate();
    assert!(status.success(), "{status}: {}", daemon.stderr());
}
