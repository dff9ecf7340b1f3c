//! Topics that lose records, are made anew, or do not take what they are given.

use super::instances::stop;
use crate::harness::{Outlierd, until};
use crate::scene::{Mode, Scene};
use crate::stream::PARTITIONS;

/// Outliers that their topic does not take go by reference.
pub fn too_large(scene: &mut Scene<'_>) -> String {
    scene.feed(1.0);
    let mut daemon = Outlierd::start_ready(&scene.instance("a"));
    scene.wait_all();
    let by_reference = daemon.metric("outlierd_published_by_reference_total");
    assert!(by_reference > 0, "nothing was too large");
    stop(&mut daemon);
    format!("{by_reference} by reference")
}

/// Records are deleted before they are read: everything halts and says so, until it is told to go on without them.
pub fn retention_overrun(scene: &mut Scene<'_>) -> String {
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
pub fn topic_made_anew(scene: &mut Scene<'_>) -> String {
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
pub fn output_refused(scene: &mut Scene<'_>) -> String {
    scene.feed(0.5);
    let setup = scene.instance("a");
    let daemon = Outlierd::start_ready(&setup);
    scene.wait_committed(0.5);
    scene.refuse_outliers(true);
    scene.feed_rest(0.5);
    // Exactly once every refusal starts the line over.
    match scene.mode {
        Mode::AtLeastOnce if scene.planted.is_none() => _ = daemon.wait_unready("output"),
        Mode::AtLeastOnce => until("refusals", || (refused(&daemon) > 1).then_some(())),
        Mode::ExactlyOnce => until("restarts of the line", || {
            (daemon.metric("outlierd_line_restarts_total") > 0).then_some(())
        }),
    }
    assert_eq!(daemon.get("/livez").0, 200);
    if scene.planted.is_some() {
        scene.wait_committed(0.52);
    }
    daemon.kill();
    let committed = scene.committed();
    scene.refuse_outliers(false);
    let mut daemon = Outlierd::start(&setup);
    scene.heal();
    scene.wait_all();
    stop(&mut daemon);
    format!("killed at {committed} while outliers were refused")
}

/// Messages that the topic found too large.
fn refused(daemon: &Outlierd) -> u64 {
    daemon.metric("outlierd_publish_errors_total{reason=\"too_large\"}")
}

/// Under load the outlier topic takes nothing and everything in turns: what was refused comes before what is behind it.
pub fn output_in_turns(scene: &mut Scene<'_>) -> String {
    let mut daemon = Outlierd::start_ready(&scene.instance("a"));
    for turn in 0..8 {
        let at = |part: i32| 0.125 * f64::from(turn) + 0.025 * f64::from(part);
        let before = refused(&daemon);
        scene.refuse_outliers(true);
        scene.feed_range(scene.rows(at(0), at(2)));
        until("refusals", || (refused(&daemon) > before).then_some(()));
        scene.refuse_outliers(false);
        for part in 2..5 {
            scene.feed_range(scene.rows(at(part), at(part + 1)));
        }
    }
    scene.heal();
    scene.wait_all();
    let refused = refused(&daemon);
    stop(&mut daemon);
    format!("{refused} refusals in 8 turns")
}
