//! Values that are never printed.

use std::collections::HashMap;
use std::fmt;
use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use ::config::{Value, ValueKind};

use super::error::Wrong;
use super::section::{Presence, Section};
use super::source::Surroundings;
use super::value::scalar;

/// Longer than any key or chain of certificates; a path to a device must not fill the memory.
const LARGEST_FILE: u64 = 1 << 20;

/// A password or key, read from a file or the environment. Its `Debug` and `Display` are redacted.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret {
    value: String,
    file: Option<PathBuf>,
}

impl Secret {
    pub fn new(value: String) -> Self {
        Self { value, file: None }
    }

    /// Reads one that a file holds.
    ///
    /// # Errors
    /// When it cannot be read or is empty, in words that do not quote it.
    pub fn of_file(path: &Path) -> Result<Self, String> {
        from_file(path).map_err(|wrong| format!("{}: {}", wrong.problem, wrong.remedy))
    }

    /// The file that it was read from, if it was one.
    pub fn file(&self) -> Option<&Path> {
        self.file.as_deref()
    }

    /// What its file holds now; one of the environment stays what it is.
    ///
    /// # Errors
    /// When the file cannot be read, in words that do not quote it.
    pub(super) fn again(&self) -> Result<Self, Wrong> {
        self.file.as_deref().map_or(Ok(self.clone()), from_file)
    }

    /// The value itself: only to hand it to the library that needs it.
    pub fn expose(&self) -> &str {
        &self.value
    }

    /// Reads the secret at `name`, which may be left out, and has `check` look at it.
    pub(super) fn optional(
        section: &mut Section<'_>,
        name: &str,
        surroundings: &Surroundings,
        check: impl Fn(&Secret) -> Result<(), Wrong>,
    ) -> Option<Option<Secret>> {
        let Some(reference) = section.raw(name, Presence::Optional) else {
            return Some(None);
        };
        let secret = Secret::resolve(&reference, surroundings);
        let secret = secret.and_then(|secret| check(&secret).map(|()| secret));
        secret
            .map_err(|wrong| section.refuse(name, None, wrong))
            .ok()
            .map(Some)
    }

    /// Reads the secret that `{ file = "…" }` or `{ env = "…" }` names.
    pub(super) fn resolve(value: &Value, surroundings: &Surroundings) -> Result<Self, Wrong> {
        let ValueKind::Table(table) = &value.kind else {
            return Err(Wrong::new("is not a reference to a secret", REMEDY));
        };
        match (source(table, "file"), source(table, "env"), table.len()) {
            (Some(file), None, 1) => from_file(&surroundings.folder.join(file)),
            (None, Some(name), 1) => {
                from_environment(&name, surroundings.environment.get(&name).cloned())
            }
            _ => Err(Wrong::new("is not a reference to one secret", REMEDY)),
        }
    }
}

const REMEDY: &str = "write { file = \"/run/secrets/name\" } or { env = \"NAME\" }";

fn source(table: &HashMap<String, Value>, key: &str) -> Option<String> {
    scalar(table.get(key)?)
}

fn from_file(path: &Path) -> Result<Secret, Wrong> {
    let shown = path.display();
    let mut text = String::new();
    File::open(path)
        .and_then(|file| file.take(LARGEST_FILE).read_to_string(&mut text))
        .map_err(|error| {
            let problem = format!("names the file {shown}, which {}", reason(&error));
            Wrong::new(
                problem,
                "write the secret to this file, or name another one",
            )
        })?;
    let secret = text.strip_suffix('\n').unwrap_or(&text);
    let secret = secret.strip_suffix('\r').unwrap_or(secret);
    let secret = not_empty(secret, || format!("names the file {shown}, which is empty"))?;
    Ok(Secret {
        file: Some(path.to_owned()),
        ..secret
    })
}

/// The error's own words are not used: they may quote the content.
fn reason(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::NotFound => "does not exist".to_owned(),
        io::ErrorKind::PermissionDenied => "this user may not read".to_owned(),
        io::ErrorKind::InvalidData => "is not UTF-8 text".to_owned(),
        kind => format!("cannot be read ({kind})"),
    }
}

fn from_environment(name: &str, value: Option<String>) -> Result<Secret, Wrong> {
    let legal = |c: char| c.is_ascii_alphanumeric() || c == '_';
    if name.is_empty() || !name.chars().all(legal) {
        // Not shown: somebody may have put the secret itself here.
        let problem = "does not name a variable of the environment";
        return Err(Wrong::new(problem, REMEDY));
    }
    let Some(value) = value else {
        let problem = format!("names the variable {name}, which is not set");
        return Err(Wrong::new(problem, "set it, or name another one"));
    };
    not_empty(&value, || {
        format!("names the variable {name}, which is empty")
    })
}

fn not_empty(secret: &str, problem: impl Fn() -> String) -> Result<Secret, Wrong> {
    if secret.is_empty() {
        return Err(Wrong::new(
            problem(),
            "write the secret there, without quotation marks",
        ));
    }
    Ok(Secret::new(secret.to_owned()))
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[secret]")
    }
}

impl fmt::Display for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[secret]")
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
mod tests {
    use super::*;

    fn reference(key: &str, to: &str) -> Value {
        HashMap::from([(key.to_owned(), to.to_owned())]).into()
    }

    fn resolve_file(content: &[u8]) -> Result<Secret, Wrong> {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("secret"), content).unwrap();
        let surroundings = Surroundings {
            folder: folder.path().to_owned(),
            ..Surroundings::default()
        };
        Secret::resolve(&reference("file", "secret"), &surroundings)
    }

    #[test]
    fn a_secret_is_never_printed() {
        let secret = Secret::new("hunter2".to_owned());
        assert_eq!(format!("{secret} {secret:?}"), "[secret] [secret]");
    }

    #[test]
    fn a_secret_of_a_file_is_what_the_file_holds_now() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("secret");
        std::fs::write(&file, "hunter2").unwrap();
        let name = file.display().to_string();
        let secret = Secret::resolve(&reference("file", &name), &Surroundings::default()).unwrap();
        std::fs::write(&file, "hunter3\n").unwrap();
        assert_eq!(secret.again().unwrap().expose(), "hunter3");
        std::fs::remove_file(&file).unwrap();
        let wrong = secret.again().unwrap_err();
        assert!(
            wrong.problem.contains("does not exist"),
            "{}",
            wrong.problem
        );
        assert!(!wrong.problem.contains("hunter"), "{}", wrong.problem);
    }

    #[test]
    fn one_line_end_of_a_file_is_not_part_of_the_secret() {
        assert_eq!(resolve_file(b"hunter2\n").unwrap().expose(), "hunter2");
        assert_eq!(resolve_file(b"hunter2\r\n").unwrap().expose(), "hunter2");
        assert_eq!(resolve_file(b" a\nb \n\n").unwrap().expose(), " a\nb \n");
    }

    #[test]
    fn a_file_without_a_secret_is_refused() {
        assert!(
            resolve_file(b"\n")
                .unwrap_err()
                .problem
                .ends_with("which is empty")
        );
        assert!(
            resolve_file(b"\xff\xfe")
                .unwrap_err()
                .problem
                .ends_with("is not UTF-8 text")
        );
        let nowhere = reference("file", "/nowhere/at/all");
        let wrong = Secret::resolve(&nowhere, &Surroundings::default()).unwrap_err();
        assert_eq!(
            wrong.problem,
            "names the file /nowhere/at/all, which does not exist"
        );
    }

    #[test]
    fn the_environment_is_the_one_that_was_handed_in() {
        let surroundings = Surroundings {
            environment: [("KEY".to_owned(), "hunter2".to_owned())].into(),
            ..Surroundings::default()
        };
        let found = Secret::resolve(&reference("env", "KEY"), &surroundings);
        assert_eq!(found.unwrap().expose(), "hunter2");
        let wrong = Secret::resolve(&reference("env", "PATH"), &surroundings).unwrap_err();
        assert_eq!(wrong.problem, "names the variable PATH, which is not set");
    }

    #[test]
    fn a_secret_in_the_place_of_its_name_is_not_repeated() {
        let surroundings = Surroundings::default();
        let both = HashMap::from([("file", "hunter2!"), ("env", "hunter2!")])
            .into_iter()
            .map(|(key, to)| (key.to_owned(), to.to_owned()))
            .collect::<HashMap<String, String>>();
        for value in [
            Value::from("hunter2!"),
            reference("env", "hunter2!"),
            both.into(),
        ] {
            let wrong = Secret::resolve(&value, &surroundings).unwrap_err();
            assert!(!format!("{wrong:?}").contains("hunter2"), "{wrong:?}");
        }
    }
}
