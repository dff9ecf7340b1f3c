//! What stands on the dead-letter topic.

use std::collections::BTreeMap;
use std::io::Write as _;

use anyhow::{Context, bail};
use serde_json::json;

use super::topic::{filter, open};
use crate::cli;
use crate::pipeline::{Letter, Letters, place};

pub(super) fn list(arguments: &cli::DlqList) -> anyhow::Result<()> {
    let open = open(&arguments.config.path)?;
    let filter = filter(&arguments.chosen);
    let letters = &open.letters;
    let mut held: Vec<&Letter> = letters
        .letters
        .iter()
        .filter(|one| filter.holds(one))
        .collect();
    held.sort_by_key(|letter| (letter.time(), letter.place));
    if arguments.json {
        for letter in held {
            say!("{}", as_json(letters, letter));
        }
        return Ok(());
    }
    let mut classes = BTreeMap::<&str, usize>::new();
    for letter in &held {
        *classes.entry(&letter.class).or_default() += 1;
    }
    say!(
        "{} dead letters on {}",
        held.len(),
        open.config.dead_letter.topic
    );
    for (class, count) in classes {
        say!("{count:>9} {}", plain(class));
    }
    if letters.foreign > 0 {
        say!(
            "{:>9} messages are no dead letters of outlierd",
            letters.foreign
        );
    }
    let newest = held.len().saturating_sub(arguments.limit);
    if newest > 0 {
        say!("\nthe newest {} of them (--limit):", arguments.limit);
    }
    for letter in &held[newest..] {
        say!("\n{}", as_text(letters, letter));
    }
    Ok(())
}

fn as_text(letters: &Letters, letter: &Letter) -> String {
    let mut text = format!(
        "{}  {}  {} {}:{}  {}\n  {}",
        plain(&letter.id),
        plain(&letter.class),
        plain(&letter.topic),
        letter.place.0,
        letter.place.1,
        plain(&letter.timestamp),
        plain(&letter.error),
    );
    let replays = letters.replays(letter);
    if replays > 0 {
        text += &format!("\n  after {replays} replays");
    }
    if let Some((partition, offset)) = letters.replayed_as(letter) {
        text += &format!("\n  replayed as {partition}:{offset}");
    }
    text
}

fn as_json(letters: &Letters, letter: &Letter) -> serde_json::Value {
    json!({
        "id": letter.id,
        "class": letter.class,
        "topic": letter.topic,
        "partition": letter.place.0,
        "offset": letter.place.1,
        "timestamp": letter.timestamp,
        "error": letter.error,
        "reference": letter.by_reference,
        "bytes": letter.bytes,
        "replays": letters.replays(letter),
        "replayed_as": letters.replayed_as(letter).map(|(partition, offset)| format!("{partition}:{offset}")),
    })
}

pub(super) fn show(arguments: &cli::DlqShow) -> anyhow::Result<()> {
    let open = open(&arguments.config.path)?;
    let by_place = place(&arguments.letter);
    let letter = open
        .letters
        .letters
        .iter()
        .rev()
        .find(|letter| letter.id == arguments.letter || Some(letter.place) == by_place);
    let Some(letter) = letter else {
        bail!(
            "no dead letter {} on {}: `outlierd dlq list` shows their ids; PARTITION:OFFSET is that of the record",
            arguments.letter,
            open.config.dead_letter.topic
        );
    };
    let (mut key, mut payload) = (None, Vec::new());
    open.reader.read(|read| {
        if (read.partition, read.offset) == letter.at {
            key = read.key.map(<[u8]>::to_vec);
            payload = read.payload.unwrap_or_default().to_vec();
        }
    })?;
    if arguments.raw {
        let mut output = std::io::stdout().lock();
        return output.write_all(&payload).context("writing the record");
    }
    say!("{}", as_text(&open.letters, letter));
    match &key {
        Some(key) => say!("  key {}", plain(&String::from_utf8_lossy(key))),
        None => say!("  no key"),
    }
    let (partition, offset) = letter.place;
    match letter.by_reference {
        true => say!(
            "  by reference: read the record itself from {}, partition {partition}, offset {offset}",
            plain(&letter.topic)
        ),
        false => say!("  {} bytes", payload.len()),
    }
    say!("\n{}", plain(&String::from_utf8_lossy(&payload)));
    Ok(())
}

/// What stands in a record or a header is anybody's: nothing of it may steer a terminal or look like a line of ours.
pub(super) fn plain(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    for letter in text.chars() {
        // Controls, and marks that turn the direction of the text.
        match letter {
            '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' => {
                plain.extend(letter.escape_unicode());
            }
            _ if letter.is_control() => plain.extend(letter.escape_default()),
            _ => plain.push(letter),
        }
    }
    plain
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_of_a_record_steers_a_terminal() {
        assert_eq!(
            plain("a\u{1b}[2Jb\r\u{9b}c\n\u{202e}\u{fffd}é"),
            "a\\u{1b}[2Jb\\r\\u{9b}c\\n\\u{202e}\u{fffd}é"
        );
    }
}
