//! Is what is committed still in the log? And if not, what was lost, and where could one go on?

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::TopicId;

/// Records that can no longer be read, or offsets that no longer mean what they meant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Loss {
    pub cause: Cause,
    /// The offset that should have come next, if it is known.
    pub from: Option<i64>,
    /// The first offset after the loss that can be read.
    pub to: i64,
}

/// What happened to the log, or to what the group knew of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cause {
    /// Records were deleted before they were read.
    Retention,
    /// The log ends before the offset: its newest records are gone, and others will get their offsets.
    CutShort,
    /// The topic was deleted and made anew: its offsets are those of other records.
    MadeAnew,
    /// The group had an offset and has none any more.
    Forgotten,
}

impl Loss {
    /// What is lost if `next` should come next and the log holds `low` up to before `high`.
    pub fn between(next: i64, low: i64, high: i64) -> Option<Loss> {
        let known = Known { next, topic: None };
        let topic = None;
        known.lost_in(Log { topic, low, high })
    }

    /// How many records are known to be lost.
    pub fn records(&self) -> u64 {
        match (self.cause, self.from) {
            (Cause::Retention, Some(from)) => u64::try_from(self.to - from).unwrap_or(0),
            _ => 0,
        }
    }
}

impl fmt::Display for Loss {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let to = self.to;
        let from = self.from.map_or("unknown".into(), |from| from.to_string());
        match self.cause {
            Cause::Retention => write!(
                f,
                "records {from} to {} were deleted before they were read",
                to - 1
            ),
            Cause::CutShort => write!(
                f,
                "the log was cut short: offset {from} is next, and it ends at {to}"
            ),
            Cause::MadeAnew => write!(
                f,
                "the topic was deleted and made anew: offset {from} is of the old one, the new one begins at {to}"
            ),
            Cause::Forgotten => write!(
                f,
                "the group's committed offset vanished (it was {from}); the log begins at {to}"
            ),
        }
    }
}

/// What is known of a partition: the next offset, and the id of the topic that it is an offset of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Known {
    pub(super) next: i64,
    pub(super) topic: Option<TopicId>,
}

/// The log as it is: the topic's id, its first offset and the one after its last.
#[derive(Debug, Clone, Copy)]
pub(super) struct Log<'a> {
    pub(super) topic: Option<&'a TopicId>,
    pub(super) low: i64,
    pub(super) high: i64,
}

impl Known {
    /// What is lost between what was done and what is there. An id that is not known on one side tells nothing.
    pub(super) fn lost_in(&self, log: Log<'_>) -> Option<Loss> {
        let anew = matches!((&self.topic, log.topic), (Some(then), Some(now)) if then != now);
        let (cause, to) = match self.next {
            _ if anew => (Cause::MadeAnew, log.low),
            next if next < log.low => (Cause::Retention, log.low),
            next if next > log.high => (Cause::CutShort, log.high),
            _ => return None,
        };
        Some(Loss {
            cause,
            from: Some(self.next),
            to,
        })
    }
}

/// What this process has committed, by partition. A group's offsets can vanish, as when their topic is deleted; this
/// outlives the line.
#[derive(Debug, Default)]
pub struct Trail(Mutex<BTreeMap<i32, Known>>);

impl Trail {
    fn committed(&self) -> MutexGuard<'_, BTreeMap<i32, Known>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn passed(&self, partition: i32, next: i64, topic: Option<TopicId>) {
        self.committed().insert(partition, Known { next, topic });
    }

    pub(super) fn known(&self, partition: i32) -> Option<Known> {
        self.committed().get(&partition).cloned()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn ids() -> impl Strategy<Value = Option<TopicId>> {
        prop::option::of(prop::sample::select(vec!["a", "b"]).prop_map(TopicId::of))
    }

    proptest! {
        #[test]
        fn only_an_offset_within_the_log_of_the_same_topic_is_no_loss(
            next in 0i64..40, low in 0i64..40, length in 0i64..40, then in ids(), now in ids(),
        ) {
            let high = low + length;
            let log = Log { topic: now.as_ref(), low, high };
            let known = Known { next, topic: then.clone() };
            let same = then.is_none() || now.is_none() || then == now;
            match known.lost_in(log) {
                None => prop_assert!(same && (low..=high).contains(&next)),
                Some(loss) => {
                    prop_assert!(!same || !(low..=high).contains(&next));
                    // Whoever goes on there reads what can be read, and loses no more.
                    prop_assert!((low..=high).contains(&loss.to));
                    prop_assert_eq!(loss.cause == Cause::MadeAnew, !same);
                    if same && next < low {
                        prop_assert_eq!(loss.records(), (low - next) as u64);
                    } else {
                        prop_assert_eq!(loss.records(), 0);
                    }
                }
            }
        }
    }

    #[test]
    fn a_loss_says_its_range() {
        let lost = |cause, from, to| Loss { cause, from, to }.to_string();
        assert_eq!(
            lost(Cause::Retention, Some(7), 12),
            "records 7 to 11 were deleted before they were read"
        );
        assert!(lost(Cause::Forgotten, None, 3).contains("it was unknown"));
    }
}
