//! Why a record cannot be scored.

use std::fmt;
use std::sync::Arc;

use crate::metrics::DeadLetterClass;

/// A record that becomes a dead letter: its class, where it went wrong, and one sentence.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rejection {
    pub class: DeadLetterClass,
    /// The configured path at fault, where there is one.
    pub path: Option<Arc<str>>,
    /// Byte offset into the record.
    pub at: usize,
    /// What is wrong, without any of the record's text.
    pub detail: &'static str,
}

impl fmt::Display for Rejection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.class.as_str())?;
        if let Some(path) = &self.path {
            write!(f, " in field `{path}`")?;
        }
        write!(f, " at byte {}: {}", self.at, self.detail)
    }
}

impl std::error::Error for Rejection {}

/// A [`Rejection`] that still names its path by number, so that raising it costs nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Fault {
    pub class: DeadLetterClass,
    pub at: usize,
    pub detail: &'static str,
    /// Index into the members of the paths.
    pub member: Option<usize>,
}

impl Fault {
    #[cold]
    pub fn new(class: DeadLetterClass, at: usize, detail: &'static str) -> Self {
        Self {
            class,
            at,
            detail,
            member: None,
        }
    }

    #[cold]
    pub fn syntax(at: usize, detail: &'static str) -> Self {
        Self::new(DeadLetterClass::JsonSyntax, at, detail)
    }

    pub fn in_member(self, member: usize) -> Self {
        Self {
            member: Some(member),
            ..self
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rejection_reads_as_one_sentence() {
        let rejection = Rejection {
            class: DeadLetterClass::TypeMismatch,
            path: Some("cpu.user".into()),
            at: 17,
            detail: "expected a number",
        };
        assert_eq!(
            rejection.to_string(),
            "type_mismatch in field `cpu.user` at byte 17: expected a number"
        );
    }
}
