//! Requests that are cut off, swallowed, delayed, or come when nobody waits for them any more.

use std::time::Duration;

use super::instances::stop;
use crate::harness::{Outlierd, until};
use crate::proxy::{Harm, Plan, Request};
use crate::scene::{Mode, Scene};

const SECOND: Duration = Duration::from_secs(1);

pub fn produce_cut(scene: &mut Scene<'_>) -> String {
    disturb(scene, Request::Produce, Harm::Cut)
}

pub fn produce_unanswered(scene: &mut Scene<'_>) -> String {
    disturb(scene, Request::Produce, Harm::Unanswered)
}

pub fn produce_swallowed(scene: &mut Scene<'_>) -> String {
    disturb(scene, Request::Produce, Harm::Swallowed)
}

pub fn produce_delayed(scene: &mut Scene<'_>) -> String {
    disturb(scene, Request::Produce, Harm::Delayed(SECOND))
}

pub fn commit_cut(scene: &mut Scene<'_>) -> String {
    disturb(scene, commit(scene), Harm::Cut)
}

pub fn commit_unanswered(scene: &mut Scene<'_>) -> String {
    disturb(scene, commit(scene), Harm::Unanswered)
}

pub fn commit_swallowed(scene: &mut Scene<'_>) -> String {
    disturb(scene, commit(scene), Harm::Swallowed)
}

/// Offsets that come again when later ones are there already.
pub fn commit_late(scene: &mut Scene<'_>) -> String {
    disturb(scene, commit(scene), Harm::Late(SECOND))
}

pub fn end_cut(scene: &mut Scene<'_>) -> String {
    disturb(scene, Request::EndTxn, Harm::Cut)
}

pub fn end_unanswered(scene: &mut Scene<'_>) -> String {
    disturb(scene, Request::EndTxn, Harm::Unanswered)
}

pub fn end_swallowed(scene: &mut Scene<'_>) -> String {
    disturb(scene, Request::EndTxn, Harm::Swallowed)
}

pub fn end_delayed(scene: &mut Scene<'_>) -> String {
    disturb(scene, Request::EndTxn, Harm::Delayed(SECOND))
}

/// The first answer is lost, the second attempt succeeds, and then the first one comes: into the next transaction.
pub fn end_late(scene: &mut Scene<'_>) -> String {
    disturb(scene, Request::EndTxn, Harm::Late(SECOND))
}

pub fn join_unanswered(scene: &mut Scene<'_>) -> String {
    disturb(scene, join(scene), Harm::Unanswered)
}

pub fn join_swallowed(scene: &mut Scene<'_>) -> String {
    disturb(scene, join(scene), Harm::Swallowed)
}

pub fn killed_before_delivery(scene: &mut Scene<'_>) -> String {
    kill_at(scene, Request::Produce, Harm::Swallowed)
}

/// The messages are there, and nobody has heard of it.
pub fn killed_before_report(scene: &mut Scene<'_>) -> String {
    kill_at(scene, Request::Produce, Harm::Unanswered)
}

pub fn killed_before_commit(scene: &mut Scene<'_>) -> String {
    kill_at(scene, commit(scene), Harm::Swallowed)
}

pub fn killed_before_end(scene: &mut Scene<'_>) -> String {
    kill_at(scene, Request::EndTxn, Harm::Swallowed)
}

/// The transaction is committed, and nobody has heard of it.
pub fn killed_after_end(scene: &mut Scene<'_>) -> String {
    kill_at(scene, Request::EndTxn, Harm::Unanswered)
}

/// SIGKILL in the moment in which a request is harmed, three times.
fn kill_at(scene: &mut Scene<'_>, request: Request, harm: Harm) -> String {
    scene.feed(1.0);
    let proxy = scene.cluster.proxy.as_ref().unwrap();
    let address = format!("{:?}", proxy.address.to_string());
    let setup = scene.instance("a").set("kafka", "brokers", &address);
    let mut kills = Vec::new();
    for share in [0.1, 0.35, 0.6] {
        let daemon = Outlierd::start(&setup);
        scene.wait_committed(share);
        proxy.arm(Plan {
            request,
            harm,
            skip: 0,
            every: 1,
            times: 1,
        });
        until("the request", || (proxy.fired() > 0).then_some(()));
        daemon.kill();
        proxy.disarm();
        kills.push(scene.committed().to_string());
    }
    let mut daemon = Outlierd::start(&setup);
    scene.heal();
    scene.wait_all();
    stop(&mut daemon);
    format!("killed at {}", kills.join(", "))
}

/// What brings offsets to the cluster.
fn commit(scene: &Scene<'_>) -> Request {
    match scene.mode {
        Mode::AtLeastOnce => Request::OffsetCommit,
        Mode::ExactlyOnce => Request::TxnOffsetCommit,
    }
}

/// What makes a consumer a member of its group.
fn join(scene: &Scene<'_>) -> Request {
    match scene.classic {
        true => Request::JoinGroup,
        false => Request::ConsumerGroupHeartbeat,
    }
}

/// Fed bit by bit, so that there is work before, in and after each of the troubles.
fn disturb(scene: &mut Scene<'_>, request: Request, harm: Harm) -> String {
    // What a defect makes of one request is a matter of chance.
    let times = if scene.planted.is_some() { 15 } else { 3 };
    let proxy = scene.cluster.proxy.as_ref().unwrap();
    let setup = scene
        .instance("a")
        .set(
            "kafka",
            "brokers",
            &format!("{:?}", proxy.address.to_string()),
        )
        .set("kafka.properties", "socket.timeout.ms", "\"3000\"")
        .set("kafka.properties", "request.timeout.ms", "\"3000\"");
    // For so long the classic protocol waits for the answer to a JoinGroup, which others may hold up.
    let setup = match scene.classic {
        true => setup.set("kafka.properties", "max.poll.interval.ms", "\"6000\""),
        false => setup,
    };
    proxy.arm(Plan {
        request,
        harm,
        skip: if request == Request::JoinGroup { 0 } else { 4 },
        every: 5,
        times,
    });
    let mut daemon = Outlierd::start(&setup);
    let mut fed = 0.0;
    while fed < 1.0 {
        let next = if proxy.fired() < times {
            fed + 0.3 / (5 * times) as f64
        } else {
            1.0
        };
        scene.feed_range(scene.rows(fed, next));
        fed = next;
        scene.wait_committed(fed);
    }
    let fired = proxy.disarm();
    assert!(fired > 0, "no {request:?} came");
    let restarts = daemon.metric("outlierd_line_restarts_total");
    stop(&mut daemon);
    format!("{fired} times {request:?} {harm:?}, {restarts} restarts of the line")
}
