//! More keys, less bandwidth, and another time than one would expect.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

use super::instances::stop;
use crate::harness::Outlierd;
use crate::scene::Scene;

/// Every record has a key of its own, and a long one.
pub fn many_keys(scene: &mut Scene<'_>) -> String {
    const LENGTH: usize = 1000;
    scene.feed_keyed(LENGTH);
    let mut daemon = Outlierd::start_ready(&scene.instance("a"));
    scene.wait_all();
    // How much memory it took is looked at as in every cell.
    stop(&mut daemon);
    format!("{} keys of {LENGTH} bytes", scene.stream.len())
}

/// The cluster lets the client read and write only so many bytes a second for a while.
pub fn throttled(scene: &mut Scene<'_>) -> String {
    /// Bytes a second.
    const RATE: u64 = 100_000;
    let quotas = |alter: &[&str]| {
        let whom = ["--entity-type", "clients", "--entity-name", "outlierd"];
        let arguments = [&["--alter"][..], alter, &whom].concat();
        scene.cluster.tool("kafka.admin.ConfigCommand", &arguments);
    };
    let rates = format!("consumer_byte_rate={RATE},producer_byte_rate=10000");
    quotas(&["--add-config", &rates]);
    scene.feed(1.0);
    let began = Instant::now();
    let mut daemon = Outlierd::start_ready(&scene.instance("a"));
    let share = 0.5;
    let read = scene.wait_committed(share);
    let took = began.elapsed();
    // Compressed, the rows are this long together.
    let rows = scene.rows(0.0, share);
    let bytes = scene.compressed(rows);
    assert_eq!(daemon.get("/livez").0, 200);
    quotas(&["--delete-config", "consumer_byte_rate,producer_byte_rate"]);
    let least = bytes as f64 / RATE as f64 / 4.0;
    assert!(
        took.as_secs_f64() > least,
        "{bytes} bytes took {took:?}: the quota did nothing"
    );
    scene.heal();
    scene.wait_all();
    stop(&mut daemon);
    format!("{read} records took {:.1} s", took.as_secs_f64())
}

/// The clock jumps a year ahead and a year back under a daemon at work.
pub fn clock_jumps(scene: &mut Scene<'_>) -> String {
    const YEAR: i64 = 365 * 24 * 60 * 60;
    let folder = tempfile::tempdir().unwrap();
    let offset = folder.path().join("offset");
    let set = |seconds: i64| std::fs::write(&offset, seconds.to_ne_bytes()).unwrap();
    set(0);
    let setup = scene
        .instance("a")
        .environment("LD_PRELOAD", &clock(folder.path()).display().to_string())
        .environment("CLOCK_OFFSET", &offset.display().to_string());
    let mut daemon = Outlierd::start_ready(&setup);
    let this_year = said(&daemon);
    for (turn, seconds) in [YEAR, -YEAR, 0].into_iter().enumerate() {
        let from = 0.3 * turn as f64;
        scene.feed_range(scene.rows(from, from + 0.15));
        scene.wait_committed(from + 0.1);
        set(seconds);
        scene.feed_range(scene.rows(from + 0.15, from + 0.3));
        scene.wait_committed(from + 0.3);
        assert_eq!(daemon.get("/livez").0, 200);
    }
    scene.feed_range(scene.rows(0.9, 1.0));
    scene.heal();
    scene.wait_all();
    daemon.wait_ready();
    set(YEAR);
    stop(&mut daemon);
    // The log tells the time that the daemon had.
    let last = said(&daemon);
    assert_eq!(last, this_year + 1, "the clock did not jump");
    "a year ahead, and two back".into()
}

/// The year in the last line of the log.
fn said(daemon: &Outlierd) -> i32 {
    let log = daemon.stderr();
    let last = log.lines().rfind(|line| line.contains(" INFO "));
    last.unwrap()[..4].parse().unwrap()
}

/// A library that shifts the clock by what a file says.
fn clock(folder: &Path) -> PathBuf {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/faults/cells/clock.c");
    let library = folder.join("clock.so");
    let compiled = Command::new("gcc")
        .args(["-shared", "-fPIC", "-O1", "-o"])
        .arg(&library)
        .arg(source)
        .status()
        .unwrap();
    assert!(compiled.success());
    library
}
