//! A store of models in a topic: instances that share nothing but Kafka.

use serde_json::Value;

use super::harness::records::{broken, ordinary};
use super::harness::setup::{INPUT, topics};
use super::harness::{
    Broker, Client, Ended, Outlierd, Record, Setup, outlierd, outlierd_with, until,
};

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
        .with_token()
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

/// Has `daemon` do it, by a command that knows its address and its token alone.
fn ask(daemon: &Outlierd, arguments: &[&str]) -> Ended {
    let token = [("OUTLIERD_TOKEN", "let-me")];
    outlierd_with(&token, &[arguments, &["--url", &daemon.url()]].concat())
}

#[track_caller]
fn asked(daemon: &Outlierd, arguments: &[&str]) -> String {
    let ended = ask(daemon, arguments);
    assert!(ended.status.success(), "{arguments:?}: {}", ended.stderr);
    ended.stdout
}

fn listed(daemon: &Outlierd) -> Value {
    serde_json::from_str(&asked(daemon, &["models", "list", "--json"])).unwrap()
}

/// What a list says of one model.
fn entry(listed: &Value, version: &str) -> Option<Value> {
    let mut models = listed["models"].as_array().unwrap().iter();
    models.find(|it| it["version"] == version).cloned()
}

#[test]
fn an_instance_does_what_it_is_asked_to_by_its_address() {
    let broker = broker();
    let setup = setup(&broker);
    let first = train(&setup, 1);
    let mut daemon = Outlierd::start_ready(&setup);
    let second = train(&setup, 2);
    let file = setup.path("out.safetensors");
    let file = file.to_str().unwrap();
    done(&setup, &["models", "export", &second, file]);
    let told = asked(&daemon, &["models", "promote", &second[..6]]);
    assert!(told.contains("judges all 2 partitions"), "{told}");
    assert_eq!(serves(&daemon), second);
    let told = asked(&daemon, &["models", "rollback", "--wait", "0s"]);
    assert!(
        told.contains(&first) && !told.contains("partitions"),
        "{told}"
    );
    until("the one before", || {
        (serves(&daemon) == first).then_some(())
    });
    assert_eq!(listed(&daemon)["held"], true);
    asked(&daemon, &["models", "release"]);
    assert_eq!(listed(&daemon)["held"], false);
    asked(&daemon, &["models", "pin", &second]);
    assert_eq!(entry(&listed(&daemon), &second).unwrap()["pinned"], true);
    let ended = ask(&daemon, &["models", "delete", &second]);
    assert!(ended.stderr.contains("pinned"), "{}", ended.stderr);
    asked(&daemon, &["models", "unpin", &second]);
    asked(&daemon, &["models", "delete", &second]);
    let shown = asked(&daemon, &["models", "list"]);
    assert!(
        shown.contains(&first) && !shown.contains(&second),
        "{shown}"
    );
    let told = asked(&daemon, &["models", "import", file]);
    assert!(told.contains(&format!("took in {second}")), "{told}");
    assert!(entry(&listed(&daemon), &second).is_some());
    assert_eq!(serves(&daemon), first);
    assert!(daemon.terminate().success());
}

#[test]
fn an_instance_trains_when_it_is_asked_to_by_its_address() {
    let broker = broker();
    let setup = setup(&broker).set("train", "max_steps", "200");
    let before = train(&setup, 1);
    let mut rows = ordinary(4, 1000);
    rows.extend(broken(&ordinary(5, 1000)));
    let records: Vec<Record> = rows.into_iter().map(Record::of).collect();
    Client::new(&broker.address).feed(INPUT, &records);
    let mut daemon = Outlierd::start_ready(&setup);
    let last = |before: &Value| {
        let before = before.clone();
        until("the end of the retrain", || {
            let last = daemon.status()["retrain"]["last"].clone();
            (last != before).then_some(last)
        })
    };
    let told = asked(&daemon, &["retrain"]);
    assert!(told.contains("taken"), "{told}");
    let first = last(&Value::Null);
    assert_eq!(first["outcome"], "refused", "{first} {}", daemon.stderr());
    assert_eq!(serves(&daemon), before);
    asked(&daemon, &["models", "accept", "--from", "-1h"]);
    let second = last(&first);
    assert_eq!(second["outcome"], "serves", "{second} {}", daemon.stderr());
    let version = second["version"].as_str().unwrap();
    until("the new one", || (serves(&daemon) == version).then_some(()));
    let shown = done(&setup, &["models", "show", version]).stdout;
    assert!(shown.contains("waived"), "{shown}");
    assert!(daemon.terminate().success());
}

#[test]
fn what_an_instance_does_not_do_is_said() {
    let broker = broker();
    let setup = setup(&broker);
    train(&setup, 1);
    let mut daemon = Outlierd::start_ready(&setup);
    let url = daemon.url();
    let wrong = setup.write_lines("token", &["let-us".to_owned()]);
    let wrong = wrong.to_str().unwrap();
    let release = ["models", "release", "--url", &url];
    for (arguments, why) in [
        (&release[..], "set OUTLIERD_TOKEN"),
        (&[&release[..], &["--token-file", wrong]].concat(), "(401)"),
        (
            &[&release[..], &["--token-file", "/nowhere"]].concat(),
            "does not exist",
        ),
        (&["models", "show", "1", "--url", &url], "--config FILE"),
        (
            &["retrain", "--from", "-1h", "--url", &url],
            "--config FILE",
        ),
        (
            &["models", "accept", "--from", "soon", "--url", &url],
            "-7d",
        ),
        (&["models", "pin", "../x", "--url", &url], "no version"),
        (&["models", "list", "--url", "https://a"], "no https"),
        (&["models", "list", "--url", "here"], "http://10.0.0.7:9464"),
        (
            &["models", "list", "--url", "http://127.0.0.1:1"],
            "cannot be reached",
        ),
        (
            &["models", "list", "--url", &url, "-c", "x.toml"],
            "cannot be used with",
        ),
        (
            &["models", "list", "--token-file", wrong],
            "goes with --url",
        ),
    ] {
        let ended = outlierd(arguments);
        assert!(!ended.status.success(), "{arguments:?}");
        assert!(
            ended.stderr.contains(why),
            "{arguments:?}: {}",
            ended.stderr
        );
        assert!(!ended.stderr.contains("let-us"), "{}", ended.stderr);
    }
    // Whoever may not is told so before all of it is sent.
    let large = setup.path("large");
    std::fs::write(&large, vec![0; 16 << 20]).unwrap();
    let large = large.to_str().unwrap();
    let import = [
        "models",
        "import",
        large,
        "--url",
        &url,
        "--token-file",
        wrong,
    ];
    let ended = outlierd(&import);
    assert!(ended.stderr.contains("(401)"), "{}", ended.stderr);
    let ended = ask(&daemon, &["models", "import", wrong]);
    assert!(ended.stderr.contains("(409)"), "{}", ended.stderr);
    let (status, told) = daemon.post("/models/release?wait=soon", Some("let-me"));
    assert!(status == 400 && told.contains("10m"), "{told}");
    let (status, told) = daemon.post("/models/accept", Some("let-me"));
    assert!(status == 400 && told.contains("?from="), "{told}");
    assert_eq!(daemon.post("/models/accept?from=x", None).0, 401);
    assert!(daemon.terminate().success());
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
