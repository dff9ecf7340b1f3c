//! What is wrong with a configuration: everything at once, each with its place and its remedy.

use std::fmt;

/// All errors of a configuration, in the order in which its sections are read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Errors(pub Vec<Error>);

/// One thing that is wrong. It never holds a secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Error {
    /// The key, `line.batch_rows`, or the place in the file, `outlierd.toml:3:9`.
    pub path: String,
    /// The value as it would be written in the file; `None` if there is none or it is not for eyes.
    pub value: Option<String>,
    pub problem: String,
    /// What the user can do about it.
    pub remedy: String,
}

/// What a parser has against a value; the section adds the place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Wrong {
    pub problem: String,
    pub remedy: String,
}

impl Wrong {
    pub fn new(problem: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self {
            problem: problem.into(),
            remedy: remedy.into(),
        }
    }
}

impl std::error::Error for Errors {}

impl std::error::Error for Error {}

impl fmt::Display for Errors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.len() {
            1 => write!(f, "the configuration has an error")?,
            count => write!(f, "the configuration has {count} errors")?,
        }
        for error in &self.0 {
            write!(f, "\n\n{error}")?;
        }
        Ok(())
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "  {}", self.path)?;
        if let Some(value) = &self.value {
            write!(f, " = {value}")?;
        }
        write!(f, "\n    {}\n    {}", self.problem, self.remedy)
    }
}
