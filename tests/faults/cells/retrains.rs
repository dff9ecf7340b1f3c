//! Retrains by request while records come and instances are killed.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use serde_json::Value;

use super::models::{judged_by, ranges};
use super::stop;
use crate::harness::scores::{Verdict, verdicts_by};
use crate::harness::{Ended, Outlierd, Setup, outlierd_with, until};
use crate::scene::Scene;
use crate::stream::{PARTITIONS, Place};

const RETRAINS: usize = 20;

const TOKEN: (&str, &str) = ("OUTLIERD_TEST_TOKEN", "let-me");

/// Three instances with a store in Kafka learn twenty models, in turns and by request, while records come. After every fifth request
/// the one that trains is killed, and the next one trains in its place. What had to come out is worked out afterwards: each record
/// as the model judges it that the audit names for its range.
pub fn retrains(scene: &mut Scene<'_>) -> String {
    let folder = tempfile::tempdir().unwrap();
    let topic = scene.topic(".models");
    scene
        .cluster
        .make(&topic, 2, &[("cleanup.policy", "compact")]);
    let store = format!("\"kafka://{topic}\"");
    let setups = ["a", "b", "c"].map(|name| {
        scene
            .instance(name)
            .set("model", "path", "")
            .set("model", "store", &store)
            .set("model", "keep", "100")
            .set("train", "floors", "[0.5]")
            .set("train", "max_steps", "100")
            .set("http", "token", "{ env = \"OUTLIERD_TEST_TOKEN\" }")
            .environment(TOKEN.0, TOKEN.1)
    });
    let share = |done: usize| 0.1 + 0.9 * done as f64 / RETRAINS as f64;
    scene.feed_range(scene.rows(0.0, share(0)));
    run(&setups[0], &["retrain"]);
    let mut daemons: Vec<Outlierd> = setups.iter().map(Outlierd::start_ready).collect();
    let (mut outcomes, mut kills) = (BTreeMap::<String, usize>::new(), 0);
    for turn in 0..RETRAINS {
        scene.feed_range(scene.rows(share(turn), share(turn + 1)));
        let mut at = turn % daemons.len();
        if turn % 5 == 4 {
            order(&daemons[at]);
            until("a retrain at work", || {
                let running = &daemons[at].status()["retrain"]["running"];
                (!running.is_null()).then_some(())
            });
            daemons.remove(at).kill();
            daemons.insert(at, Outlierd::start(&setups[at]));
            kills += 1;
            at = (at + 1) % daemons.len();
        }
        let outcome = until("the end of a retrain", || {
            let outcome = retrain(&daemons[at]);
            // What the killed one has started ends by itself; until then the right to train is its own.
            (outcome != "elsewhere").then_some(outcome)
        });
        *outcomes.entry(outcome).or_default() += 1;
    }
    scene.heal();
    scene.wait_all();
    daemons.iter_mut().for_each(stop);
    let listed = run(&setups[0], &["models", "list", "--json"]).stdout;
    let listed: Value = serde_json::from_str(&listed).unwrap();
    account(&listed, &outcomes);
    let models = judged_by(scene);
    rejudge(scene, &setups[0], folder.path());
    scene.cluster.remove(&[&topic]);
    format!("{RETRAINS} retrains, {outcomes:?}, of which {models} models judged, and {kills} kills")
}

fn run(setup: &Setup, arguments: &[&str]) -> Ended {
    let config = setup.write();
    let config = ["-c", config.to_str().unwrap()];
    let ended = outlierd_with(&[TOKEN], &[arguments, &config].concat());
    assert!(ended.status.success(), "{arguments:?}: {}", ended.stderr);
    ended
}

fn order(daemon: &Outlierd) {
    let (status, told) = daemon.post("/retrain", Some(TOKEN.1));
    assert_eq!(status, 202, "{told}");
}

/// Has a model learnt; what came of it.
fn retrain(daemon: &Outlierd) -> String {
    let last = || daemon.status()["retrain"]["last"].clone();
    let before = last();
    order(daemon);
    let ended = until("the outcome of a retrain", || {
        let now = last();
        (now != before).then_some(now)
    });
    let outcome = ended["outcome"].as_str().unwrap().to_owned();
    assert_ne!(outcome, "failed", "{ended}");
    outcome
}

/// The store has what the retrains say that they have made, and maybe what those have that were killed.
fn account(listed: &Value, outcomes: &BTreeMap<String, usize>) {
    let models = listed["models"].as_array().unwrap();
    let count = |states: &[&str]| {
        let is_one = |model: &&Value| states.contains(&model["state"].as_str().unwrap());
        models.iter().filter(is_one).count()
    };
    let told = |outcome: &str| outcomes.get(outcome).copied().unwrap_or(0);
    assert_eq!(count(&["serving"]), 1);
    // And the first one.
    let served = count(&["serving", "archived"]);
    assert!(
        (told("serves") + 1..=told("serves") + 5).contains(&served),
        "{served} {outcomes:?}"
    );
    assert!(count(&["refused"]) >= told("refused"), "{outcomes:?}");
    assert!(models.iter().all(|model| model["error"].is_null()));
}

/// Judges every record by the model that the audit names for it.
fn rejudge(scene: &mut Scene<'_>, setup: &Setup, folder: &Path) {
    let ranges = ranges(scene);
    let models: BTreeSet<&String> = ranges.iter().map(|(.., model)| model).collect();
    let mut judged = BTreeMap::<Place, Verdict>::new();
    for model in models {
        let file = folder.join(model);
        run(setup, &["models", "export", model, file.to_str().unwrap()]);
        let mine = ranges.iter().filter(|(.., by)| by == model);
        let offsets = mine.flat_map(|(partition, from, to, _)| {
            (*from..*to).map(move |offset| (*partition, offset))
        });
        let places: Vec<Place> = offsets
            .filter(|place| !scene.stream.dead_letters.contains_key(place))
            .collect();
        let row = |place: &Place| (place.1 * i64::from(PARTITIONS) + place.0) as usize;
        let rows: Vec<String> = places
            .iter()
            .map(|place| scene.stream.row(row(place)).to_owned())
            .collect();
        let verdicts = verdicts_by(&file, setup, &rows);
        judged.extend(places.into_iter().zip(verdicts));
    }
    scene.stream.rejudge(&judged);
}
