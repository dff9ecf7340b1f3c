//! Models that take over under load, while instances are killed.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use outlierd::registry;

use super::stop;
use crate::harness::scores::model;
use crate::harness::{Outlierd, Setup, outlierd, until};
use crate::scene::Scene;

const CHANGES: usize = 20;

/// Three instances share a folder of models.
pub fn models_change(scene: &mut Scene<'_>) -> String {
    let folder = tempfile::tempdir().unwrap();
    let store = folder.path().join("models");
    take_turns(scene, folder.path(), store.to_str().unwrap())
}

/// Three instances share nothing but Kafka.
pub fn models_change_in_kafka(scene: &mut Scene<'_>) -> String {
    let folder = tempfile::tempdir().unwrap();
    let topic = scene.topic(".models");
    scene
        .cluster
        .make(&topic, 2, &[("cleanup.policy", "delete")]);
    let address = format!("kafka://{topic}");
    let forgetful = scene
        .instance("a")
        .set("model", "store", &format!("{address:?}"));
    let config = forgetful.write();
    let file = model().to_str().unwrap();
    let ended = outlierd(&["models", "import", file, "-c", config.to_str().unwrap()]);
    assert!(ended.stderr.contains("forgets"), "{}", ended.stderr);
    scene.cluster.remove(&[&topic]);
    let topic = scene.topic(".models2");
    scene
        .cluster
        .make(&topic, 2, &[("cleanup.policy", "compact")]);
    let told = take_turns(scene, folder.path(), &format!("kafka://{topic}"));
    scene.cluster.remove(&[&topic]);
    told
}

/// The two models of a store take turns, twenty times, and one instance is killed after every fifth.
fn take_turns(scene: &mut Scene<'_>, folder: &Path, store: &str) -> String {
    let store = format!("{store:?}");
    let setups = ["a", "b", "c"].map(|name| {
        let setup = scene.instance(name).set("model", "path", "");
        setup.set("model", "store", &store)
    });
    let versions = two_versions(&setups[0], folder);
    let mut daemons: Vec<Outlierd> = setups.iter().map(Outlierd::start_ready).collect();
    let (mut kills, mut slowest) = (0, Duration::ZERO);
    for change in 1..=CHANGES {
        let version = &versions[change % 2];
        let share = |change: usize| change as f64 / CHANGES as f64;
        scene.feed_range(scene.rows(share(change - 1), share(change)));
        slowest = slowest.max(promote(&setups[0], version));
        if change % 5 == 0 {
            let at = kills % daemons.len();
            daemons.remove(at).kill();
            daemons.insert(at, Outlierd::start(&setups[at]));
            kills += 1;
        }
        for daemon in &daemons {
            until("the model of a change", || {
                (daemon.status()["model"]["version"] == **version).then_some(())
            });
        }
    }
    scene.heal();
    scene.wait_all();
    daemons.iter_mut().for_each(stop);
    let judged = judged_by(scene);
    assert_eq!(judged, 2, "one of the two has judged nothing");
    format!(
        "{CHANGES} changes, the slowest in force everywhere after {:.1} s, and {kills} kills",
        slowest.as_secs_f64()
    )
}

/// Takes the shared model into the store, and a copy that is called otherwise; both judge alike. Gives the one that serves first.
fn two_versions(setup: &Setup, folder: &Path) -> [String; 2] {
    let first = registry::load(model()).unwrap();
    let mut other = (*first.model).clone();
    other.provenance.parent = Some(first.version.clone());
    let path = folder.join("other.safetensors");
    let other = registry::save(&other, &path).unwrap();
    assert_ne!(first.version, other.version);
    assert_eq!(Arc::clone(&other.model).golden, first.model.golden);
    // Both at once: neither undoes what the other does.
    std::thread::scope(|scope| {
        for file in [model(), &path] {
            scope.spawn(move || drop(command(setup, &["import", file.to_str().unwrap()])));
        }
    });
    for version in [&first.version, &other.version] {
        command(setup, &["show", version]);
    }
    // The first to come serves, and that may be either.
    let listed = command(setup, &["list"]);
    let serves = |version: &str| {
        let mut lines = listed.lines();
        lines.any(|line| line.starts_with(version) && line.contains("serving"))
    };
    match serves(&first.version) {
        true => [first.version, other.version],
        false => [other.version, first.version],
    }
}

/// How long it took until every instance had taken it.
fn promote(setup: &Setup, version: &str) -> Duration {
    let began = Instant::now();
    command(setup, &["promote", version]);
    began.elapsed()
}

fn command(setup: &Setup, arguments: &[&str]) -> String {
    let config = setup.write();
    let config = ["-c", config.to_str().unwrap()];
    let ended = outlierd(&[&["models"], arguments, &config].concat());
    assert!(ended.status.success(), "{arguments:?}: {}", ended.stderr);
    ended.stdout
}

/// How many models have judged, by the audit. Each outlier names the one that its range has, or comes again and does: what a killed
/// instance has published and not committed is judged anew, maybe by the other one.
pub fn judged_by(scene: &Scene<'_>) -> usize {
    let ranges = ranges(scene);
    let mut named = BTreeMap::<(i64, i64), bool>::new();
    for message in scene.client.read(&scene.topic(".outliers")) {
        let told = message.json();
        let number = |key: &str| told[key].as_i64().unwrap();
        let (partition, offset) = (number("partition"), number("offset"));
        let mut of_it = ranges
            .iter()
            .filter(|(of, from, to, _)| *of == partition && (*from..*to).contains(&offset));
        let is_named = of_it.any(|(.., model)| told["model"]["version"] == **model);
        *named.entry((partition, offset)).or_default() |= is_named;
    }
    let unnamed: Vec<_> = named.iter().filter(|(_, is_named)| !**is_named).collect();
    assert!(
        unnamed.is_empty(),
        "no audit names the model of {unnamed:?}"
    );
    let models: BTreeSet<&str> = ranges.iter().map(|(.., model)| model.as_str()).collect();
    models.len()
}

/// A range of the audit: partition, first offset, the one after the last, and the model that has judged it.
pub type Range = (i64, i64, i64, String);

pub fn ranges(scene: &Scene<'_>) -> Vec<Range> {
    scene
        .client
        .read(&scene.topic(".audit"))
        .iter()
        .map(|message| {
            let told = message.json();
            let number = |key: &str| told[key].as_i64().unwrap();
            let model = told["model"].as_str().unwrap().to_owned();
            (number("partition"), number("from"), number("to"), model)
        })
        .collect()
}
