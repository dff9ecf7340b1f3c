//! Dead letters as they are read back (`docs/messages.md`), and what became of them.
//!
//! A letter that is replayed leaves a marker on the dead-letter topic: which letter, and where its record stands now.
//! So a letter about *that* record is known to be about a replayed one, and nothing but the topic has to be read.

use std::collections::BTreeMap;

use crate::kafka::Read;

/// Headers of a marker: the letter's id, the record's new place as `partition:offset`, how often it was replayed by now.
pub const REPLAYED: &str = "outlierd.replayed";
pub const REPLAYED_AS: &str = "outlierd.replayed_as";
pub const REPLAYS: &str = "outlierd.replays";

/// Header of a replayed record: the id of the letter that it was.
pub const REPLAY_OF: &str = "outlierd.replay_of";

/// What a dead letter says of itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Letter {
    /// Partition and offset on the dead-letter topic.
    pub at: (i32, i64),
    pub id: String,
    pub class: String,
    /// Where the record stands.
    pub topic: String,
    pub place: (i32, i64),
    /// RFC 3339; empty if the record has none.
    pub timestamp: String,
    pub error: String,
    /// Whether the record itself is not in it.
    pub by_reference: bool,
    /// Bytes of its value.
    pub bytes: usize,
}

impl Letter {
    /// The record's time, if it has one.
    pub fn time(&self) -> Option<jiff::Timestamp> {
        self.timestamp.parse().ok()
    }
}

/// All letters of a topic, oldest first within a partition, and the markers among them.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Letters {
    pub letters: Vec<Letter>,
    /// Messages that are neither.
    pub foreign: usize,
    /// Where the record of a letter stands now, by the letter's id.
    replayed: BTreeMap<String, (i32, i64)>,
    /// How often the record at a place was replayed before.
    replays: BTreeMap<(i32, i64), u32>,
}

impl Letters {
    /// Takes in a message of the dead-letter topic.
    pub fn add(&mut self, read: &Read<'_>) {
        let header = |name: &str| Some(std::str::from_utf8(read.header(name)?).ok()?.to_owned());
        if let Some(letter) = letter(read, header) {
            self.letters.push(letter);
        } else if let (Some(id), Some(place), Some(replays)) = (
            header(REPLAYED),
            header(REPLAYED_AS).as_deref().and_then(place),
            header(REPLAYS).and_then(|replays| replays.parse().ok()),
        ) {
            self.replays.insert(place, replays);
            self.replayed.insert(id, place);
        } else {
            self.foreign += 1;
        }
    }

    /// How often the record of `letter` had been replayed when it became this letter.
    pub fn replays(&self, letter: &Letter) -> u32 {
        self.replays.get(&letter.place).copied().unwrap_or(0)
    }

    /// Where the record of `letter` stands now, if it was replayed since.
    pub fn replayed_as(&self, letter: &Letter) -> Option<(i32, i64)> {
        self.replayed.get(&letter.id).copied()
    }
}

fn letter(read: &Read<'_>, header: impl Fn(&str) -> Option<String>) -> Option<Letter> {
    let number = |name| header(name)?.parse().ok();
    Some(Letter {
        at: (read.partition, read.offset),
        id: header("outlierd.id")?,
        class: header("outlierd.class")?,
        topic: header("outlierd.topic")?,
        place: (
            i32::try_from(number("outlierd.partition")?).ok()?,
            number("outlierd.offset")?,
        ),
        timestamp: header("outlierd.timestamp").unwrap_or_default(),
        error: header("outlierd.error").unwrap_or_default(),
        by_reference: header("outlierd.reference").is_some(),
        bytes: read.payload.map_or(0, <[u8]>::len),
    })
}

/// `partition:offset`.
pub fn place(text: &str) -> Option<(i32, i64)> {
    let (partition, offset) = text.split_once(':')?;
    Some((partition.parse().ok()?, offset.parse().ok()?))
}

/// Which letters are meant.
#[derive(Debug, Clone, Default)]
pub struct Filter {
    /// Ids; all if empty.
    pub ids: Vec<String>,
    /// Classes; all if empty.
    pub classes: Vec<String>,
    /// Partition of the record.
    pub partition: Option<i32>,
    /// The record's time is not before this one.
    pub since: Option<jiff::Timestamp>,
    /// It is before this one.
    pub until: Option<jiff::Timestamp>,
}

impl Filter {
    /// A record without a time is within no bounds of time.
    pub fn holds(&self, letter: &Letter) -> bool {
        let time = letter.time();
        let one_of = |wanted: &[String], has: &String| wanted.is_empty() || wanted.contains(has);
        one_of(&self.ids, &letter.id)
            && one_of(&self.classes, &letter.class)
            && self.partition.is_none_or(|wanted| letter.place.0 == wanted)
            && self
                .since
                .is_none_or(|since| time.is_some_and(|time| time >= since))
            && self
                .until
                .is_none_or(|until| time.is_some_and(|time| time < until))
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn one(id: &str, class: &str, place: (i32, i64), timestamp: &str) -> Letter {
        Letter {
            at: (0, 0),
            id: id.into(),
            class: class.into(),
            topic: "readings".into(),
            place,
            timestamp: timestamp.into(),
            error: String::new(),
            by_reference: false,
            bytes: 0,
        }
    }

    #[test]
    fn all_that_is_asked_for_must_hold() {
        let early = one("a", "utf8", (0, 1), "2026-01-01T00:00:00Z");
        let late = one("b", "json_syntax", (1, 1), "2026-01-02T00:00:00Z");
        let timeless = one("c", "utf8", (1, 2), "");
        let all = [&early, &late, &timeless];
        let ids = |filter: Filter| -> Vec<&str> {
            let held = all.iter().filter(|letter| filter.holds(letter));
            held.map(|letter| letter.id.as_str()).collect()
        };
        assert_eq!(ids(Filter::default()), ["a", "b", "c"]);
        let of_class = Filter {
            classes: vec!["utf8".into()],
            ..Filter::default()
        };
        assert_eq!(ids(of_class.clone()), ["a", "c"]);
        let of_both = Filter {
            partition: Some(1),
            ..of_class
        };
        assert_eq!(ids(of_both), ["c"]);
        let noon = Some("2026-01-01T12:00:00Z".parse().unwrap());
        let since = Filter {
            since: noon,
            ..Filter::default()
        };
        assert_eq!(ids(since), ["b"]);
        let until = Filter {
            until: noon,
            ..Filter::default()
        };
        assert_eq!(ids(until), ["a"]);
        let named = Filter {
            ids: vec!["b".into(), "x".into()],
            ..Filter::default()
        };
        assert_eq!(ids(named), ["b"]);
    }

    #[test]
    fn a_letter_about_a_replayed_record_knows_how_often() {
        let mut letters = Letters::default();
        letters.replays.insert((0, 7), 2);
        letters.replayed.insert("a".into(), (0, 7));
        let first = one("a", "utf8", (0, 1), "");
        let again = one("b", "utf8", (0, 7), "");
        assert_eq!((letters.replays(&first), letters.replays(&again)), (0, 2));
        assert_eq!(letters.replayed_as(&first), Some((0, 7)));
        assert_eq!(letters.replayed_as(&again), None);
    }

    #[test]
    fn a_place_is_two_numbers() {
        assert_eq!(place("3:17"), Some((3, 17)));
        assert_eq!(place("3"), None);
        assert_eq!(place("a:b"), None);
    }
}
