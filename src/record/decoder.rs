//! The decoder: one record's bytes in, one row of cells out.

use std::ops::Range;
use std::sync::Arc;

use super::paths::{PathError, Paths};
use super::rejection::{Fault, Rejection};
use super::scanner::Scanner;
use super::scratch::Scratch;
use super::vocabulary::Vocabularies;
use super::walk::Walk;
use crate::config::{Field, Input, Policy};
use crate::metrics::DeadLetterClass;

/// Decodes records of one configuration. Cheap to clone; each thread has its own.
///
/// It remembers in which order keys came last, so that records of one producer cost one comparison
/// a key. That changes how fast it is, never what it finds.
#[derive(Debug, Clone)]
pub struct Decoder {
    paths: Arc<Paths>,
    rules: Arc<[Rule]>,
    wrong_type: Policy,
    max_bytes: usize,
    scratch: Scratch,
}

/// What was found besides the cells.
#[derive(Debug, Clone, PartialEq)]
pub struct Decoded {
    /// Whether `where` leaves this record out; its cells mean nothing then.
    pub filtered: bool,
    /// Where the key's text stands in the bytes: a string without its quotes (escapes as they
    /// stand), or a number.
    pub key: Option<Range<usize>>,
    /// The record's own time, seconds since 1970.
    pub time: Option<f64>,
    /// Words that no vocabulary holds.
    pub unknown_categories: u32,
}

/// When an empty cell makes a dead letter.
#[derive(Debug, Clone)]
struct Rule {
    path: Arc<str>,
    /// Always, a masked value included.
    required: bool,
    /// When the field is absent or null.
    present: bool,
}

impl Decoder {
    /// # Errors
    /// Paths that are empty, listed twice, or both a value and an object.
    pub fn new(fields: &[Field], input: &Input) -> Result<Self, PathError> {
        let paths = Paths::new(fields, input)?;
        let rules = fields.iter().map(|field| Rule {
            path: field.path.as_str().into(),
            required: field.required,
            present: input.missing == Policy::DeadLetter,
        });
        Ok(Self {
            scratch: Scratch::new(&paths),
            paths: Arc::new(paths),
            rules: rules.collect(),
            wrong_type: input.wrong_type,
            max_bytes: input.max_record_bytes,
        })
    }

    /// Fills `cells`, one a field in their order: NaN is missing; a number is itself, a boolean 0
    /// or 1, a category its index in its vocabulary, a timestamp seconds since 1970.
    ///
    /// # Errors
    /// The first reason, in this order, why the record is a dead letter: its size, its encoding,
    /// its syntax and keys, the values of its fields, fields that it lacks. The last two do not
    /// apply to a record that `where` leaves out. The cells mean nothing then.
    pub fn decode(
        &mut self,
        bytes: &[u8],
        vocabularies: &mut Vocabularies,
        cells: &mut [f64],
    ) -> Result<Decoded, Rejection> {
        let text = self.text(bytes, cells).map_err(|fault| self.name(fault))?;
        cells.fill(f64::NAN);
        self.scratch.clear();
        let mut walk = Walk {
            scanner: Scanner::new(text),
            paths: &self.paths,
            scratch: &mut self.scratch,
            cells,
            wrong_type: self.wrong_type,
        };
        walk.record().map_err(|fault| self.name(fault))?;
        let mut decoded = Decoded {
            filtered: self.scratch.conditions_met < self.paths.conditions,
            key: self.scratch.key.take(),
            time: self.scratch.time,
            unknown_categories: 0,
        };
        if decoded.filtered {
            return Ok(decoded);
        }
        if let Some(fault) = self.scratch.fault {
            return Err(self.name(fault));
        }
        self.check_missing(cells, bytes.len())?;
        decoded.unknown_categories = self.scratch.spell(text, vocabularies, cells);
        Ok(decoded)
    }

    fn text<'a>(&self, bytes: &'a [u8], cells: &[f64]) -> Result<&'a str, Fault> {
        if cells.len() != self.rules.len() {
            let detail = "the row does not have one cell a field";
            return Err(Fault::new(DeadLetterClass::DimMismatch, 0, detail));
        }
        if bytes.len() > self.max_bytes {
            let detail = "the record is longer than input.max_record_bytes";
            return Err(Fault::new(
                DeadLetterClass::TooLarge,
                self.max_bytes,
                detail,
            ));
        }
        std::str::from_utf8(bytes).map_err(|error| {
            let detail = "the record is not UTF-8";
            Fault::new(DeadLetterClass::Utf8, error.valid_up_to(), detail)
        })
    }

    fn check_missing(&self, cells: &[f64], end: usize) -> Result<(), Rejection> {
        for (index, (cell, rule)) in cells.iter().zip(self.rules.iter()).enumerate() {
            if !cell.is_nan() || !(rule.required || rule.present) {
                continue;
            }
            if rule.required || !self.scratch.masked.contains(&index) {
                return Err(Rejection {
                    class: DeadLetterClass::MissingField,
                    path: Some(rule.path.clone()),
                    at: end,
                    detail: "the record has no value for it",
                });
            }
        }
        Ok(())
    }

    fn name(&self, fault: Fault) -> Rejection {
        let member = fault
            .member
            .and_then(|member| self.paths.members.get(member));
        Rejection {
            class: fault.class,
            path: member.map(|member| member.path.clone()),
            at: fault.at,
            detail: fault.detail,
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::panic)]
mod tests {
    use super::super::fixtures::{field, input};
    use super::*;
    use crate::config::{Condition, Filter, Kind};

    fn fields() -> Vec<Field> {
        vec![
            field("a", Kind::Numeric),
            field("on", Kind::Boolean),
            field("site.name", Kind::Categorical),
            field("ts", Kind::Timestamp),
            field("v.1", Kind::Numeric),
        ]
    }

    fn decode_with(input: &Input, json: &str) -> Result<(Decoded, Vec<f64>), Rejection> {
        let mut words = Vocabularies::frozen(vec![vec!["north".into(), "7".into()]]);
        let mut cells = vec![0.0; 5];
        let mut decoder = Decoder::new(&fields(), input).unwrap();
        let decoded = decoder.decode(json.as_bytes(), &mut words, &mut cells)?;
        Ok((decoded, cells))
    }

    fn decode(json: &str) -> Result<(Decoded, Vec<f64>), Rejection> {
        decode_with(&input(), json)
    }

    fn class(json: &str) -> DeadLetterClass {
        decode(json).unwrap_err().class
    }

    #[track_caller]
    fn assert_cells(json: &str, expected: [f64; 5]) {
        let (_, cells) = decode(json).unwrap();
        let bits = |cells: &[f64]| cells.iter().map(|c| c.to_bits()).collect::<Vec<_>>();
        assert_eq!(bits(&cells), bits(&expected), "{cells:?}");
    }

    const NAN: f64 = f64::NAN;

    #[test]
    fn every_kind_has_its_cell_in_any_order_of_keys() {
        assert_cells(
            r#"{"a":1.5,"on":true,"site":{"x":[{}],"name":"north"},"ts":60,"v":[0,2,9]}"#,
            [1.5, 1.0, 1.0, 60.0, 2.0],
        );
        assert_cells(
            " {\"v\" : [ 0 , 2 ] , \"z\":{\"a\":4},\"ts\":\"1970-01-01T00:01:00Z\",\n\"on\":0, \"site\":{\"name\":7},\"a\":-1e1 } ",
            [-10.0, 0.0, 2.0, 60.0, 2.0],
        );
        assert_cells(
            r#"{"\u0061":3,"site":{"name":"n\u006frth"}}"#,
            [3.0, NAN, 1.0, NAN, NAN],
        );
    }

    #[test]
    fn absent_and_null_values_are_missing() {
        assert_cells("{}", [NAN; 5]);
        assert_cells(r#"{"a":null,"site":null,"ts":null,"v":[1]}"#, [NAN; 5]);
        assert_cells(r#"{"site":5,"v":{"0":1}}"#, [NAN; 5]);
        assert_cells(r#"{"v":{"1":4}}"#, [NAN, NAN, NAN, NAN, 4.0]);
    }

    #[test]
    fn a_word_outside_the_vocabulary_is_unknown_and_counted() {
        let (decoded, cells) = decode(r#"{"site":{"name":"south"}}"#).unwrap();
        assert_eq!((decoded.unknown_categories, cells[2]), (1, 0.0));
    }

    #[test]
    fn the_key_and_the_time_are_found_beside_the_cells() {
        let input = Input {
            key: Some("machine".into()),
            time: Some("ts".into()),
            ..input()
        };
        let json = r#"{"ts":"1970-01-01 00:00:02","machine":"m-1"}"#;
        let (decoded, cells) = decode_with(&input, json).unwrap();
        assert_eq!(&json[decoded.key.unwrap()], "m-1");
        assert_eq!((decoded.time, cells[3]), (Some(2.0), 2.0));
        let json = r#"{"machine":12 }"#;
        let (decoded, _) = decode_with(&input, json).unwrap();
        assert_eq!(&json[decoded.key.unwrap()], "12");
        assert_eq!(decoded.time, None);
        for (json, class) in [
            (r#"{"machine":{}}"#, DeadLetterClass::TypeMismatch),
            (r#"{"ts":"soon"}"#, DeadLetterClass::Timestamp),
        ] {
            assert_eq!(decode_with(&input, json).unwrap_err().class, class);
        }
    }

    #[test]
    fn broken_documents_have_their_class() {
        for json in [
            "",
            " ",
            "{",
            "{\"a\":1}x",
            "{\"a\":1,}",
            "{a:1}",
            "{\"a\" 1}",
            "{\"x\":tru}",
        ] {
            assert_eq!(class(json), DeadLetterClass::JsonSyntax, "{json}");
        }
        assert_eq!(class("[1]"), DeadLetterClass::TypeMismatch);
        assert_eq!(class("[1"), DeadLetterClass::JsonSyntax);
        let nested = |depth| format!("{{\"x\":{}{}}}", "[".repeat(depth), "]".repeat(depth));
        assert!(decode(&nested(31)).is_ok());
        assert_eq!(class(&nested(32)), DeadLetterClass::JsonDepth);
        assert_eq!(class(&nested(100_000)), DeadLetterClass::JsonDepth);
    }

    #[test]
    fn unusable_values_have_their_class_and_path() {
        for (json, class, path) in [
            (r#"{"a":"1"}"#, DeadLetterClass::TypeMismatch, "a"),
            (r#"{"a":true}"#, DeadLetterClass::TypeMismatch, "a"),
            (r#"{"a":[1]}"#, DeadLetterClass::TypeMismatch, "a"),
            (r#"{"on":2}"#, DeadLetterClass::TypeMismatch, "on"),
            (r#"{"on":"true"}"#, DeadLetterClass::TypeMismatch, "on"),
            (
                r#"{"site":{"name":{}}}"#,
                DeadLetterClass::TypeMismatch,
                "site.name",
            ),
            (r#"{"ts":true}"#, DeadLetterClass::TypeMismatch, "ts"),
            (r#"{"ts":"tomorrow"}"#, DeadLetterClass::Timestamp, "ts"),
            (r#"{"ts":1e30}"#, DeadLetterClass::Timestamp, "ts"),
            (r#"{"a":1e39}"#, DeadLetterClass::NumberRange, "a"),
            (r#"{"a":1,"b":2,"a":1}"#, DeadLetterClass::DuplicateKey, "a"),
            (
                r#"{"site":{},"site":{}}"#,
                DeadLetterClass::DuplicateKey,
                "site",
            ),
            (
                r#"{"a":null,"\u0061":1}"#,
                DeadLetterClass::DuplicateKey,
                "a",
            ),
        ] {
            let rejection = decode(json).unwrap_err();
            assert_eq!(rejection.class, class, "{json}");
            assert_eq!(rejection.path.as_deref(), Some(path), "{json}");
        }
        assert_eq!(class(r#"{"z":1e400}"#), DeadLetterClass::NumberRange);
        assert!(decode(r#"{"z":1,"z":1e39}"#).is_ok());
    }

    #[test]
    fn bytes_that_are_not_text_and_records_too_long_are_refused() {
        let mut decoder = Decoder::new(&fields(), &input()).unwrap();
        let mut words = Vocabularies::learning(9);
        let mut cells = [0.0; 5];
        let mut decode = |bytes: &[u8]| decoder.decode(bytes, &mut words, &mut cells);
        let rejection = decode(b"{\"z\":\"\xFF\"}").unwrap_err();
        assert_eq!((rejection.class, rejection.at), (DeadLetterClass::Utf8, 6));
        let rejection = decode(&vec![b' '; (1 << 20) + 1]).unwrap_err();
        assert_eq!(rejection.class, DeadLetterClass::TooLarge);
        let rejection = decoder.decode(b"{}", &mut words, &mut [0.0]).unwrap_err();
        assert_eq!(rejection.class, DeadLetterClass::DimMismatch);
    }

    #[test]
    fn the_mask_policy_empties_cells_of_the_wrong_type() {
        let input = Input {
            wrong_type: Policy::Mask,
            missing: Policy::DeadLetter,
            ..input()
        };
        let json = r#"{"a":"x","on":9,"site":{"name":[]},"ts":"x","v":[1,{}]}"#;
        let (_, cells) = decode_with(&input, json).unwrap();
        assert!(cells.iter().all(|cell| cell.is_nan()));
        let rejection = decode_with(&input, &json.replace("\"on\"", "\"off\"")).unwrap_err();
        assert_eq!(rejection.class, DeadLetterClass::MissingField);
        assert_eq!(rejection.path.as_deref(), Some("on"));
    }

    #[test]
    fn a_required_field_must_have_a_usable_value() {
        let input = Input {
            wrong_type: Policy::Mask,
            ..input()
        };
        let fields = [Field {
            required: true,
            ..field("a", Kind::Numeric)
        }];
        let mut decoder = Decoder::new(&fields, &input).unwrap();
        let mut words = Vocabularies::learning(9);
        for json in ["{}", r#"{"a":null}"#, r#"{"a":"x"}"#] {
            let rejection = decoder.decode(json.as_bytes(), &mut words, &mut [0.0]);
            assert_eq!(rejection.unwrap_err().class, DeadLetterClass::MissingField);
        }
    }

    #[test]
    fn a_filter_lets_through_what_meets_all_its_conditions() {
        let equals = |path: &str, value: &str| Condition::Equals {
            path: path.into(),
            value: value.into(),
        };
        let exists = Condition::Exists {
            path: "site".into(),
        };
        let conditions = vec![equals("type", "reading"), equals("on", "true"), exists];
        let input = Input {
            filter: Some(Filter { conditions }),
            missing: Policy::DeadLetter,
            ..input()
        };
        let all = r#"{"type":"re\u0061ding","on":true,"site":{"name":"7"},"a":1,"ts":1,"v":[0,1]}"#;
        assert!(!decode_with(&input, all).unwrap().0.filtered);
        for other in [
            all.replace("true", "false"),
            all.replace("ding", "dings"),
            all.replace("\"site\"", "\"place\""),
            all.replace("{\"name\":\"7\"}", "null"),
            r#"{"a":"of the wrong type"}"#.into(),
        ] {
            assert!(decode_with(&input, &other).unwrap().0.filtered, "{other}");
        }
        assert!(decode_with(&input, "{\"a\":1").is_err());
        assert!(decode_with(&input, &all.replace("\"v\"", "\"w\"")).is_err());
    }

    #[test]
    fn words_of_records_that_do_not_count_are_not_learned() {
        let filter = Filter {
            conditions: vec![Condition::Exists { path: "a".into() }],
        };
        let input = Input {
            filter: Some(filter),
            ..input()
        };
        let fields = [
            field("w", Kind::Categorical),
            Field {
                required: true,
                ..field("b", Kind::Numeric)
            },
        ];
        let mut decoder = Decoder::new(&fields, &input).unwrap();
        let mut words = Vocabularies::learning(9);
        let outcomes = [
            r#"{"w":"filtered"}"#,
            r#"{"w":"incomplete","a":1}"#,
            r#"{"w":"mistyped","a":1,"b":"x"}"#,
            r#"{"w":"counts","a":1,"b":1}"#,
        ]
        .map(|json| decoder.decode(json.as_bytes(), &mut words, &mut [0.0; 2]));
        assert_eq!(
            outcomes.map(|outcome| outcome.is_ok()),
            [true, false, false, true]
        );
        assert_eq!(words.words(0), ["counts"]);
    }

    #[test]
    fn the_order_of_earlier_records_changes_no_result() {
        let mut decoder = Decoder::new(&fields(), &input()).unwrap();
        let mut words = Vocabularies::learning(9);
        let parts = [
            "\"a\":1",
            "\"on\":true",
            "\"ts\":3",
            "\"site\":{\"name\":\"x\"}",
            "\"v\":[0,5]",
            "\"z\":0",
        ];
        for turn in 0..200 {
            let mut parts = parts;
            parts.rotate_left(turn % 6);
            parts.swap(turn % 5, turn % 3);
            let mut cells = [0.0; 5];
            let json = format!("{{{}}}", parts.join(","));
            decoder
                .decode(json.as_bytes(), &mut words, &mut cells)
                .unwrap();
            assert_eq!(cells, [1.0, 1.0, 1.0, 3.0, 5.0], "{json}");
        }
    }
}
