//! `[output]` and `[dead_letter]`: where records go.

use std::collections::BTreeSet;

use super::error::Wrong;
use super::name;
use super::quantity::one_of;
use super::secret::Secret;
use super::section::Section;
use super::source::Surroundings;

/// A shorter key could be guessed by trying.
const SHORTEST_KEY: usize = 16;
const MOST_REDACTED: usize = 256;

/// `[output]`: where outliers go and how much of a record goes with them.
#[derive(Debug, Clone, PartialEq)]
pub struct Output {
    pub topic: String,
    pub record: Copied,
    /// Paths whose values are replaced by a keyed hash wherever a record is shown; `$key` is the
    /// Kafka key.
    pub redact: Vec<String>,
    /// The key of that hash; required when `redact` is not empty.
    pub redact_key: Option<Secret>,
}

/// How much of the record an outlier message copies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Copied {
    Full,
    /// Only the configured fields.
    Fields,
    None,
}

/// `[dead_letter]`: where records go that cannot be scored.
#[derive(Debug, Clone, PartialEq)]
pub struct DeadLetter {
    pub topic: String,
    /// Whether the raw bytes go with the position and the class.
    pub payload: bool,
}

/// `[audit]`: where it goes what was decided of all records.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Audit {
    /// Without one there is no audit.
    pub topic: Option<String>,
}

/// `[feedback]`: what people say of outliers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Feedback {
    /// Without one nobody is listened to.
    pub topic: Option<String>,
}

const COPIED: [(&str, Copied); 3] = [
    ("full", Copied::Full),
    ("fields", Copied::Fields),
    ("none", Copied::None),
];

impl Output {
    pub(super) fn read(
        mut section: Section<'_>,
        input_topic: Option<&str>,
        surroundings: &Surroundings,
    ) -> Option<Self> {
        let topic = derived_topic(&mut section, input_topic, "outliers");
        let record = section.or("record", "full", one_of(&COPIED));
        let redact = section.list("redact", "[]", 0..=MOST_REDACTED, name::path);
        let redact = redact.and_then(|paths| without_repeats(&mut section, paths));
        let redact_key = Secret::optional(&mut section, "redact_key", surroundings, long_enough);
        let lacks_key = redact.as_ref().is_some_and(|paths| !paths.is_empty())
            && matches!(redact_key, Some(None));
        if lacks_key {
            let remedy = "set it, such as redact_key = { env = \"OUTLIERD_REDACT_KEY\" }";
            let wrong = Wrong::new("is missing, but `output.redact` needs it", remedy);
            section.refuse("redact_key", None, wrong);
        }
        section.finish();
        let output = Self {
            topic: topic?,
            record: record?,
            redact: redact?,
            redact_key: redact_key?,
        };
        (!lacks_key).then_some(output)
    }
}

impl DeadLetter {
    pub(super) fn read(mut section: Section<'_>, input_topic: Option<&str>) -> Option<Self> {
        let topic = derived_topic(&mut section, input_topic, "dead-letters");
        let payloads = one_of(&[("full", true), ("none", false)]);
        let payload = section.or("payload", "full", payloads);
        section.finish();
        Some(Self {
            topic: topic?,
            payload: payload?,
        })
    }
}

impl Audit {
    pub(super) fn read(mut section: Section<'_>) -> Option<Self> {
        let topic = section.optional("topic", name::topic);
        section.finish();
        Some(Self { topic: topic? })
    }
}

impl Feedback {
    pub(super) fn read(mut section: Section<'_>) -> Option<Self> {
        let topic = section.optional("topic", name::topic);
        section.finish();
        Some(Self { topic: topic? })
    }
}

/// The topic that is set, or the input's with a suffix.
fn derived_topic(
    section: &mut Section<'_>,
    input_topic: Option<&str>,
    suffix: &str,
) -> Option<String> {
    if let Some(topic) = section.optional("topic", name::topic)? {
        return Some(topic);
    }
    let derived = format!("{}.{suffix}", input_topic?);
    match name::topic(&derived) {
        Ok(topic) => Some(topic),
        Err(wrong) => {
            let value = Some(format!("{derived:?}"));
            section.refuse(
                "topic",
                value,
                Wrong::new(wrong.problem, "set a shorter one"),
            );
            None
        }
    }
}

fn without_repeats(section: &mut Section<'_>, paths: Vec<String>) -> Option<Vec<String>> {
    let mut seen = BTreeSet::new();
    let repeated = paths.iter().position(|path| !seen.insert(path));
    let Some(index) = repeated else {
        return Some(paths);
    };
    let value = paths.get(index).map(|path| format!("{path:?}"));
    let wrong = Wrong::new("stands further up already", "remove one");
    section.refuse(&format!("redact[{index}]"), value, wrong);
    None
}

fn long_enough(key: &Secret) -> Result<(), Wrong> {
    if key.expose().len() >= SHORTEST_KEY {
        return Ok(());
    }
    let problem = format!("is shorter than {SHORTEST_KEY} bytes: it could be guessed");
    Err(Wrong::new(problem, "make one with `openssl rand -hex 32`"))
}
