//! `where`: which records are scored at all.

use std::fmt;
use std::iter::Peekable;
use std::str::Chars;

use super::error::Wrong;

/// `where = 'type = "reading" and value exists'`: all conditions must hold.
#[derive(Debug, Clone, PartialEq)]
pub struct Filter {
    pub conditions: Vec<Condition>,
}

/// One condition of a [`Filter`].
#[derive(Debug, Clone, PartialEq)]
pub enum Condition {
    /// The field at `path` is there and not null.
    Exists { path: String },
    /// The field at `path` is a string, number or boolean whose text is `value`.
    Equals { path: String, value: String },
}

#[derive(Debug, Clone, PartialEq)]
enum Token {
    /// A run of plain characters.
    Word(String),
    /// Between backticks.
    Path(String),
    /// Between quotation marks.
    Text(String),
    Equals,
}

impl Filter {
    pub(super) fn parse(text: &str) -> Result<Self, Wrong> {
        let conditions = conditions(text).map_err(|problem| {
            let example = "write conditions such as 'type = \"reading\" and value exists'";
            Wrong::new(problem, example)
        })?;
        Ok(Self { conditions })
    }
}

fn conditions(text: &str) -> Result<Vec<Condition>, String> {
    let mut tokens = tokens(text)?.into_iter();
    let mut conditions = Vec::new();
    loop {
        let path = match tokens.next() {
            Some(Token::Path(path)) => path,
            Some(Token::Word(word)) if is_plain_path(&word) => word,
            Some(token) => return Err(format!("has {token} where a path should be")),
            None => return Err("ends where a path should be".to_owned()),
        };
        let condition = match tokens.next() {
            Some(Token::Word(word)) if word == "exists" => Condition::Exists { path },
            Some(Token::Equals) => Condition::Equals {
                path,
                value: value(tokens.next())?,
            },
            Some(token) => return Err(format!("has {token} where `=` or `exists` should be")),
            None => return Err("ends where `=` or `exists` should be".to_owned()),
        };
        conditions.push(condition);
        match tokens.next() {
            None => return Ok(conditions),
            Some(Token::Word(word)) if word == "and" => {}
            Some(token) => return Err(format!("has {token} where `and` should be")),
        }
    }
}

fn value(token: Option<Token>) -> Result<String, String> {
    match token {
        Some(Token::Text(text)) => Ok(text),
        Some(Token::Word(word)) if word == "true" || word == "false" => Ok(word),
        Some(Token::Word(word)) if word.parse().is_ok_and(f64::is_finite) => Ok(word),
        Some(Token::Word(word)) => Err(format!(
            "has {word} where a value should be: text stands in quotation marks"
        )),
        Some(token) => Err(format!("has {token} where a value should be")),
        None => Err("ends where a value should be".to_owned()),
    }
}

fn tokens(text: &str) -> Result<Vec<Token>, String> {
    let mut tokens = Vec::new();
    let mut rest = text.chars().peekable();
    while let Some(&next) = rest.peek() {
        let token = match next {
            c if c.is_whitespace() => {
                rest.next();
                continue;
            }
            '=' => {
                rest.next();
                Token::Equals
            }
            '`' => Token::Path(quoted(&mut rest)?),
            '"' | '\'' => Token::Text(quoted(&mut rest)?),
            _ => Token::Word(word(&mut rest)),
        };
        tokens.push(token);
    }
    Ok(tokens)
}

fn word(rest: &mut Peekable<Chars<'_>>) -> String {
    let ends = |c: &char| c.is_whitespace() || matches!(c, '=' | '`' | '"' | '\'');
    std::iter::from_fn(|| rest.next_if(|c| !ends(c))).collect()
}

/// What stands between a mark and the next one like it; a backslash takes the character after it
/// as it is.
fn quoted(rest: &mut Peekable<Chars<'_>>) -> Result<String, String> {
    let mark = rest.next().unwrap_or_default();
    let mut inside = String::new();
    loop {
        match rest.next() {
            Some(c) if c == mark => return Ok(inside),
            Some('\\') => inside.extend(rest.next()),
            Some(c) => inside.push(c),
            None => return Err(format!("has a {mark} that is not closed")),
        }
    }
}

/// Whether a path needs no backticks.
fn is_plain_path(path: &str) -> bool {
    let plain =
        |c: char| c.is_alphanumeric() || matches!(c, '_' | '-' | '.' | '$' | '@' | '/' | ':');
    !path.is_empty() && path.chars().all(plain)
}

/// As the configuration writes it; values always stand in quotation marks.
impl fmt::Display for Filter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, condition) in self.conditions.iter().enumerate() {
            if index > 0 {
                f.write_str(" and ")?;
            }
            write!(f, "{condition}")?;
        }
        Ok(())
    }
}

impl fmt::Display for Condition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shown = |path: &str| match is_plain_path(path) {
            true => path.to_owned(),
            false => between('`', path),
        };
        match self {
            Self::Exists { path } => write!(f, "{} exists", shown(path)),
            Self::Equals { path, value } => write!(f, "{} = {}", shown(path), between('"', value)),
        }
    }
}

fn between(mark: char, text: &str) -> String {
    let mut quoted = String::from(mark);
    for c in text.chars() {
        if c == mark || c == '\\' {
            quoted.push('\\');
        }
        quoted.push(c);
    }
    quoted.push(mark);
    quoted
}

impl fmt::Display for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Word(word) => write!(f, "{word:?}"),
            Self::Path(path) => f.write_str(&between('`', path)),
            Self::Text(text) => f.write_str(&between('"', text)),
            Self::Equals => f.write_str("`=`"),
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn exists(path: &str) -> Condition {
        Condition::Exists {
            path: path.to_owned(),
        }
    }

    fn equals(path: &str, value: &str) -> Condition {
        Condition::Equals {
            path: path.to_owned(),
            value: value.to_owned(),
        }
    }

    fn problem(text: &str) -> String {
        Filter::parse(text).unwrap_err().problem
    }

    #[test]
    fn conditions_are_joined_by_and() {
        let filter =
            Filter::parse(r#"type = "reading" and value exists and ok=true and n = -1.5"#).unwrap();
        assert_eq!(
            filter.conditions,
            [
                equals("type", "reading"),
                exists("value"),
                equals("ok", "true"),
                equals("n", "-1.5")
            ]
        );
    }

    #[test]
    fn paths_may_stand_in_backticks_and_text_in_either_mark() {
        let filter = Filter::parse(r"`odd path and more` exists and a.b = 'it\'s'").unwrap();
        assert_eq!(
            filter.conditions,
            [exists("odd path and more"), equals("a.b", "it's")]
        );
    }

    #[test]
    fn a_path_may_be_called_like_a_word_of_the_grammar() {
        let filter = Filter::parse("and exists and exists exists").unwrap();
        assert_eq!(filter.conditions, [exists("and"), exists("exists")]);
    }

    #[test]
    fn what_is_wrong_is_said_with_its_place() {
        assert_eq!(problem(""), "ends where a path should be");
        assert_eq!(problem("type"), "ends where `=` or `exists` should be");
        assert_eq!(problem("a = "), "ends where a value should be");
        assert_eq!(problem("a == 1"), "has `=` where a value should be");
        assert_eq!(
            problem("a != 1"),
            "has \"!\" where `=` or `exists` should be"
        );
        assert_eq!(
            problem("a = b"),
            "has b where a value should be: text stands in quotation marks"
        );
        assert_eq!(
            problem("a exists or b exists"),
            "has \"or\" where `and` should be"
        );
        assert_eq!(problem("a exists and"), "ends where a path should be");
        assert_eq!(problem("a = \"b"), "has a \" that is not closed");
        assert_eq!(problem("\"a\" exists"), "has \"a\" where a path should be");
    }

    fn any_condition() -> impl Strategy<Value = Condition> {
        prop_oneof![
            "\\PC{1,12}".prop_map(|path| Condition::Exists { path }),
            ("\\PC{1,12}", "\\PC{0,12}")
                .prop_map(|(path, value)| Condition::Equals { path, value }),
        ]
    }

    proptest! {
        #[test]
        fn a_filter_survives_its_text(conditions in proptest::collection::vec(any_condition(), 1..5)) {
            let filter = Filter { conditions };
            prop_assert_eq!(Filter::parse(&filter.to_string()), Ok(filter));
        }

        #[test]
        fn no_text_panics(text in "(\\PC|and|exists|[=`\"' ]){0,12}") {
            drop(Filter::parse(&text));
        }
    }
}
