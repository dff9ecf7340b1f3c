//! The words of categorical fields and their indices.

use std::collections::HashMap;

/// One vocabulary a categorical field, in the order of the fields. Index 0 is the unknown word.
#[derive(Debug, Clone)]
pub struct Vocabularies {
    fields: Vec<Vocabulary>,
    /// Words that a field may still learn up to; `None` when frozen.
    cap: Option<usize>,
}

#[derive(Debug, Clone, Default)]
struct Vocabulary {
    indices: HashMap<String, u32>,
    words: Vec<String>,
    /// By index, the unknown word first.
    counts: Vec<u64>,
}

impl Vocabularies {
    /// Fixed words: the word at position `i` of a field's list has the index `i + 1`.
    pub fn frozen(words: Vec<Vec<String>>) -> Self {
        let fields = words.into_iter().map(Vocabulary::of).collect();
        Self { fields, cap: None }
    }

    /// Empty vocabularies that take in up to `cap` words a field and count every word.
    pub fn learning(cap: usize) -> Self {
        Self {
            fields: Vec::new(),
            cap: Some(cap),
        }
    }

    /// The words of a field (its position among the categorical ones), index 1 first.
    pub fn words(&self, field: usize) -> &[String] {
        self.fields.get(field).map_or(&[], |field| &field.words)
    }

    /// How often each index was seen while learning, index 0 (beyond the cap) first.
    pub fn counts(&self, field: usize) -> &[u64] {
        self.fields.get(field).map_or(&[], |field| &field.counts)
    }

    /// The index of a word, 0 if it is unknown; learns and counts it where that is on.
    pub fn index(&mut self, field: usize, word: &str) -> u32 {
        let Some(cap) = self.cap else {
            let known = self.fields.get(field);
            return known.map_or(0, |field| field.indices.get(word).copied().unwrap_or(0));
        };
        while self.fields.len() <= field {
            self.fields.push(Vocabulary::of(Vec::new()));
        }
        self.fields[field].learn(word, cap)
    }
}

impl Vocabulary {
    fn of(words: Vec<String>) -> Self {
        let indices = words.iter().cloned().zip(1..).collect();
        let counts = vec![0; words.len() + 1];
        Self {
            indices,
            words,
            counts,
        }
    }

    fn learn(&mut self, word: &str, cap: usize) -> u32 {
        let index = match self.indices.get(word) {
            Some(&index) => index,
            None if self.words.len() < cap => {
                self.words.push(word.to_owned());
                self.counts.push(0);
                let index = self.words.len() as u32;
                self.indices.insert(word.to_owned(), index);
                index
            }
            None => 0,
        };
        self.counts[index as usize] += 1;
        index
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frozen_words_keep_their_place_and_others_are_unknown() {
        let mut vocabularies = Vocabularies::frozen(vec![vec!["a".into(), "b".into()]]);
        assert_eq!(vocabularies.index(0, "a"), 1);
        assert_eq!(vocabularies.index(0, "b"), 2);
        assert_eq!(vocabularies.index(0, "c"), 0);
        assert_eq!(vocabularies.index(1, "a"), 0);
        assert_eq!(vocabularies.words(0), ["a", "b"]);
    }

    #[test]
    fn learning_takes_words_in_up_to_the_cap_and_counts_them() {
        let mut vocabularies = Vocabularies::learning(2);
        let seen: Vec<u32> = ["x", "y", "x", "z", "x"]
            .iter()
            .map(|word| vocabularies.index(1, word))
            .collect();
        assert_eq!(seen, [1, 2, 1, 0, 1]);
        assert_eq!(vocabularies.words(1), ["x", "y"]);
        assert_eq!(vocabularies.counts(1), [1, 3, 1]);
        assert!(vocabularies.words(0).is_empty());
    }
}
