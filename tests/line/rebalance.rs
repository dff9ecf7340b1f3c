//! Instances share a group: one comes, one goes, nothing is lost.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;

use super::harness::client::{Offsets, committed_of};
use super::harness::records::readings;
use super::harness::scores::{score_bits, verdicts};
use super::harness::setup::{GROUP, INPUT, OUTLIERS, topics};
use super::harness::{Broker, Client, Outlierd, Record, Setup, until};

const PARTITIONS: i32 = 4;
const CHUNK: usize = 1500;

/// Asks for the committed offsets all the time; its result is whether they ever went back.
fn watch_commits(client: &Client, stop: &Arc<AtomicBool>) -> JoinHandle<(usize, Vec<String>)> {
    let (watcher, stop) = (client.watcher(GROUP), Arc::clone(stop));
    std::thread::spawn(move || {
        let (mut last, mut looks, mut steps_back) = (Offsets::new(), 0, Vec::new());
        while !stop.load(Ordering::Relaxed) {
            let now = committed_of(&watcher, INPUT, 0..PARTITIONS);
            for (partition, &before) in &last {
                let after = now.get(partition).copied();
                if after.is_none_or(|after| after < before) {
                    steps_back.push(format!("partition {partition}: {before} then {after:?}"));
                }
            }
            last = now;
            looks += 1;
        }
        (looks, steps_back)
    })
}

struct Stream<'a> {
    client: &'a Client,
    rows: Vec<String>,
    /// Rows by partition and offset.
    places: BTreeMap<(i64, i64), usize>,
}

impl Stream<'_> {
    fn feed(&mut self, seed: u64) {
        let begin = self.rows.len();
        self.rows.extend(readings(seed, CHUNK, 12));
        let records: Vec<Record> = (begin..self.rows.len())
            .map(|row| {
                let partition = row as i64 % i64::from(PARTITIONS);
                self.places
                    .insert((partition, row as i64 / i64::from(PARTITIONS)), row);
                Record::of(self.rows[row].as_str()).to(i32::try_from(partition).unwrap())
            })
            .collect();
        self.client.feed(INPUT, &records);
    }

    #[track_caller]
    fn wait_committed(&self) {
        let ends = self.client.ends(INPUT);
        until("the commit of all", || {
            (self.client.committed(GROUP, INPUT) == ends).then_some(())
        });
    }
}

#[test]
fn when_instances_come_and_go_nothing_is_lost_and_no_commit_goes_back() {
    let broker = Broker::start(&topics(PARTITIONS));
    let client = Client::new(&broker.address);
    let setup = Setup::new(&broker.address).set("line", "batch_rows", "64");
    let other_setup = Setup::new(&broker.address).set("line", "batch_rows", "64");
    let stop = Arc::new(AtomicBool::new(false));
    let watch = watch_commits(&client, &stop);
    let mut stream = Stream {
        client: &client,
        rows: Vec::new(),
        places: BTreeMap::new(),
    };
    let assigned = |daemon: &Outlierd, count: u64| {
        until(&format!("{count} partitions"), || {
            (daemon.metric("outlierd_assigned_partitions") == count).then_some(())
        });
    };
    let rebalances = |daemon: &Outlierd, kind| {
        daemon.metric(&format!("outlierd_rebalances_total{{kind=\"{kind}\"}}"))
    };

    stream.feed(41);
    let mut stays = Outlierd::start_ready(&setup);
    assigned(&stays, 4);
    // It joins while there is work.
    stream.feed(42);
    let mut goes = Outlierd::start(&other_setup);
    assigned(&goes, 2);
    assigned(&stays, 2);
    assert!(rebalances(&stays, "revoked") > 0 && rebalances(&goes, "assigned") > 0);
    stream.feed(43);
    stream.wait_committed();
    assert!(goes.records() > 0, "the second instance did nothing");
    // It leaves while there is work.
    stream.feed(44);
    assert!(goes.terminate().success());
    assigned(&stays, 4);
    stream.feed(45);
    stream.wait_committed();
    assert!(stays.terminate().success());

    stop.store(true, Ordering::Relaxed);
    let (looks, steps_back) = watch.join().unwrap();
    assert!(looks > 100, "the commits were looked at {looks} times");
    assert!(steps_back.is_empty(), "{steps_back:?}");
    assert_complete(&client, &setup, &stream);
}

/// Every outlier that had to come stands there, and every score is what it had to be.
fn assert_complete(client: &Client, setup: &Setup, stream: &Stream<'_>) {
    let verdicts = verdicts(setup, &stream.rows);
    let mut found = BTreeSet::new();
    for message in client.read(OUTLIERS) {
        let message = message.json();
        let place = (
            message["partition"].as_i64().unwrap(),
            message["offset"].as_i64().unwrap(),
        );
        let row = stream.places[&place];
        assert_eq!(score_bits(&message), verdicts[row].score_bits, "{place:?}");
        found.insert(row);
    }
    let expected: BTreeSet<usize> = (0..stream.rows.len())
        .filter(|&row| verdicts[row].flagged)
        .collect();
    let different: Vec<_> = found.symmetric_difference(&expected).collect();
    assert!(different.is_empty(), "lost or made up: {different:?}");
}
