//! The other direction: a row of cells as the text of a record.

use std::fmt::Write;

use super::paths::{PathError, split_path};
use crate::config::Kind;

/// Whole numbers up to this are written without an exponent and are exact.
const WHOLE: f64 = 1e15;

/// Writes rows of cells as records of the shape that a decoder with the same fields reads.
///
/// - Objects are nested by the field's path, and members stand in the order of the fields. A key
///   that is a number stays a key: whether it was the place in an array is not known.
/// - Numbers are JSON numbers, booleans `true` and `false`, words strings, times RFC 3339 in UTC, in
///   whole seconds.
/// - What is missing is left out, an object of which nothing is left too. So is a word that is not
///   in the vocabulary.
#[derive(Debug, Clone)]
pub struct Writer {
    members: Vec<Member>,
    fields: Vec<Field>,
}

#[derive(Debug, Clone)]
struct Member {
    name: String,
    /// The name as JSON.
    key: String,
    value: Value,
}

#[derive(Debug, Clone)]
enum Value {
    Field(usize),
    Object(Vec<Member>),
}

#[derive(Debug, Clone)]
struct Field {
    path: String,
    kind: Kind,
    words: Vec<String>,
}

impl Writer {
    /// A writer of rows with one cell for each of `fields`: path, kind, and the words of a
    /// categorical field by their cell value less one.
    ///
    /// # Errors
    /// Paths that are empty, listed twice, or both a value and an object.
    pub fn new<'a>(
        fields: impl IntoIterator<Item = (&'a str, Kind, &'a [String])>,
    ) -> Result<Writer, PathError> {
        let mut writer = Writer {
            members: Vec::new(),
            fields: Vec::new(),
        };
        for (index, (path, kind, words)) in fields.into_iter().enumerate() {
            let keys = split_path(path);
            if keys.iter().any(String::is_empty) {
                return Err(PathError::Empty(path.to_owned()));
            }
            place(&mut writer.members, &keys, index, path)?;
            writer.fields.push(Field {
                path: path.to_owned(),
                kind,
                words: words.to_vec(),
            });
        }
        Ok(writer)
    }

    /// Appends the record of `cells` to `out`, without a line break.
    pub fn json(&self, cells: &[f64], out: &mut String) {
        out.push('{');
        self.object(&self.members, cells, out);
        out.push('}');
    }

    /// Names of the columns of [`Writer::texts`]: the key of a field that lies in no object, and
    /// the path of one that does. Read back, a name is one key.
    pub fn names(&self) -> Vec<String> {
        let name = |field: &Field| match &split_path(&field.path)[..] {
            [key] => key.clone(),
            _ => field.path.clone(),
        };
        self.fields.iter().map(name).collect()
    }

    /// One text a field, without quotes; empty where the value is missing.
    pub fn texts(&self, cells: &[f64]) -> Vec<String> {
        let fields = self.fields.iter().zip(cells);
        fields
            .map(|(field, &cell)| field.text(cell).unwrap_or_default())
            .collect()
    }

    /// Writes the members that have a value; says whether there are any.
    fn object(&self, members: &[Member], cells: &[f64], out: &mut String) -> bool {
        let mut any = false;
        for member in members {
            let before = out.len();
            if any {
                out.push(',');
            }
            out.push_str(&member.key);
            out.push(':');
            let written = match &member.value {
                Value::Field(index) => self.fields[*index].json(cells[*index], out),
                Value::Object(members) => {
                    out.push('{');
                    let any = self.object(members, cells, out);
                    out.push('}');
                    any
                }
            };
            if !written {
                out.truncate(before);
            }
            any |= written;
        }
        any
    }
}

impl Field {
    /// Writes the value; says whether there is one.
    fn json(&self, cell: f64, out: &mut String) -> bool {
        let Some(text) = self.text(cell) else {
            return false;
        };
        match self.kind {
            Kind::Numeric | Kind::Boolean => out.push_str(&text),
            Kind::Categorical | Kind::Timestamp => out.push_str(&quoted(&text)),
        }
        true
    }

    fn text(&self, cell: f64) -> Option<String> {
        if !cell.is_finite() {
            return None;
        }
        match self.kind {
            Kind::Numeric => Some(number(cell)),
            Kind::Boolean => Some((cell != 0.0).to_string()),
            Kind::Categorical => self.words.get((cell as usize).checked_sub(1)?).cloned(),
            Kind::Timestamp => {
                let moment = jiff::Timestamp::from_second(cell.round() as i64);
                moment.ok().map(|moment| moment.to_string())
            }
        }
    }
}

fn place(
    members: &mut Vec<Member>,
    keys: &[String],
    index: usize,
    path: &str,
) -> Result<(), PathError> {
    let Some((name, below)) = keys.split_first() else {
        return Ok(());
    };
    let known = members.iter().position(|member| member.name == *name);
    let at = known.unwrap_or(members.len());
    if known.is_none() {
        members.push(Member {
            name: name.clone(),
            key: quoted(name),
            value: match below {
                [] => Value::Field(index),
                _ => Value::Object(Vec::new()),
            },
        });
    }
    match (&mut members[at].value, below) {
        (Value::Object(members), [_, ..]) => place(members, below, index, path),
        (Value::Field(_), []) if known.is_none() => Ok(()),
        (Value::Field(_), []) => Err(PathError::Twice(path.to_owned())),
        _ => Err(PathError::LeafAndObject(path.to_owned())),
    }
}

/// The shortest text that reads back as the same number.
fn number(value: f64) -> String {
    let mut text = String::new();
    let written = if value == 0.0 {
        write!(text, "0")
    } else if value.fract() == 0.0 && value.abs() < WHOLE {
        write!(text, "{value}")
    } else {
        write!(text, "{}", serde_json::Value::from(value))
    };
    // Writing to a string does not fail.
    written.map_or_else(|_| String::new(), |()| text)
}

fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::super::fixtures::{field, input};
    use super::super::{Decoder, Vocabularies};
    use super::*;
    use proptest::prelude::*;

    fn words() -> Vec<String> {
        ["chip", "a \"b\"\n", "3", "true"].map(Into::into).to_vec()
    }

    const FIELDS: [(&str, Kind); 6] = [
        ("amount", Kind::Numeric),
        ("card.channel", Kind::Categorical),
        ("card.present", Kind::Boolean),
        ("time", Kind::Timestamp),
        ("card.mean.week\\.7", Kind::Numeric),
        ("\\\\x \"y\"", Kind::Numeric),
    ];

    fn writer() -> Writer {
        let words = words();
        Writer::new(FIELDS.map(|(path, kind)| (path, kind, &words[..]))).unwrap()
    }

    fn json(cells: &[f64; 6]) -> String {
        let mut out = String::new();
        writer().json(cells, &mut out);
        out
    }

    #[test]
    fn records_have_the_nesting_of_the_paths_and_the_order_of_the_fields() {
        assert_eq!(
            json(&[23.5, 1.0, 1.0, 1_704_164_645.4, -7.0, 1e300]),
            r#"{"amount":23.5,"card":{"channel":"chip","present":true,"mean":{"week.7":-7}},"time":"2024-01-02T03:04:05Z","\\x \"y\"":1e+300}"#
        );
    }

    #[test]
    fn what_is_missing_or_has_no_word_is_left_out_with_the_objects_around_it() {
        let nan = f64::NAN;
        assert_eq!(json(&[nan; 6]), "{}");
        assert_eq!(json(&[nan, 0.0, nan, nan, nan, 2.0]), r#"{"\\x \"y\"":2}"#);
        assert_eq!(
            json(&[-0.0, 9.0, 0.0, nan, nan, nan]),
            r#"{"amount":0,"card":{"present":false}}"#
        );
    }

    #[test]
    fn columns_are_named_by_the_key_or_else_by_the_path() {
        let names = writer().names();
        assert_eq!(names[0], "amount");
        assert_eq!(names[1], "card.channel");
        assert_eq!(names[4], "card.mean.week\\.7");
        assert_eq!(names[5], "\\x \"y\"");
        let texts = writer().texts(&[1.5, 2.0, f64::NAN, 0.0, 1e20, 3.0]);
        assert_eq!(texts[..3], ["1.5", "a \"b\"\n", ""]);
        assert_eq!(texts[3..], ["1970-01-01T00:00:00Z", "1e+20", "3"]);
    }

    #[test]
    fn paths_that_cannot_hold_together_are_refused() {
        let paths = |names: &[&'static str]| {
            let fields = names.iter().map(|name| (*name, Kind::Numeric, &[][..]));
            Writer::new(fields.collect::<Vec<_>>()).map(drop)
        };
        assert_eq!(paths(&["a.b", "a.c", "d"]), Ok(()));
        assert_eq!(paths(&["a", "a"]), Err(PathError::Twice("a".into())));
        let both = |path: &str| Err(PathError::LeafAndObject(path.into()));
        assert_eq!(paths(&["a", "a.b"]), both("a.b"));
        assert_eq!(paths(&["a.b.c", "a.b"]), both("a.b"));
        assert_eq!(paths(&["a..b"]), Err(PathError::Empty("a..b".into())));
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_back(
            amount in proptest::num::f32::NORMAL, whole in -1_000_000_i32..1_000_000,
            word in 1_u8..5, flag: bool, second in -60_000_000_000_i64..200_000_000_000,
        ) {
            let cells = [
                amount.into(), word.into(), f64::from(u8::from(flag)), second as f64,
                whole.into(), f64::from(amount) * 0.1,
            ];
            let fields = FIELDS.map(|(path, kind)| field(path, kind));
            let mut decoder = Decoder::new(&fields, &input()).unwrap();
            let mut vocabularies = Vocabularies::frozen(vec![words()]);
            let mut back = [0.0; 6];
            decoder.decode(json(&cells).as_bytes(), &mut vocabularies, &mut back).unwrap();
            prop_assert_eq!(back, cells);
        }
    }
}
