//! What the audit topic says: which disposition every record had, so that a reader can prove that none was left out.
//!
//! One message for each partition and commit: a range of offsets, the records in it by disposition, and a hash over what
//! was decided of each. The ranges of a partition tile its log. At least once they can overlap after a crash, with equal
//! hashes over equal ranges; exactly once they cannot.

use std::collections::BTreeMap;

use serde::Serialize;
use sha2::{Digest, Sha256};

use super::{Batch, Judged};
use crate::detect::hex;
use crate::kafka::{Destination, Outgoing};

/// Version of the audit message's schema.
const SCHEMA: u8 = 1;

/// A record's disposition in the hash.
const NORMAL: u8 = 0;
const OUTLIER: u8 = 1;
const DEAD_LETTER: u8 = 2;
const SKIPPED: u8 = 3;

/// What was decided since the last commit, by partition.
pub(super) struct Audit {
    topic: String,
    model: String,
    stretches: BTreeMap<i32, Stretch>,
    /// Of each record of the batch at hand.
    dispositions: Vec<u8>,
}

/// A range of one partition that is not committed yet.
struct Stretch {
    from: i64,
    to: i64,
    /// By disposition.
    counts: [u64; 4],
    hash: Sha256,
}

#[derive(Serialize)]
struct AuditMessage<'a> {
    schema: u8,
    topic: &'a str,
    partition: i32,
    /// Inclusive.
    from: i64,
    /// Exclusive.
    to: i64,
    normal: u64,
    outliers: u64,
    dead_letters: u64,
    skipped: u64,
    /// Version of the model.
    model: &'a str,
    sha256: String,
}

impl Stretch {
    fn new(from: i64) -> Stretch {
        Stretch {
            from,
            to: from,
            counts: [0; 4],
            hash: Sha256::new(),
        }
    }
}

impl Audit {
    pub(super) fn new(topic: &str, model: &str) -> Audit {
        Audit {
            topic: topic.to_owned(),
            model: model.to_owned(),
            stretches: BTreeMap::new(),
            dispositions: Vec::new(),
        }
    }

    /// Names another model from here on. What the one before has judged has been told.
    pub(super) fn judged_by(&mut self, version: &str) {
        version.clone_into(&mut self.model);
    }

    /// `partition` is ours from `next` on.
    pub(super) fn assigned(&mut self, partition: i32, next: i64) {
        self.stretches.insert(partition, Stretch::new(next));
    }

    pub(super) fn revoked(&mut self, partition: i32) {
        self.stretches.remove(&partition);
    }

    /// Takes in a batch whose verdicts are made. The hash of a record is that over its offset, its disposition and the bits
    /// of its score (0 if it has none), little-endian: 13 bytes.
    pub(super) fn add(&mut self, batch: &Batch, judged: &Judged) {
        self.dispositions.clear();
        let scored = judged.scores.iter();
        self.dispositions
            .extend(scored.map(|score| match score.is_nan() {
                true => SKIPPED,
                false => NORMAL,
            }));
        for finding in &judged.outliers {
            self.dispositions[finding.record] = OUTLIER;
        }
        for dead in &judged.dead_letters {
            self.dispositions[dead.record] = DEAD_LETTER;
        }
        for ((record, &disposition), score) in batch
            .records()
            .iter()
            .zip(&self.dispositions)
            .zip(&judged.scores)
        {
            let stretch = self
                .stretches
                .entry(record.partition)
                .or_insert_with(|| Stretch::new(record.offset));
            let scored = matches!(disposition, NORMAL | OUTLIER);
            let bits = if scored { score.to_bits() } else { 0 };
            stretch.hash.update(record.offset.to_le_bytes());
            stretch.hash.update([disposition]);
            stretch.hash.update(bits.to_le_bytes());
            stretch.counts[usize::from(disposition)] += 1;
            stretch.to = record.offset + 1;
        }
    }

    /// The messages about everything since the last call, each with its partition.
    pub(super) fn messages(&mut self) -> Vec<(i32, Outgoing)> {
        let (topic, model) = (&self.topic, &self.model);
        let moved = self
            .stretches
            .iter_mut()
            .filter(|(_, stretch)| stretch.to > stretch.from);
        let message = |(&partition, stretch): (&i32, &mut Stretch)| {
            let done = std::mem::replace(stretch, Stretch::new(stretch.to));
            let [normal, outliers, dead_letters, skipped] = done.counts;
            let message = AuditMessage {
                schema: SCHEMA,
                topic,
                partition,
                from: done.from,
                to: done.to,
                normal,
                outliers,
                dead_letters,
                skipped,
                model,
                sha256: hex(&done.hash.finalize()),
            };
            let outgoing = Outgoing {
                to: Destination::Audit,
                // The ranges of a partition stand in one partition of the audit topic, in their order.
                key: Some(format!("{topic}:{partition}").into_bytes()),
                // Numbers and strings cannot fail to serialise.
                payload: serde_json::to_vec(&message).unwrap_or_default(),
                headers: Vec::new(),
            };
            (partition, outgoing)
        };
        moved.map(message).collect()
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::metrics::DeadLetterClass;
    use crate::pipeline::DeadLetter;

    fn told(audit: &mut Audit) -> Vec<Value> {
        let messages = audit.messages().into_iter();
        messages
            .map(|(_, outgoing)| serde_json::from_slice(&outgoing.payload).unwrap())
            .collect()
    }

    fn batch(offsets: std::ops::Range<i64>) -> (Batch, Judged) {
        let mut batch = Batch::default();
        let mut judged = Judged::default();
        for offset in offsets {
            batch.push(4, offset, -1, None, Some(b"{}"));
            judged.scores.push(if offset % 5 == 0 {
                f32::NAN
            } else {
                offset as f32
            });
        }
        judged.dead_letters.push(DeadLetter {
            record: 0,
            class: DeadLetterClass::Utf8,
            error: String::new(),
        });
        (batch, judged)
    }

    #[test]
    fn ranges_tile_and_their_hash_is_that_of_the_records() {
        let mut audit = Audit::new("readings", "abc");
        audit.assigned(4, 8);
        assert!(audit.messages().is_empty());
        // Offsets 8 and 9 are the transaction's that wrote the topic.
        let (first, judged) = batch(10..13);
        audit.add(&first, &judged);
        let mut hash = Sha256::new();
        for (offset, disposition, score) in [(10_i64, 2_u8, 0_f32), (11, 0, 11.0), (12, 0, 12.0)] {
            hash.update(offset.to_le_bytes());
            hash.update([disposition]);
            hash.update(score.to_bits().to_le_bytes());
        }
        let wanted = json!({
            "schema": 1, "topic": "readings", "partition": 4, "from": 8, "to": 13, "normal": 2, "outliers": 0,
            "dead_letters": 1, "skipped": 0, "model": "abc", "sha256": hex(&hash.finalize()),
        });
        assert_eq!(told(&mut audit), [wanted]);
        let (second, judged) = batch(13..17);
        audit.add(&second, &judged);
        let second = &told(&mut audit)[0];
        assert_eq!((&second["from"], &second["to"]), (&json!(13), &json!(17)));
        assert_eq!(second["skipped"], 1);
        assert!(told(&mut audit).is_empty());
    }
}
