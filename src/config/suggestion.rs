//! "Did you mean …?"

/// The candidate nearest to `word`, if one is near enough to be a slip of the fingers: at most one
/// edit (a letter added, lost, replaced or two swapped) for every three letters.
pub(super) fn nearest<'a>(
    word: &str,
    candidates: impl IntoIterator<Item = &'a str>,
) -> Option<&'a str> {
    let word = word.to_lowercase();
    let allowed = (word.chars().count() / 3).max(1);
    candidates
        .into_iter()
        .map(|candidate| (strsim::damerau_levenshtein(&word, candidate), candidate))
        .filter(|(edits, _)| *edits <= allowed)
        .min_by_key(|(edits, _)| *edits)
        .map(|(_, candidate)| candidate)
}

#[cfg(test)]
mod tests {
    use super::nearest;

    #[test]
    fn a_slip_of_the_fingers_finds_its_word() {
        let known = ["batch_rows", "batch_bytes", "batch_age", "threads"];
        assert_eq!(nearest("batchrows", known), Some("batch_rows"));
        assert_eq!(nearest("batch_yaeg", known), Some("batch_age"));
        assert_eq!(nearest("Thread", known), Some("threads"));
    }

    #[test]
    fn another_word_finds_nothing() {
        assert_eq!(nearest("workers", ["batch_rows", "threads"]), None);
        assert_eq!(nearest("", ["threads"]), None);
    }
}
