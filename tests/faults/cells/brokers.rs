//! Brokers that are gone or stand still.

use rustix::process::Signal;

use super::instances::stop;
use crate::cluster::Cluster;
use crate::harness::{Outlierd, until};
use crate::scene::Scene;

pub fn broker_killed(scene: &mut Scene<'_>) -> String {
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

pub fn broker_paused(scene: &mut Scene<'_>) -> String {
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
pub fn each_node_killed(scene: &mut Scene<'_>) -> String {
    each_node(scene, Cluster::kill, Cluster::start_again);
    "three kills, work after each".into()
}

/// Of three nodes one after the other stands still for longer than its session: its partitions get another leader.
pub fn each_node_paused(scene: &mut Scene<'_>) -> String {
    let stop = |cluster: &mut Cluster, node| cluster.signal(node, Signal::STOP);
    each_node(scene, stop, |cluster, node| {
        cluster.signal(node, Signal::CONT)
    });
    "three pauses, work in each".into()
}

/// There is work while each node in turn is gone.
fn each_node(
    scene: &mut Scene<'_>,
    strike: impl Fn(&mut Cluster, usize),
    mend: impl Fn(&mut Cluster, usize),
) {
    let mut daemon = Outlierd::start_ready(&scene.instance("a"));
    for node in 0..3 {
        let share = 0.3 * node as f64;
        strike(scene.cluster, node);
        scene.feed_range(scene.rows(share, share + 0.3));
        scene.wait_committed(share + 0.3);
        mend(scene.cluster, node);
        scene.cluster.wait();
    }
    scene.feed_rest(0.9);
    scene.heal();
    scene.wait_all();
    daemon.wait_ready();
    stop(&mut daemon);
}

/// Two of three nodes are gone: nothing can be written, nothing is skipped, and it goes on when one is back.
pub fn quorum_lost(scene: &mut Scene<'_>) -> String {
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
