//! `[input]`: what is read.

use super::error::Wrong;
use super::filter::Filter;
use super::name;
use super::quantity::{bytes, one_of};
use super::section::Section;
use super::suggestion::nearest;

/// `[input]`: what is read.
#[derive(Debug, Clone, PartialEq)]
pub struct Input {
    pub topic: String,
    /// The consumer group.
    pub group: String,
    /// Where a group without committed offsets starts.
    pub start: Start,
    /// What happens to a partition whose next records are not in the log any more.
    pub on_data_loss: OnDataLoss,
    /// `where`: records that do not match are skipped, and counted as filtered.
    pub filter: Option<Filter>,
    /// Path of the field that names what an episode belongs to; without it the Kafka key does.
    pub key: Option<String>,
    /// Path of the event time; without it the Kafka timestamp is used.
    pub time: Option<String>,
    /// What happens to a record that lacks a field (a field's `required` overrides it).
    pub missing: Policy,
    /// What happens to a record with a field of the wrong type.
    pub wrong_type: Policy,
    /// Records longer than this go to the dead letters as `too_large`. Bytes.
    pub max_record_bytes: usize,
}

/// Where a group without committed offsets starts reading.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Start {
    Latest,
    Earliest,
    /// Right after the last offset that the model was trained on.
    AfterTraining,
    /// At the first record at or after this instant.
    Time(jiff::Timestamp),
}

/// What is done when records were lost before they were read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnDataLoss {
    /// The partition stands still until a person decides.
    Halt,
    /// It goes on with the first record that there is.
    Continue,
}

const ON_DATA_LOSS: [(&str, OnDataLoss); 2] = [
    ("halt", OnDataLoss::Halt),
    ("continue", OnDataLoss::Continue),
];

/// What is done with a cell that cannot be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Policy {
    /// The cell counts as missing: masked in the likelihood.
    Mask,
    /// The record becomes a dead letter.
    DeadLetter,
}

const POLICIES: [(&str, Policy); 2] = [("mask", Policy::Mask), ("dead_letter", Policy::DeadLetter)];

const STARTS: [(&str, Start); 3] = [
    ("latest", Start::Latest),
    ("earliest", Start::Earliest),
    ("after_training", Start::AfterTraining),
];

impl Input {
    /// Records that come from no topic, as the rows of a file: nothing is filtered, what is missing is
    /// masked, and no record is too long.
    pub fn of_records() -> Input {
        Input {
            topic: String::new(),
            group: String::new(),
            start: Start::Earliest,
            on_data_loss: OnDataLoss::Halt,
            filter: None,
            key: None,
            time: None,
            missing: Policy::Mask,
            wrong_type: Policy::DeadLetter,
            max_record_bytes: usize::MAX,
        }
    }

    pub(super) fn read(mut section: Section<'_>) -> Option<Self> {
        let remedy = "name the topic that is read, such as topic = \"readings\"";
        let topic = section.required("topic", remedy, name::topic);
        let group = section.or("group", "outlierd", name::group);
        let start = section.or("start", "latest", Start::parse);
        let on_data_loss = section.or("on_data_loss", "halt", one_of(&ON_DATA_LOSS));
        let filter = section.optional("where", Filter::parse);
        let key = section.optional("key", name::path);
        let time = section.optional("time", name::path);
        let missing = section.or("missing", "mask", one_of(&POLICIES));
        let wrong_type = section.or("wrong_type", "dead_letter", one_of(&POLICIES));
        let sizes = bytes(1 << 10..=64 << 20);
        let max_record_bytes = section.or("max_record_bytes", "1MiB", sizes);
        section.finish();
        Some(Self {
            topic: topic?,
            group: group?,
            start: start?,
            on_data_loss: on_data_loss?,
            filter: filter?,
            key: key?,
            time: time?,
            missing: missing?,
            wrong_type: wrong_type?,
            max_record_bytes: max_record_bytes?,
        })
    }
}

impl Start {
    fn parse(text: &str) -> Result<Self, Wrong> {
        if let Some((_, start)) = STARTS.iter().find(|(word, _)| *word == text) {
            return Ok(*start);
        }
        if let Ok(instant) = text.parse() {
            return Ok(Self::Time(instant));
        }
        let all = "write \"latest\", \"earliest\", \"after_training\" or an instant such as \
                   \"2026-01-31T08:00:00Z\"";
        let remedy = match nearest(text, STARTS.iter().map(|(word, _)| *word)) {
            Some(word) => format!("did you mean {word:?}? {all}"),
            None => all.to_owned(),
        };
        Err(Wrong::new(
            "is neither a place to start nor an instant",
            remedy,
        ))
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
mod tests {
    use super::*;

    #[test]
    fn a_start_is_a_word_or_an_instant() {
        assert_eq!(Start::parse("after_training"), Ok(Start::AfterTraining));
        let instant = jiff::Timestamp::from_second(1_769_846_400).unwrap();
        assert_eq!(
            Start::parse("2026-01-31T08:00:00Z"),
            Ok(Start::Time(instant))
        );
        assert_eq!(
            Start::parse("2026-01-31T10:00:00+02:00"),
            Ok(Start::Time(instant))
        );
    }

    #[test]
    fn an_instant_without_an_offset_from_utc_is_refused() {
        assert!(Start::parse("2026-01-31T08:00:00").is_err());
        assert!(Start::parse("2026-01-31").is_err());
    }

    #[test]
    fn a_misspelt_start_is_recognised() {
        let wrong = Start::parse("erliest").unwrap_err();
        assert!(wrong.remedy.starts_with("did you mean \"earliest\"?"));
    }
}
