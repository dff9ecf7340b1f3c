//! The faults. Each returns what shows that it fired.

use rustix::process::Signal;

use crate::cluster::Kind;
use crate::disturbed;
use crate::harness::{Outlierd, until};
use crate::scene::{Mode, Scene};
use crate::security;
use crate::stream::{PARTITIONS, POISON};

use Mode::{AtLeastOnce, ExactlyOnce};

/// More than an instance ever needs here, whatever the fault: some 70 to 120 MiB.
const MEMORY_MIB: u64 = 300;

const BOTH: &[Mode] = &[AtLeastOnce, ExactlyOnce];

/// Defects that a daemon is given, and the cell and mode that must notice each.
pub const PLANTED: [(&str, &str, Mode); 6] = [
    ("drop-some", "undisturbed", AtLeastOnce),
    ("skip-dead-letter", "undisturbed", AtLeastOnce),
    ("commit-before-delivery", "output-refused", AtLeastOnce),
    ("offsets-apart", "sigkill", ExactlyOnce),
    ("reuse-producer", "end-late", ExactlyOnce),
    ("keep-revoked", "come-and-go", AtLeastOnce),
];

/// One row of the matrix.
pub struct Cell {
    pub name: &'static str,
    pub modes: &'static [Mode],
    /// Whether it belongs to the quick part.
    pub quick: bool,
    /// Whether a message may come twice where nothing promises that it does not.
    pub may_repeat: bool,
    /// Whether the group uses the classic protocol, in which members assign partitions, and not the newer one.
    pub classic: bool,
    /// Whether the daemons keep an audit, which is then held against the stream.
    pub audited: bool,
    /// Whether it kills or stops brokers.
    pub needs_nodes: bool,
    pub kind: Kind,
    /// One outlier in so many is long, and what the topic takes, in bytes.
    pub long: Option<(usize, &'static str)>,
    pub run: fn(&mut Scene<'_>) -> String,
}

const PLAIN: Cell = Cell {
    name: "",
    modes: BOTH,
    quick: false,
    may_repeat: true,
    classic: false,
    audited: false,
    needs_nodes: false,
    kind: Kind::One,
    long: None,
    run: undisturbed,
};

pub const CELLS: [Cell; 47] = [
    Cell {
        name: "undisturbed",
        may_repeat: false,
        quick: true,
        ..PLAIN
    },
    Cell {
        name: "sigkill",
        quick: true,
        run: sigkill,
        ..PLAIN
    },
    Cell {
        name: "audited-sigkill",
        quick: true,
        audited: true,
        run: sigkill,
        ..PLAIN
    },
    Cell {
        name: "audited-rolling",
        may_repeat: false,
        audited: true,
        run: rolling_restart,
        ..PLAIN
    },
    Cell {
        name: "sigterm",
        may_repeat: false,
        quick: true,
        run: sigterm,
        ..PLAIN
    },
    Cell {
        name: "sigstop",
        run: sigstop,
        ..PLAIN
    },
    Cell {
        name: "come-and-go",
        may_repeat: false,
        quick: true,
        run: come_and_go,
        ..PLAIN
    },
    Cell {
        name: "rolling-restart",
        may_repeat: false,
        run: rolling_restart,
        ..PLAIN
    },
    Cell {
        name: "classic-come-and-go",
        may_repeat: false,
        classic: true,
        run: come_and_go,
        ..PLAIN
    },
    Cell {
        name: "classic-sigkill",
        classic: true,
        run: sigkill,
        ..PLAIN
    },
    Cell {
        name: "classic-sigstop",
        classic: true,
        run: sigstop,
        ..PLAIN
    },
    Cell {
        name: "one-name-twice",
        modes: &[ExactlyOnce],
        quick: true,
        run: one_name_twice,
        ..PLAIN
    },
    Cell {
        name: "transaction-expires",
        modes: &[ExactlyOnce],
        run: transaction_expires,
        ..PLAIN
    },
    Cell {
        name: "too-large",
        may_repeat: false,
        quick: true,
        long: Some((5, "8000")),
        run: too_large,
        ..PLAIN
    },
    Cell {
        name: "retention-overrun",
        may_repeat: false,
        quick: true,
        run: retention_overrun,
        ..PLAIN
    },
    Cell {
        name: "topic-made-anew",
        may_repeat: false,
        run: topic_made_anew,
        ..PLAIN
    },
    Cell {
        name: "output-refused",
        quick: true,
        run: output_refused,
        ..PLAIN
    },
    Cell {
        name: "poison",
        quick: true,
        run: poison,
        ..PLAIN
    },
    Cell {
        name: "broker-killed",
        needs_nodes: true,
        run: broker_killed,
        ..PLAIN
    },
    Cell {
        name: "broker-paused",
        needs_nodes: true,
        run: broker_paused,
        ..PLAIN
    },
    Cell {
        name: "each-node-killed",
        needs_nodes: true,
        kind: Kind::Three,
        run: each_node_killed,
        ..PLAIN
    },
    Cell {
        name: "quorum-lost",
        needs_nodes: true,
        kind: Kind::Three,
        run: quorum_lost,
        ..PLAIN
    },
    Cell {
        name: "produce-cut",
        run: disturbed::produce_cut,
        ..DISTURBED
    },
    Cell {
        name: "produce-unanswered",
        run: disturbed::produce_unanswered,
        ..DISTURBED
    },
    Cell {
        name: "produce-swallowed",
        run: disturbed::produce_swallowed,
        ..DISTURBED
    },
    Cell {
        name: "produce-delayed",
        run: disturbed::produce_delayed,
        ..DISTURBED
    },
    Cell {
        name: "commit-cut",
        run: disturbed::commit_cut,
        ..DISTURBED
    },
    Cell {
        name: "commit-unanswered",
        run: disturbed::commit_unanswered,
        ..DISTURBED
    },
    Cell {
        name: "commit-swallowed",
        run: disturbed::commit_swallowed,
        ..DISTURBED
    },
    Cell {
        name: "commit-late",
        run: disturbed::commit_late,
        ..DISTURBED
    },
    Cell {
        name: "end-cut",
        modes: &[ExactlyOnce],
        run: disturbed::end_cut,
        ..DISTURBED
    },
    Cell {
        name: "end-unanswered",
        modes: &[ExactlyOnce],
        run: disturbed::end_unanswered,
        ..DISTURBED
    },
    Cell {
        name: "end-swallowed",
        modes: &[ExactlyOnce],
        run: disturbed::end_swallowed,
        ..DISTURBED
    },
    Cell {
        name: "end-delayed",
        modes: &[ExactlyOnce],
        run: disturbed::end_delayed,
        ..DISTURBED
    },
    Cell {
        name: "end-late",
        modes: &[ExactlyOnce],
        run: disturbed::end_late,
        ..DISTURBED
    },
    Cell {
        name: "join-unanswered",
        run: disturbed::join_unanswered,
        ..DISTURBED
    },
    Cell {
        name: "classic-join-unanswered",
        classic: true,
        run: disturbed::join_unanswered,
        ..DISTURBED
    },
    Cell {
        name: "classic-join-swallowed",
        classic: true,
        run: disturbed::join_swallowed,
        ..DISTURBED
    },
    Cell {
        name: "secured-plain",
        modes: &[AtLeastOnce],
        may_repeat: false,
        run: security::plain,
        ..SECURED
    },
    Cell {
        name: "secured-scram-256",
        modes: &[ExactlyOnce],
        may_repeat: false,
        run: security::scram_256,
        ..SECURED
    },
    Cell {
        name: "secured-scram-512",
        modes: &[AtLeastOnce],
        may_repeat: false,
        run: security::scram_512,
        ..SECURED
    },
    Cell {
        name: "secured-mutual",
        modes: &[ExactlyOnce],
        may_repeat: false,
        run: security::mutual,
        ..SECURED
    },
    Cell {
        name: "secured-bearer",
        modes: &[AtLeastOnce],
        may_repeat: false,
        run: security::bearer,
        ..SECURED
    },
    Cell {
        name: "secured-refusals",
        modes: &[AtLeastOnce],
        may_repeat: false,
        run: security::refusals,
        ..SECURED
    },
    Cell {
        name: "secured-rights",
        modes: &[AtLeastOnce],
        may_repeat: false,
        run: security::rights,
        ..SECURED
    },
    Cell {
        name: "secured-renewed-password",
        may_repeat: false,
        run: security::renewed_password,
        ..SECURED
    },
    Cell {
        name: "secured-renewed-certificate",
        may_repeat: false,
        run: security::renewed_certificate,
        ..SECURED
    },
];

const DISTURBED: Cell = Cell {
    needs_nodes: true,
    ..PLAIN
};

const SECURED: Cell = Cell {
    kind: Kind::Secured,
    ..PLAIN
};

fn undisturbed(scene: &mut Scene<'_>) -> String {
    scene.feed(1.0);
    let mut daemon = Outlierd::start_ready(&scene.instance("a"));
    scene.wait_all();
    stop(&mut daemon);
    "nothing was to fire".into()
}

/// Killed three times in the middle of its work.
fn sigkill(scene: &mut Scene<'_>) -> String {
    scene.feed(1.0);
    let setup = scene.instance("a");
    let mut kills = Vec::new();
    for share in [0.1, 0.35, 0.6] {
        let daemon = Outlierd::start(&setup);
        scene.wait_committed(share);
        daemon.kill();
        let committed = scene.committed();
        assert!(committed < scene.stream.len(), "the kill came too late");
        kills.push(committed.to_string());
    }
    let mut daemon = Outlierd::start(&setup);
    scene.heal();
    scene.wait_all();
    stop(&mut daemon);
    format!("killed at {}", kills.join(", "))
}

/// Told to stop in the middle of its work.
fn sigterm(scene: &mut Scene<'_>) -> String {
    scene.feed(1.0);
    let setup = scene.instance("a");
    let mut stops = Vec::new();
    for share in [0.2, 0.5] {
        let mut daemon = Outlierd::start(&setup);
        scene.wait_committed(share);
        stop(&mut daemon);
        let committed = scene.committed();
        assert!(committed < scene.stream.len(), "the stop came too late");
        stops.push(committed.to_string());
    }
    let mut daemon = Outlierd::start(&setup);
    scene.heal();
    scene.wait_all();
    stop(&mut daemon);
    format!("stopped at {}", stops.join(", "))
}

/// Stands still for longer than its session; another instance takes its partitions.
fn sigstop(scene: &mut Scene<'_>) -> String {
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
        assert_eq!(scene.mode, ExactlyOnce);
        assert_fenced(&mut still);
    } else {
        stop(&mut still);
    }
    stop(&mut other);
    format!("the other instance got all partitions; fenced: {fenced}")
}

/// Instances join and leave while there is work.
fn come_and_go(scene: &mut Scene<'_>) -> String {
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

/// Three instances, each stopped and started again in turn.
fn rolling_restart(scene: &mut Scene<'_>) -> String {
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

/// A second instance with the name of the first: the first one ends, and says both causes.
fn one_name_twice(scene: &mut Scene<'_>) -> String {
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
fn transaction_expires(scene: &mut Scene<'_>) -> String {
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

/// Outliers that their topic does not take go by reference.
fn too_large(scene: &mut Scene<'_>) -> String {
    scene.feed(1.0);
    let mut daemon = Outlierd::start_ready(&scene.instance("a"));
    scene.wait_all();
    let by_reference = daemon.metric("outlierd_published_by_reference_total");
    assert!(by_reference > 0, "nothing was too large");
    stop(&mut daemon);
    format!("{by_reference} by reference")
}

/// Records are deleted before they are read: everything halts and says so, until it is told to go on without them.
fn retention_overrun(scene: &mut Scene<'_>) -> String {
    scene.feed(0.1);
    let setup = scene.instance("a");
    let mut daemon = Outlierd::start(&setup);
    scene.wait_committed(0.1);
    stop(&mut daemon);
    scene.feed_rest(0.1);
    let lost = scene.lose_below(3000);
    let mut daemon = Outlierd::start(&setup);
    scene.wait_halted(&daemon);
    assert_eq!(daemon.metric("outlierd_records_lost_total"), lost);
    stop(&mut daemon);
    let mut daemon = Outlierd::start(&setup.set("input", "on_data_loss", "\"continue\""));
    scene.heal();
    scene.wait_all();
    assert_eq!(daemon.metric("outlierd_records_lost_total"), lost);
    stop(&mut daemon);
    format!("{lost} records deleted unread")
}

/// The topic is deleted and made anew under a running daemon: everything halts, also after a restart, and goes on from
/// the new topic's start when it is told to.
fn topic_made_anew(scene: &mut Scene<'_>) -> String {
    let setup = scene.instance("a").set("input", "start", "\"latest\"");
    let mut daemon = Outlierd::start_ready(&setup);
    scene.feed_nothing(100);
    daemon.wait_records(100 * PARTITIONS as usize);
    scene.make_anew();
    scene.feed(1.0);
    scene.wait_halted(&daemon);
    until("the old offsets", || {
        (scene.committed() == 100 * PARTITIONS as usize).then_some(())
    });
    stop(&mut daemon);
    let mut daemon = Outlierd::start(&setup);
    scene.wait_halted(&daemon);
    stop(&mut daemon);
    let said = daemon.stderr();
    assert!(said.contains("deleted and made anew"), "{said}");
    let mut daemon = Outlierd::start(&setup.set("input", "on_data_loss", "\"continue\""));
    scene.heal();
    scene.wait_all();
    stop(&mut daemon);
    "halted at once, and after a restart".into()
}

/// The outlier topic takes nothing for a while, and the daemon is killed meanwhile: nothing is skipped.
fn output_refused(scene: &mut Scene<'_>) -> String {
    scene.feed(0.5);
    let setup = scene.instance("a");
    let daemon = Outlierd::start_ready(&setup);
    scene.wait_committed(0.5);
    scene.refuse_outliers(true);
    scene.feed_rest(0.5);
    // Exactly once every refusal starts the line over.
    match scene.mode {
        AtLeastOnce => _ = daemon.wait_unready("output"),
        ExactlyOnce => until("restarts of the line", || {
            (daemon.metric("outlierd_line_restarts_total") > 0).then_some(())
        }),
    }
    assert_eq!(daemon.get("/livez").0, 200);
    daemon.kill();
    let committed = scene.committed();
    scene.refuse_outliers(false);
    let mut daemon = Outlierd::start(&setup);
    scene.heal();
    scene.wait_all();
    stop(&mut daemon);
    format!("killed at {committed} while outliers were refused")
}

/// Records that end the process, on one partition of a group of two: one instance dies of them, and no other.
fn poison(scene: &mut Scene<'_>) -> String {
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

fn broker_killed(scene: &mut Scene<'_>) -> String {
    scene.feed(1.0);
    let mut daemon = Outlierd::start(&scene.instance("a"));
    scene.wait_committed(0.1);
    scene.cluster.kill(0);
    daemon.wait_unready("broker");
    assert_eq!(daemon.get("/livez").0, 200);
    scene.cluster.start_again(0);
    scene.cluster.wait();
    scene.heal();
    scene.wait_all();
    daemon.wait_ready();
    stop(&mut daemon);
    "unready while the broker was gone".into()
}

fn broker_paused(scene: &mut Scene<'_>) -> String {
    scene.feed(1.0);
    let mut daemon = Outlierd::start(&scene.instance("a"));
    scene.wait_committed(0.1);
    scene.cluster.signal(0, Signal::STOP);
    let unready = unready(&daemon);
    scene.cluster.signal(0, Signal::CONT);
    scene.heal();
    scene.wait_all();
    daemon.wait_ready();
    stop(&mut daemon);
    format!("unready: {unready}")
}

/// Of three nodes each is killed once, so that every leader and every coordinator was: two are enough to go on.
fn each_node_killed(scene: &mut Scene<'_>) -> String {
    let mut daemon = Outlierd::start_ready(&scene.instance("a"));
    for node in 0..3 {
        let share = 0.3 * node as f64;
        scene.cluster.kill(node);
        scene.feed_range(scene.rows(share, share + 0.3));
        scene.wait_committed(share + 0.3);
        scene.cluster.start_again(node);
        scene.cluster.wait();
    }
    scene.feed_rest(0.9);
    scene.heal();
    scene.wait_all();
    daemon.wait_ready();
    stop(&mut daemon);
    "three kills, work after each".into()
}

/// Two of three nodes are gone: nothing can be written, nothing is skipped, and it goes on when one is back.
fn quorum_lost(scene: &mut Scene<'_>) -> String {
    scene.feed(1.0);
    let mut daemon = Outlierd::start(&scene.instance("a"));
    scene.wait_committed(0.1);
    scene.cluster.kill(1);
    scene.cluster.kill(2);
    let unready = unready(&daemon);
    assert_eq!(daemon.get("/livez").0, 200);
    scene.cluster.start_again(1);
    scene.cluster.start_again(2);
    scene.cluster.wait();
    scene.heal();
    scene.wait_all();
    daemon.wait_ready();
    stop(&mut daemon);
    format!("unready: {unready}")
}

/// Waits until it is not ready, and says for which condition first.
#[track_caller]
fn unready(daemon: &Outlierd) -> String {
    until("an unready daemon", || {
        let (status, body) = daemon.get("/readyz");
        let condition = body.split(':').next().unwrap_or_default();
        (status == 503).then(|| condition.to_owned())
    })
}

#[track_caller]
pub fn stop(daemon: &mut Outlierd) {
    let peak = daemon.memory_kib("VmHWM") / 1024;
    assert!(peak < MEMORY_MIB, "it took {peak} MiB");
    let status = daemon.terminate();
    assert!(status.success(), "{status}: {}", daemon.stderr());
}
