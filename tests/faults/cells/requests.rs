//! Requests that are cut off, swallowed, delayed, or come when nobody waits for them any more.

use std::time::Duration;

use super::instances::{ended_at, stop};
use crate::harness::{Outlierd, Setup, until};
use crate::proxy::{Harm, Plan, Proxy, Request};
use crate::scene::{Mode, Scene};

pub const SECOND: Duration = Duration::from_secs(1);

/// SIGKILL in the moment in which a request is harmed, three times.
pub fn kill_at(scene: &mut Scene<'_>, request: Request, harm: Harm) -> String {
    let setup = through_proxy(scene);
    let ends = ended_at(scene, &setup, &[0.1, 0.35, 0.6], |scene, daemon| {
        let proxy = proxy(scene);
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
    });
    format!("killed at {ends}")
}

fn proxy<'a>(scene: &'a Scene<'_>) -> &'a Proxy {
    scene.cluster.proxy.as_ref().unwrap()
}

/// An instance that the proxy stands before.
fn through_proxy(scene: &Scene<'_>) -> Setup {
    let address = proxy(scene).address.to_string();
    scene
        .instance("a")
        .set("kafka", "brokers", &format!("{address:?}"))
}

/// What brings offsets to the cluster.
pub fn commit(scene: &Scene<'_>) -> Request {
    match scene.mode {
        Mode::AtLeastOnce => Request::OffsetCommit,
        Mode::ExactlyOnce => Request::TxnOffsetCommit,
    }
}

/// What makes a consumer a member of its group.
pub fn join(scene: &Scene<'_>) -> Request {
    match scene.classic {
        true => Request::JoinGroup,
        false => Request::ConsumerGroupHeartbeat,
    }
}

/// Fed bit by bit, so that there is work before, in and after each of the troubles.
pub fn disturb(scene: &mut Scene<'_>, request: Request, harm: Harm) -> String {
    // What a defect makes of one request is a matter of chance.
    let times = if scene.planted.is_some() { 15 } else { 3 };
    let proxy = proxy(scene);
    let setup = through_proxy(scene)
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
