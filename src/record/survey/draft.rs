//! A survey's report as a configuration file.

use super::field::{FieldReport, Reason, Suggestion, Values};
use super::notation::{cut, instant, number, percent, quoted, shown};
use super::report::Report;
use super::shapes::equals;
use crate::config::Kind;

/// Words of a field, and paths of a shape, that a comment lists.
const LISTED_WORDS: usize = 5;
const LISTED_PATHS: usize = 12;

pub(super) fn configuration(report: &Report, brokers: &str, topic: &str) -> String {
    let mut draft = Draft::default();
    draft.head(report);
    draft.line(&format!("\n[kafka]\nbrokers = {}", quoted(brokers)));
    draft.line(&format!("\n[input]\ntopic = {}", quoted(topic)));
    draft.shapes(report);
    draft.long(report);
    draft.roles(report);
    draft.fields(report);
    draft.output(report, topic);
    draft.line("\n[detect]");
    draft.line("# How many outliers there should be: a share, or a rate such as \"20/day\".");
    draft.line("budget = \"0.1%\"");
    draft.text
}

/// The file as far as it is written.
#[derive(Default)]
struct Draft {
    text: String,
}

impl Draft {
    fn line(&mut self, line: &str) {
        self.text.push_str(line);
        self.text.push('\n');
    }

    fn head(&mut self, report: &Report) {
        let Report {
            rows, unreadable, ..
        } = report;
        self.line(&format!(
            "# Written from a sample of {rows} records. Read it through before you use it."
        ));
        if *unreadable > 0 {
            self.line(&format!(
                "# {unreadable} more are no JSON objects: such records become dead letters."
            ));
        }
    }

    fn shapes(&mut self, report: &Report) {
        if report.shapes.len() < 2 {
            return;
        }
        let count = report.shapes.len();
        self.line(&format!("# The topic carries records of {count} shapes:"));
        for shape in &report.shapes {
            let listed = shape.paths.iter().take(LISTED_PATHS);
            let listed: Vec<String> = listed.map(|path| shown(path)).collect();
            let more = and_more(shape.paths.len(), LISTED_PATHS);
            let share = percent(shape.share);
            self.line(&format!("#   {share}: {}{more}", listed.join(", ")));
        }
        let Some(filter) = &report.filter else {
            self.line(
                "# No single condition tells them apart. The fields below are those of the first",
            );
            self.line("# one; write a condition that leaves the others out, such as");
            self.line("#where = 'type = \"reading\" and value exists'");
            return;
        };
        self.line("# Only the first one is scored. The others are skipped and counted.");
        self.line(&format!("where = {}", quoted(filter)));
    }

    fn long(&mut self, report: &Report) {
        let Some(long) = &report.long else { return };
        let (name, value) = (shown(&long.name), shown(&long.value));
        self.line(&format!(
            "# Each record carries one metric: `{name}` names it, `{value}` is its value. Records"
        ));
        self.line(
            "# are not put together as yet, so that each value is scored without the others.",
        );
        if report.filter.is_none() {
            self.line("# To score one metric alone, use");
            let condition = equals(&long.name, &long.example);
            self.line(&format!("#where = {}", quoted(&condition)));
        }
    }

    fn roles(&mut self, report: &Report) {
        match &report.key {
            Some(key) => {
                self.line("# What a record belongs to.");
                self.line(&format!("key = {}", quoted(key)));
            }
            None => self.line("# No field looks like a key: the Kafka key is used."),
        }
        match &report.time {
            Some(time) => {
                self.line("# When it happened.");
                self.line(&format!("time = {}", quoted(time)));
            }
            None => self.line("# No field looks like the time: the Kafka timestamp is used."),
        }
    }

    fn fields(&mut self, report: &Report) {
        if report.included().next().is_none() {
            self.line("\n# No field seems fit for a model: choose at least one of those below.");
        }
        for field in report.included() {
            self.field(field, "");
        }
        let left_out = |field: &&FieldReport| field.suggestion != Suggestion::Include;
        let mut left_out = report.fields.iter().filter(left_out).peekable();
        if left_out.peek().is_some() {
            self.line("\n# Left out. To use one, take the marks from the front of its lines.");
        }
        for field in left_out {
            self.field(field, "#");
        }
    }

    /// One `[[fields]]` table, each line after `mark`.
    fn field(&mut self, field: &FieldReport, mark: &str) {
        self.line("");
        if let Suggestion::LeaveOut(reason) = field.suggestion {
            self.line(&format!("# {}: {}.", shown(&field.path), reason.as_str()));
        }
        if let Some(comment) = comment(field) {
            self.line(&format!("# {comment}."));
        }
        let kind = match field.kind {
            Some(Kind::Numeric) => "numeric",
            Some(Kind::Boolean) => "boolean",
            Some(Kind::Categorical) => "categorical",
            Some(Kind::Timestamp) => "timestamp",
            None => return,
        };
        self.line(&format!("{mark}[[fields]]"));
        self.line(&format!("{mark}path = {}", quoted(&field.path)));
        self.line(&format!("{mark}kind = \"{kind}\""));
    }

    fn output(&mut self, report: &Report, topic: &str) {
        self.line("\n[output]");
        self.line(&format!("topic = {}", quoted(&format!("{topic}.outliers"))));
        let card = Suggestion::LeaveOut(Reason::CardNumber);
        let cards = report
            .fields
            .iter()
            .filter(|field| field.suggestion == card);
        let cards: Vec<String> = cards.map(|field| quoted(&field.path)).collect();
        if cards.is_empty() {
            return;
        }
        self.line(
            "# An outlier carries its record with the card number. To put a keyed hash in its",
        );
        self.line("# place, set a key of 16 bytes or more and take the marks from these lines.");
        self.line(&format!("#redact = [{}]", cards.join(", ")));
        self.line("#redact_key = { env = \"OUTLIERD_REDACT_KEY\" }");
    }
}

/// What was seen, in words; nothing of the values of cards, identifiers and free text.
fn comment(field: &FieldReport) -> Option<String> {
    let mut parts = vec![values(field)?];
    if field.missing > 0.0 {
        parts.push(format!("missing in {}", percent(field.missing)));
    }
    if field.odd > 0.0 {
        parts.push(format!("of another type in {}", percent(field.odd)));
    }
    Some(parts.join("; "))
}

fn values(field: &FieldReport) -> Option<String> {
    use Reason::{CardNumber, FreeText, Identifier};
    let at_least = if field.capped { "at least " } else { "" };
    let distinct = field.distinct;
    if let Suggestion::LeaveOut(CardNumber | FreeText | Identifier) = field.suggestion {
        return Some(format!("{at_least}{distinct} different values"));
    }
    Some(match &field.values {
        Values::Nothing => return None,
        Values::Numbers { min, median, max } => {
            let [min, median, max] = [*min, *median, *max].map(number);
            format!("{min} to {max}, median {median}")
        }
        Values::Booleans(trues) => format!("true in {}", percent(*trues)),
        Values::Instants { first, last } => format!("{} to {}", instant(*first), instant(*last)),
        Values::Arrays { shortest, longest } if shortest == longest => {
            format!("{longest} elements")
        }
        Values::Arrays { shortest, longest } => format!("{shortest} to {longest} elements"),
        Values::Words(counts) => {
            let listed = counts.iter().take(LISTED_WORDS);
            let listed = listed.map(|(word, count)| format!("{:?} {count}", cut(word)));
            let listed = listed.collect::<Vec<_>>().join(", ");
            let more = and_more(distinct, LISTED_WORDS);
            let words = if distinct == 1 { "word" } else { "words" };
            format!("{at_least}{distinct} {words}: {listed}{more}")
        }
    })
}

fn and_more(all: usize, listed: usize) -> &'static str {
    if all > listed { " and more" } else { "" }
}
