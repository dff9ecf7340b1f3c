//! Clocks that jump, and that differ between instances.

use std::io::{BufRead, BufReader, Read};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use jiff::Timestamp;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

use super::harness::clock::Clock;
use super::harness::records::ordinary;
use super::harness::setup::{INPUT, topics};
use super::harness::{Broker, Client, Ended, Outlierd, Record, Setup, outlierd_with, until};

const DAY: Duration = Duration::from_secs(86_400);

const STORE: &str = "outlierd-models";

fn run(setup: &Setup, environment: &[(&str, &str)], arguments: &[&str]) -> Ended {
    let config = setup.write();
    let config = ["-c", config.to_str().unwrap()];
    outlierd_with(environment, &[arguments, &config].concat())
}

/// Feeds rows and has the first model learnt from them.
fn fed(broker: &Broker, setup: &Setup) {
    let records: Vec<Record> = ordinary(1, 1000).into_iter().map(Record::of).collect();
    Client::new(&broker.address).feed(INPUT, &records);
    let ended = run(setup, &[], &["retrain"]);
    assert!(ended.status.success(), "{}", ended.stderr);
}

#[test]
fn a_clock_that_jumps_over_slots_has_one_model_trained_and_one_that_goes_back_none() {
    // Half a day from every slot.
    let clock = Clock::new();
    let since_midnight = Duration::from_secs(Timestamp::now().as_second() as u64 % 86_400);
    let noon = DAY + DAY / 2 - since_midnight;
    clock.ahead(noon);
    let broker = Broker::start(&topics(1));
    let mut setup = Setup::new(&broker.address)
        .with_store()
        .set("retrain", "every", "\"24h\"")
        .set("retrain", "jitter", "\"0s\"")
        .set("train", "since", "\"30d\"");
    fed(&broker, &setup);
    for (name, value) in clock.environment() {
        setup = setup.environment(name, &value);
    }
    let setup = setup.set("train", "seed", "9");
    let mut daemon = Outlierd::start_ready(&setup);
    let next = || daemon.status()["retrain"]["next"].clone();
    let another_than = |before: &Value| {
        until("another slot", || {
            let now = next();
            (now != *before && !now.is_null()).then_some(now)
        })
    };
    let today = another_than(&Value::Null);
    clock.ahead(noon + 3 * DAY);
    let last = until("the end of the retrain", || {
        let last = daemon.status()["retrain"]["last"].clone();
        (!last.is_null()).then_some(last)
    });
    assert_ne!(last["outcome"], "failed", "{last} {}", daemon.stderr());
    let in_three_days = another_than(&today);
    // Each time the next slot is shown, it was looked for those that are due.
    for days in [0, 1, 2, 0, 1, 2] {
        let before = next();
        clock.ahead(noon + days * DAY);
        another_than(&before);
    }
    clock.ahead(noon + 3 * DAY);
    until("the third day", || (next() == in_three_days).then_some(()));
    assert_eq!(daemon.status()["retrain"]["last"], last);
    assert_eq!(daemon.stderr().matches("a retrain begins").count(), 1);
    assert!(daemon.terminate().success());
}

/// A process that does not outlive the test, even where it is stopped.
struct Killed(Child);

impl Drop for Killed {
    fn drop(&mut self) {
        self.0.kill().ok();
        self.0.wait().ok();
    }
}

#[test]
fn of_two_that_hold_the_right_to_train_for_a_moment_the_late_one_changes_nothing() {
    let mut names = topics(1).to_vec();
    names.push((STORE, 2));
    let broker = Broker::start(&names);
    let setup = Setup::new(&broker.address)
        .with_store()
        .set("model", "store", &format!("\"kafka://{STORE}\""))
        .set("train", "max_steps", "1500");
    fed(&broker, &setup);
    let config = setup.write();
    let late = Command::new(env!("CARGO_BIN_EXE_outlierd"))
        .args(["retrain", "--json", "-c", config.to_str().unwrap()])
        .env("OUTLIERD__TRAIN__SEED", "2")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut late = Killed(late);
    let late = &mut late.0;
    let mut told = BufReader::new(late.stdout.take().unwrap()).lines();
    let trains = told.find(|line| line.as_ref().unwrap().contains("\"training\""));
    assert!(trains.is_some());
    let pid = Pid::from_child(late);
    kill_process(pid, Signal::STOP).unwrap();
    // By its own clock the other's right has run out.
    let clock = Clock::new();
    let in_time = run(&setup, &[("OUTLIERD__TRAIN__SEED", "3")], &["retrain"]);
    assert!(
        in_time.stderr.contains("another retrain is at work"),
        "{}",
        in_time.stderr
    );
    clock.ahead(Duration::from_secs(300));
    let ahead = clock.environment();
    let mut environment: Vec<(&str, &str)> = vec![("OUTLIERD__TRAIN__SEED", "3")];
    environment.extend(ahead.iter().map(|(name, value)| (*name, value.as_str())));
    let other = run(&setup, &environment, &["retrain", "--json"]);
    let models = run(&setup, &[], &["models", "list", "--json"]).stdout;
    assert!(other.status.success(), "{}", other.stderr);
    kill_process(pid, Signal::CONT).unwrap();
    let rest: Vec<String> = told.map(|line| line.unwrap()).collect();
    let mut said = String::new();
    let mut stderr = late.stderr.take().unwrap();
    stderr.read_to_string(&mut said).unwrap();
    assert!(!late.wait().unwrap().success(), "{rest:?} {said}");
    assert!(said.contains("has taken over"), "{said}");
    assert!(!rest.iter().any(|line| line.contains("done")), "{rest:?}");
    assert_eq!(
        run(&setup, &[], &["models", "list", "--json"]).stdout,
        models
    );
}
