//! Defects on demand: the tests plant one and see whether it is noticed. A release build has none of this.

use std::str::FromStr;
#[cfg(debug_assertions)]
use std::sync::{
    OnceLock,
    atomic::{AtomicBool, Ordering},
};

/// A defect that a line could have.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Defect {
    /// A record with this text in it ends the process.
    Crash(String),
    /// Offsets are committed before the messages below them are durable.
    CommitBeforeDelivery,
    /// A message that was refused counts as delivered.
    CommitPastFailure,
    /// One outlier in twenty is not published.
    DropSome,
    /// The first dead letter of each batch is not published.
    SkipDeadLetter,
    /// Offsets go with the transaction after that of their messages.
    OffsetsApart,
    /// A producer is used on although the end of its last transaction was sent twice.
    ReuseProducer,
    /// What was judged of a partition before it was taken away is committed all the same.
    KeepRevoked,
    /// A training comes to a loss that is no number.
    NanLoss,
}

impl FromStr for Defect {
    type Err = String;

    fn from_str(text: &str) -> Result<Defect, String> {
        match text.split_once(':') {
            Some(("crash", word)) if !word.is_empty() => Ok(Defect::Crash(word.to_owned())),
            None if text == "commit-before-delivery" => Ok(Defect::CommitBeforeDelivery),
            None if text == "commit-past-failure" => Ok(Defect::CommitPastFailure),
            None if text == "drop-some" => Ok(Defect::DropSome),
            None if text == "skip-dead-letter" => Ok(Defect::SkipDeadLetter),
            None if text == "offsets-apart" => Ok(Defect::OffsetsApart),
            None if text == "reuse-producer" => Ok(Defect::ReuseProducer),
            None if text == "keep-revoked" => Ok(Defect::KeepRevoked),
            None if text == "nan-loss" => Ok(Defect::NanLoss),
            _ => Err(format!("no such defect: {text}")),
        }
    }
}

#[cfg(debug_assertions)]
static PLANTED: OnceLock<Defect> = OnceLock::new();

/// Plants `defect`, once for the life of the process; does nothing in a release build.
pub fn plant(defect: Defect) {
    #[cfg(debug_assertions)]
    PLANTED.set(defect).ok();
    #[cfg(not(debug_assertions))]
    drop(defect);
}

/// Whether `defect` is planted.
#[cfg(debug_assertions)]
pub(crate) fn has(defect: &Defect) -> bool {
    PLANTED.get() == Some(defect)
}

#[cfg(not(debug_assertions))]
pub(crate) const fn has(_: &Defect) -> bool {
    false
}

/// Whether `defect` is planted and its turn has come, which is every other time.
#[cfg(debug_assertions)]
pub(crate) fn every_other(defect: &Defect) -> bool {
    static TURN: AtomicBool = AtomicBool::new(false);
    has(defect) && !TURN.fetch_xor(true, Ordering::Relaxed)
}

#[cfg(not(debug_assertions))]
pub(crate) const fn every_other(_: &Defect) -> bool {
    false
}

/// Ends the process if the planted crash is in `payload`.
#[cfg(debug_assertions)]
pub(crate) fn crash_on(payload: &[u8]) {
    if let Some(Defect::Crash(word)) = PLANTED.get()
        && payload
            .windows(word.len())
            .any(|part| part == word.as_bytes())
    {
        std::process::abort();
    }
}

#[cfg(not(debug_assertions))]
pub(crate) const fn crash_on(_: &[u8]) {}
