//! Holds the audit topic against what had to be decided of every record.

use std::collections::BTreeMap;

use serde_json::Value;
use sha2::{Digest, Sha256};

use crate::harness::Message;
use crate::stream::Stream;

/// What is wrong with the audit of a whole stream, if anything: a hole, an overlap where there may be none, a hash or a count that is
/// not that of the records.
pub fn fault(stream: &Stream, messages: &[Message], exactly_once: bool) -> Option<String> {
    let mut done = BTreeMap::<i64, i64>::new();
    for message in messages {
        let told = message.json();
        let number = |name: &str| told[name].as_i64().unwrap();
        let (partition, from, to) = (number("partition"), number("from"), number("to"));
        let next = done.entry(partition).or_default();
        if from > *next {
            return Some(format!("no audit of {partition}: {next} to {from}"));
        }
        if from < *next && exactly_once {
            return Some(format!("two audits of {partition}: {from} to {next}"));
        }
        *next = to.max(*next);
        if let Some(wrong) = wrong(stream, &told, partition, from..to) {
            return Some(format!("{partition}, {from} to {to}: {wrong}"));
        }
    }
    let all: i64 = done.values().sum();
    (all != stream.len() as i64).then(|| format!("an audit of {all} records only"))
}

fn wrong(
    stream: &Stream,
    told: &Value,
    partition: i64,
    offsets: std::ops::Range<i64>,
) -> Option<String> {
    let (mut hash, mut counts) = (Sha256::new(), [0_u64; 4]);
    for offset in offsets {
        let place = (partition, offset);
        let disposition = match () {
            () if stream.dead_letters.contains_key(&place) => 2_u8,
            () if stream.outliers.contains_key(&place) => 1,
            () => 0,
        };
        hash.update(offset.to_le_bytes());
        hash.update([disposition]);
        hash.update(
            stream
                .scores
                .get(&place)
                .copied()
                .unwrap_or(0)
                .to_le_bytes(),
        );
        counts[usize::from(disposition)] += 1;
    }
    let names = ["normal", "outliers", "dead_letters", "skipped"];
    for (name, count) in names.iter().zip(counts) {
        if told[name] != count {
            return Some(format!("{} {name} instead of {count}", told[name]));
        }
    }
    let wanted: String = hash
        .finalize()
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    (told["sha256"] != wanted).then(|| "another hash".to_owned())
}
