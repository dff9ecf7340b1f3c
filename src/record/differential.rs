//! The scanner against serde_json: the same documents pass, with the same values.

#![allow(clippy::unwrap_used)]

use proptest::prelude::*;
use proptest::sample::Index;
use serde_json::Value;

use super::fixtures::{field, input};
use super::{Decoder, Rejection, Vocabularies};
use crate::config::Kind;
use crate::metrics::DeadLetterClass;

/// Some of the paths that [`document`] can make.
const PATHS: [(&str, Kind); 6] = [
    ("a", Kind::Numeric),
    ("b.a", Kind::Numeric),
    ("b.c.1", Kind::Numeric),
    ("on", Kind::Boolean),
    ("é", Kind::Categorical),
    ("a \"long\" key with \\\\ escapes", Kind::Categorical),
];

/// JSON text with numbers, strings and white space as no serialiser spells them.
fn document() -> impl Strategy<Value = String> {
    let number = "-?(0|[1-9][0-9]{0,20})(\\.[0-9]{1,20})?([eE][+-]?[0-9]{1,2})?";
    let string = "\"([ -!#-\\[\\]-~é😀]|\\\\[\"\\\\/bfnrt]|\\\\u[0-9a-cA-C][0-9a-fA-F]{3}|\\\\ud83d\\\\ude00){0,20}\"";
    let scalar = prop_oneof![
        5 => number,
        2 => string,
        1 => Just("true".to_owned()),
        1 => Just("false".to_owned()),
        1 => Just("null".to_owned()),
    ];
    let key = prop_oneof![
        Just("\"a\""),
        Just("\"b\""),
        Just("\"c\""),
        Just("\"on\""),
        Just("\"é\""),
        Just("\"\\u0062\""),
        Just("\"1\""),
        Just("\"\\u00e9\""),
        Just("\"unlisted\""),
        Just("\"a \\\"long\\\" key with \\\\ escapes\""),
    ];
    let value = scalar.prop_recursive(4, 24, 6, move |inner| {
        let space = "[ \\n\\t]{0,2}";
        let member = (key.clone(), space, inner.clone(), space)
            .prop_map(|(key, before, value, after)| format!("{key}:{before}{value}{after}"));
        prop_oneof![
            proptest::collection::vec(inner, 0..5)
                .prop_map(|values| format!("[{}]", values.join(" ,"))),
            proptest::collection::vec(member, 0..6)
                .prop_map(|members| format!("{{{}}}", members.join(", "))),
        ]
    });
    // Mostly objects, as records are.
    (value.clone(), value.clone(), value)
        .prop_map(|(a, b, c)| format!("{{\"a\":{a},\"b\":{{\"c\":{b}}},\"é\":{c}}}"))
}

/// Pieces that turn valid JSON into what is nearly valid.
fn fragment() -> impl Strategy<Value = Vec<u8>> {
    let pieces: [&[u8]; 30] = [
        b"\\a",
        b"\\",
        b"\\u12",
        b"\\uD800",
        b"\\ud800\\u0041",
        b"\\udc00",
        b"\\n",
        b"\"",
        b"\x01",
        b"\x7f",
        b"\xff",
        b"\xc3",
        b"0",
        b"-",
        b".",
        b"e",
        b"E+",
        b"9e999",
        b"00",
        b"1",
        b",",
        b":",
        b"{",
        b"}",
        b"[",
        b"]",
        b"null,",
        b"tru",
        b" ",
        b"\"a\":1,",
    ];
    proptest::sample::select(pieces.map(<[u8]>::to_vec).to_vec())
}

fn decode(bytes: &[u8]) -> Result<[f64; PATHS.len()], Rejection> {
    let fields = PATHS.map(|(path, kind)| field(path, kind));
    let input = crate::config::Input {
        wrong_type: crate::config::Policy::Mask,
        ..input()
    };
    let mut decoder = Decoder::new(&fields, &input).unwrap();
    let mut cells = [0.0; PATHS.len()];
    let mut words = Vocabularies::learning(0);
    decoder.decode(bytes, &mut words, &mut cells)?;
    Ok(cells)
}

/// What the cells should be, read from a tree of values.
fn reference(record: &Value) -> [f64; PATHS.len()] {
    PATHS.map(|(path, kind)| {
        let mut value = record;
        for part in super::split_path(path) {
            let next = match value {
                Value::Array(values) => part.parse().ok().and_then(|i: usize| values.get(i)),
                other => other.get(&part),
            };
            value = next.unwrap_or(&Value::Null);
        }
        match (kind, value) {
            (Kind::Numeric, Value::Number(number)) => number.as_f64().unwrap(),
            (Kind::Boolean, Value::Bool(value)) => f64::from(u8::from(*value)),
            (Kind::Boolean, Value::Number(number)) => match number.as_f64() {
                Some(bit) if bit == 0.0 || bit == 1.0 => bit.abs(),
                _ => f64::NAN,
            },
            (Kind::Categorical, Value::String(_) | Value::Number(_) | Value::Bool(_)) => 0.0,
            _ => f64::NAN,
        }
    })
}

fn agree(bytes: &[u8]) -> Result<(), TestCaseError> {
    let ours = decode(bytes);
    let theirs: Result<Value, _> = serde_json::from_slice(bytes);
    match (ours, theirs) {
        (Ok(cells), Ok(value)) => {
            for (ours, theirs) in cells.iter().zip(reference(&value)) {
                // serde_json may be off by some units in the last place.
                let close = (ours - theirs).abs() <= theirs.abs() * 1e-14;
                prop_assert!(
                    close || (ours.is_nan() && theirs.is_nan()),
                    "{ours} {theirs}"
                );
            }
        }
        (Ok(_), Err(error)) => prop_assert!(false, "only serde_json refuses: {error}"),
        (Err(ours), Ok(value)) => {
            let stricter = match ours.class {
                DeadLetterClass::DuplicateKey | DeadLetterClass::JsonDepth => true,
                DeadLetterClass::TypeMismatch => !value.is_object(),
                DeadLetterClass::NumberRange => ours.path.is_some(),
                _ => false,
            };
            prop_assert!(stricter, "only we refuse: {ours}");
        }
        (Err(_), Err(_)) => {}
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn generated_documents_pass_with_the_same_values(json in document()) {
        agree(json.as_bytes())?;
    }

    #[test]
    fn mutated_documents_have_the_same_fate(
        json in document(),
        edits in proptest::collection::vec((any::<Index>(), fragment(), 0..4), 1..3),
    ) {
        let mut bytes = json.into_bytes();
        for (place, fragment, action) in edits {
            let at = place.index(bytes.len());
            match action {
                0 => drop(bytes.splice(at..=at, fragment)),
                1 => drop(bytes.splice(at..at, fragment)),
                2 => drop(bytes.remove(at)),
                _ => drop(bytes.split_off(at + 1)),
            }
        }
        agree(&bytes)?;
    }
}
