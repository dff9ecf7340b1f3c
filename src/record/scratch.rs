//! Buffers that outlive a record, so that a record allocates nothing.

use std::ops::Range;

use super::paths::{Cell, Paths};
use super::rejection::Fault;
use super::scanner::Scanner;
use super::text::{Text, unescape};
use super::vocabulary::Vocabularies;

/// What is known of the record at hand.
#[derive(Debug, Clone)]
pub(super) struct Scratch {
    /// The record in which each member was last seen.
    pub seen: Vec<u32>,
    pub generation: u32,
    /// See [`Paths::configured_order`].
    pub next: Vec<usize>,
    pub words: Vec<Word>,
    /// Cells whose value had the wrong type.
    pub masked: Vec<usize>,
    pub conditions_met: usize,
    pub key: Option<Range<usize>>,
    pub time: Option<f64>,
    /// The first fault that only counts if the filter lets the record through.
    pub fault: Option<Fault>,
    unescaped: String,
}

/// A category that is looked up once the record is known to count.
#[derive(Debug, Clone)]
pub(super) struct Word {
    pub cell: Cell,
    pub text: Text,
}

impl Scratch {
    pub fn new(paths: &Paths) -> Self {
        Self {
            seen: vec![0; paths.members.len()],
            generation: 0,
            next: paths.configured_order(),
            words: Vec::with_capacity(paths.members.len()),
            masked: Vec::new(),
            conditions_met: 0,
            key: None,
            time: None,
            fault: None,
            unescaped: String::new(),
        }
    }

    pub fn clear(&mut self) {
        self.generation = self.generation.wrapping_add(1);
        if self.generation == 0 {
            self.seen.fill(0);
            self.generation = 1;
        }
        self.words.clear();
        self.masked.clear();
        self.conditions_met = 0;
        self.key = None;
        self.time = None;
        self.fault = None;
    }

    /// The text of a string, its escapes replaced.
    pub fn text_of<'a>(&'a mut self, scanner: &Scanner<'a>, text: &Text) -> &'a str {
        let raw = scanner.text.get(text.range.clone()).unwrap_or("");
        if !text.escaped {
            return raw;
        }
        unescape(raw, &mut self.unescaped);
        &self.unescaped
    }

    /// Looks up the words found; returns how many are unknown.
    pub fn spell(&mut self, record: &str, words: &mut Vocabularies, cells: &mut [f64]) -> u32 {
        let mut unknown = 0;
        for Word { cell, text } in &self.words {
            let mut word = record.get(text.range.clone()).unwrap_or("");
            if text.escaped {
                unescape(word, &mut self.unescaped);
                word = &self.unescaped;
            }
            let index = words.index(cell.vocabulary, word);
            unknown += u32::from(index == 0);
            cells[cell.index] = f64::from(index);
        }
        unknown
    }
}
