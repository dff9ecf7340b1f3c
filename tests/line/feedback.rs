//! What people say of outliers, and what follows from it.

use serde_json::Value;

use super::harness::records::ordinary;
use super::harness::setup::{INPUT, OUTLIERS, topics};
use super::harness::{Broker, Client, Ended, Outlierd, Record, Setup, outlierd, until};

const FEEDBACK: &str = "outlierd-feedback";

fn run(setup: &Setup, arguments: &[&str]) -> Ended {
    let config = setup.write();
    outlierd(&[arguments, &["-c", config.to_str().unwrap()]].concat())
}

#[track_caller]
fn done(setup: &Setup, arguments: &[&str]) -> String {
    let ended = run(setup, arguments);
    assert!(ended.status.success(), "{arguments:?}: {}", ended.stderr);
    ended.stdout
}

/// The last line of a retrain, whatever its gate says.
#[track_caller]
fn retrained(setup: &Setup) -> Value {
    let told = run(setup, &["retrain", "--json"]).stdout;
    serde_json::from_str(told.lines().last().unwrap()).unwrap()
}

/// An ordinary row with a pressure that no other has.
fn odd(row: &str, pressure: f64) -> Record {
    let mut record: Value = serde_json::from_str(row).unwrap();
    record["pressure"] = pressure.into();
    Record::of(record.to_string())
}

#[test]
fn a_confirmed_outlier_is_learnt_from_in_no_way_and_a_false_alarm_in_every() {
    let mut topics = topics(1).to_vec();
    topics.push((FEEDBACK, 1));
    let broker = Broker::start(&topics);
    let client = Client::new(&broker.address);
    let setup = Setup::new(&broker.address)
        .with_store()
        .set("train", "max_steps", "200")
        .set("retrain", "promote", "false")
        .set("feedback", "topic", &format!("{FEEDBACK:?}"));
    let rows = ordinary(1, 2000);
    let records: Vec<Record> = rows.iter().map(|row| Record::of(row.as_str())).collect();
    client.feed(INPUT, &records);
    assert_eq!(retrained(&setup)["outcome"], "serves");
    let mut daemon = Outlierd::start_ready(&setup);
    client.feed(INPUT, &[odd(&rows[5], 900.0), odd(&rows[6], -700.0)]);
    // The last rows are the gate's: the odd ones stand before.
    let later: Vec<Record> = ordinary(2, 1500).into_iter().map(Record::of).collect();
    client.feed(INPUT, &later);
    daemon.wait_records(3502);
    let outliers = until("both outliers", || {
        let messages = client.read(OUTLIERS);
        let odd: Vec<Value> = messages
            .iter()
            .map(|message| message.json())
            .filter(|told| matches!(told["offset"].as_i64(), Some(2000..=2001)))
            .collect();
        (odd.len() == 2).then_some(odd)
    });
    // Unsaid, both are too odd to be fitted on.
    let setup = setup.set("train", "seed", "2");
    let unsaid = retrained(&setup);
    let id = |outlier: &Value| outlier["id"].as_str().unwrap().to_owned();
    done(
        &setup,
        &[
            "feedback",
            &id(&outliers[0]),
            "confirmed",
            "--note",
            "a leak",
        ],
    );
    done(&setup, &["feedback", &id(&outliers[1]), "confirmed"]);
    done(&setup, &["feedback", &id(&outliers[1]), "false_alarm"]);
    until("the precision", || {
        let page = daemon.get("/metrics").1;
        page.contains("outlierd_precision 0.5").then_some(())
    });
    assert_eq!(daemon.metric("outlierd_feedback{label=\"confirmed\"}"), 1);
    let setup = setup.set("train", "seed", "3");
    let said = retrained(&setup);
    let ordinary = unsaid["left_out"].as_u64().unwrap() - 2;
    assert_eq!(said["left_out"], ordinary, "{said}");
    let checks = said["gate"]["checks"].as_array().unwrap();
    let labelled = checks
        .iter()
        .find(|check| check["name"] == "labelled outliers decided rightly")
        .unwrap();
    assert!(
        labelled["limit"].as_str().unwrap().contains("of 2"),
        "{labelled}"
    );
    assert!(daemon.terminate().success());
}

#[test]
fn what_is_no_feedback_is_refused_with_a_remedy() {
    let setup = Setup::new("127.0.0.1:1");
    let nobody = run(&setup, &["feedback", &"0".repeat(32), "confirmed"]);
    assert!(
        nobody.stderr.contains("feedback.topic"),
        "{}",
        nobody.stderr
    );
    let setup = setup.set("feedback", "topic", "\"said\"");
    let wrong = run(&setup, &["feedback", "7", "confirmed"]);
    assert!(
        wrong.stderr.contains("32 hexadecimal digits"),
        "{}",
        wrong.stderr
    );
}
