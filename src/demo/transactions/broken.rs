//! Records broken on purpose, in the ways that producers break them.

use std::ops::Range;

use rand::RngExt;
use rand_chacha::ChaCha8Rng;

/// One way to break a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Damage {
    /// Cut off somewhere, as by a full buffer.
    Truncated,
    /// A byte that no UTF-8 text has.
    InvalidUtf8,
    /// `"amount":"12.50"`. Valid JSON: what becomes of it is the `wrong_type` policy's choice.
    AmountAsText,
    /// A number beyond the largest double, `1e400`.
    AmountOverflow,
    /// The amount twice, with different values.
    DuplicateKey,
    /// Valid JSON that is no object.
    NotAnObject,
    /// No bytes at all: not a tombstone, which has no value.
    Empty,
}

impl Damage {
    const ALL: [Self; 7] = [
        Self::Truncated,
        Self::InvalidUtf8,
        Self::AmountAsText,
        Self::AmountOverflow,
        Self::DuplicateKey,
        Self::NotAnObject,
        Self::Empty,
    ];

    pub(super) fn any(rng: &mut ChaCha8Rng) -> Self {
        Self::ALL[rng.random_range(0..Self::ALL.len())]
    }

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Truncated => "truncated",
            Self::InvalidUtf8 => "invalid UTF-8",
            Self::AmountAsText => "amount as text",
            Self::AmountOverflow => "amount of 1e400",
            Self::DuplicateKey => "duplicate key",
            Self::NotAnObject => "not an object",
            Self::Empty => "empty",
        }
    }

    /// Breaks a record that is one JSON object with an `amount`.
    pub(super) fn apply(self, out: &mut Vec<u8>, rng: &mut ChaCha8Rng) {
        match self {
            Self::Truncated => out.truncate(rng.random_range(1..out.len().max(2))),
            Self::InvalidUtf8 => replace_amount(out, |_| b"\"\xff\"".to_vec()),
            Self::AmountAsText => replace_amount(out, |amount| [b"\"", amount, b"\""].concat()),
            Self::AmountOverflow => replace_amount(out, |_| b"1e400".to_vec()),
            Self::DuplicateKey => {
                replace_amount(out, |amount| [amount, b",\"amount\":0.01"].concat());
            }
            Self::NotAnObject => {
                out.insert(0, b'[');
                out.push(b']');
            }
            Self::Empty => out.clear(),
        }
    }
}

fn replace_amount(out: &mut Vec<u8>, replacement: impl FnOnce(&[u8]) -> Vec<u8>) {
    if let Some(span) = amount_span(out) {
        let replaced = replacement(&out[span.clone()]);
        out.splice(span, replaced);
    }
}

/// Where the value of `amount` stands.
fn amount_span(record: &[u8]) -> Option<Range<usize>> {
    const NAME: &[u8] = b"\"amount\":";
    let start = record.windows(NAME.len()).position(|seen| seen == NAME)? + NAME.len();
    let length = record[start..]
        .iter()
        .position(|byte| matches!(byte, b',' | b'}'))?;
    Some(start..start + length)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
mod tests {
    use rand::SeedableRng;
    use serde_json::Value;

    use super::*;

    fn broken(damage: Damage, seed: u64) -> Vec<u8> {
        let mut record = br#"{"channel":"chip","amount":12.5,"card_count_7d":3}"#.to_vec();
        damage.apply(&mut record, &mut ChaCha8Rng::seed_from_u64(seed));
        record
    }

    #[test]
    fn every_damage_is_what_it_says() {
        let text = |damage| String::from_utf8(broken(damage, 1)).unwrap();
        assert!(text(Damage::AmountAsText).contains(r#""amount":"12.5","card"#));
        assert!(text(Damage::AmountOverflow).contains(r#""amount":1e400,"#));
        assert!(text(Damage::DuplicateKey).contains(r#""amount":12.5,"amount":0.01,"#));
        assert!(text(Damage::NotAnObject).starts_with("[{"));
        assert!(text(Damage::Empty).is_empty());
        assert!(std::str::from_utf8(&broken(Damage::InvalidUtf8, 1)).is_err());
    }

    proptest::proptest! {
        #[test]
        fn a_truncated_record_is_never_json(seed: u64) {
            let parsed = serde_json::from_slice::<Value>(&broken(Damage::Truncated, seed));
            proptest::prop_assert!(parsed.is_err());
        }
    }
}
