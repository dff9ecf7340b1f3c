//! A store of models in a topic: instances that share nothing but Kafka.

use serde_json::Value;

use super::harness::records::ordinary;
use super::harness::setup::{INPUT, topics};
use super::harness::{Broker, Client, Ended, Outlierd, Record, Setup, outlierd_with, until};

const STORE: &str = "outlierd-models";

fn broker() -> Broker {
    let mut topics = topics(2).to_vec();
    topics.push((STORE, 2));
    Broker::start(&topics)
}

fn setup(broker: &Broker) -> Setup {
    Setup::new(&broker.address)
        .with_store()
        .set("model", "store", &format!("\"kafka://{STORE}\""))
        .set("train", "max_steps", "60")
        .set("http", "token", "{ env = \"OUTLIERD_TEST_TOKEN\" }")
        .environment("OUTLIERD_TEST_TOKEN", "let-me")
}

fn run(arguments: &[&str], config: &str) -> Ended {
    let token = [("OUTLIERD_TEST_TOKEN", "let-me")];
    outlierd_with(&token, &[arguments, &["-c", config]].concat())
}

#[track_caller]
fn done(setup: &Setup, arguments: &[&str]) -> Ended {
    let config = setup.write();
    let ended = run(arguments, config.to_str().unwrap());
    assert!(ended.status.success(), "{arguments:?}: {}", ended.stderr);
    ended
}

fn train(setup: &Setup, seed: u64) -> String {
    let rows = setup.write_lines("rows.ndjson", &ordinary(seed, 600));
    done(setup, &["train", "--from-file", rows.to_str().unwrap()]);
    let shown = done(setup, &["models", "list", "--json"]).stdout;
    let shown: Value = serde_json::from_str(&shown).unwrap();
    shown["models"][0]["version"].as_str().unwrap().to_owned()
}

fn serves(daemon: &Outlierd) -> String {
    daemon.status()["model"]["version"]
        .as_str()
        .unwrap()
        .to_owned()
}

#[test]
fn a_model_reaches_every_instance_through_kafka_alone() {
    let broker = broker();
    let (here, there) = (setup(&broker), setup(&broker));
    let first = train(&here, 1);
    let daemons = [Outlierd::start_ready(&here), Outlierd::start_ready(&there)];
    assert!(daemons.iter().all(|daemon| serves(daemon) == first));
    let second = train(&there, 2);
    let told = done(&there, &["models", "promote", &second]).stdout;
    assert!(told.contains("judges all 2 partitions"), "{told}");
    assert!(daemons.iter().all(|daemon| serves(daemon) == second));
    // By HTTP as by hand.
    assert_eq!(daemons[1].post("/models/rollback", None).0, 401);
    let (status, told) = daemons[1].post("/models/rollback", Some("let-me"));
    assert_eq!(status, 200, "{told}");
    assert!(told.contains("judges all 2 partitions"), "{told}");
    assert!(daemons.iter().all(|daemon| serves(daemon) == first));
    let (status, told) = daemons[0].post("/models/delete/0", Some("let-me"));
    assert!(
        status == 409 && told.contains("there is no model"),
        "{told}"
    );
    assert_eq!(daemons[0].post("/models/release", Some("let-me")).0, 200);
    let file = there.path("out.safetensors");
    let file = file.to_str().unwrap();
    done(&there, &["models", "export", &second, file]);
    done(&here, &["models", "show", &second]);
    // The parent stays with its child; then nothing is left of it.
    done(&here, &["models", "delete", &second]);
    let config = here.write();
    let ended = run(&["models", "show", &second], config.to_str().unwrap());
    assert!(
        ended.stderr.contains("there is no model"),
        "{}",
        ended.stderr
    );
    for mut daemon in daemons {
        assert!(daemon.terminate().success());
    }
}

#[test]
fn an_instance_with_nothing_makes_its_first_model_itself() {
    let broker = broker();
    let setup =
        setup(&broker)
            .set("retrain", "bootstrap", "true")
            .set("input", "start", "\"earliest\"");
    let records: Vec<Record> = ordinary(4, 800).into_iter().map(Record::of).collect();
    Client::new(&broker.address).feed(INPUT, &records);
    let mut daemon = Outlierd::start_ready(&setup);
    let shown = done(&setup, &["models", "list", "--json"]).stdout;
    let shown: Value = serde_json::from_str(&shown).unwrap();
    assert_eq!(shown["models"][0]["version"], *serves(&daemon));
    daemon.wait_records(800);
    assert!(daemon.terminate().success());
}

#[test]
fn a_topic_that_cannot_be_a_store_says_what_one_is() {
    let broker = Broker::start(&topics(1));
    let setup = setup(&broker).set("model", "store", &format!("\"kafka://{INPUT}\""));
    let config = setup.write();
    let ended = run(&["models", "list"], config.to_str().unwrap());
    assert!(
        ended.stderr.contains("--partitions 2") && ended.stderr.contains("cleanup.policy=compact"),
        "{}",
        ended.stderr
    );
}

#[test]
fn instances_over_folders_of_their_own_say_so() {
    let broker = Broker::start(&topics(2));
    let [here, there] = [1, 2].map(|seed| {
        let setup = Setup::new(&broker.address)
            .with_store()
            .set("train", "max_steps", "60");
        let rows = setup.write_lines("rows.ndjson", &ordinary(seed, 600));
        done(&setup, &["train", "--from-file", rows.to_str().unwrap()]);
        setup
    });
    let mut first = Outlierd::start_ready(&here);
    let second = Outlierd::start_ready(&there);
    until("the word of either", || {
        let told = [&first, &second].map(|daemon| daemon.get("/readyz").1);
        let told = told
            .iter()
            .all(|page| page.contains("store: another instance judges"));
        told.then_some(())
    });
    // Alone it has nothing to say.
    drop(second);
    until("the end of it", || {
        (!first.get("/readyz").1.contains("store:")).then_some(())
    });
    assert!(first.terminate().success());
}
