//! Which models there are, and what each is: the arithmetic of a store.

use serde::{Deserialize, Serialize};

use super::lease::Lease;
use super::report::Report;

/// The format that is written, and the one that is read.
const FORMAT: u32 = 1;

/// What a model is to its store.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// Trained, and not decided on.
    Candidate,
    /// Has not passed its gate.
    Refused,
    /// The one that scores.
    Serving,
    /// Has served before.
    Archived,
}

impl State {
    pub fn as_str(self) -> &'static str {
        match self {
            State::Candidate => "candidate",
            State::Refused => "refused",
            State::Serving => "serving",
            State::Archived => "archived",
        }
    }
}

/// A model of the store.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Entry {
    /// Of its file, which is named by it.
    pub version: String,
    pub state: State,
    /// When it came into this state, RFC 3339.
    pub since: String,
    /// Never deleted.
    #[serde(default)]
    pub pinned: bool,
    /// The version that it was trained to follow.
    #[serde(default)]
    pub parent: Option<String>,
    /// What its gate said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gate: Option<Report>,
    /// Until then it is tried beside the one that serves: it has passed its gate, and will be judged again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub shadow_until: Option<jiff::Timestamp>,
}

/// All models of a store, in the order in which they came into their states.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Ledger {
    format: u32,
    /// Whether somebody rolled back, and nothing is promoted by itself until that is released.
    pub held: bool,
    /// The newest slot of the schedule that has been seen to, RFC 3339.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub slot: Option<jiff::Timestamp>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub training: Option<Lease>,
    pub models: Vec<Entry>,
}

/// Why the ledger cannot be changed in this way.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LedgerError {
    #[error("there is no model {0} here: `outlierd models list` shows those that there are")]
    Unknown(String),
    #[error("{0} is the beginning of several versions ({1}): give more of it")]
    Ambiguous(String, String),
    #[error("{0} is {1} already")]
    Decided(String, &'static str),
    #[error("{0} is serving already")]
    Serving(String),
    #[error("no model has served before this one: promote one with `outlierd models promote V`")]
    NothingBefore,
    #[error("{0} is not deleted: it is {1}")]
    Needed(String, &'static str),
    #[error("it has format {0}, and this outlierd reads format {FORMAT}: use a newer outlierd")]
    Newer(u32),
    #[error("{0}")]
    Contradiction(String),
}

impl Default for Ledger {
    fn default() -> Ledger {
        Ledger {
            format: FORMAT,
            held: false,
            slot: None,
            training: None,
            models: Vec::new(),
        }
    }
}

impl Ledger {
    /// Reads what was written, or edited by hand, and checks it.
    ///
    /// # Errors
    /// When it is not a ledger, is one of a newer format, or contradicts itself.
    pub fn parse(text: &str) -> Result<Ledger, LedgerError> {
        let contradiction = LedgerError::Contradiction;
        let ledger: Ledger =
            serde_json::from_str(text).map_err(|error| contradiction(error.to_string()))?;
        if ledger.format != FORMAT {
            return Err(LedgerError::Newer(ledger.format));
        }
        let serving = ledger.in_state(State::Serving).count();
        if serving > 1 {
            return Err(contradiction(format!("{serving} models are serving")));
        }
        for (at, entry) in ledger.models.iter().enumerate() {
            let is_name = entry.version.bytes().all(|byte| byte.is_ascii_hexdigit());
            if entry.version.is_empty() || !is_name {
                return Err(contradiction(format!("{:?} is no version", entry.version)));
            }
            let mut before = ledger.models[..at].iter();
            if before.any(|other| other.version == entry.version) {
                return Err(contradiction(format!("{} is there twice", entry.version)));
            }
        }
        Ok(ledger)
    }

    fn in_state(&self, state: State) -> impl DoubleEndedIterator<Item = &Entry> {
        self.models.iter().filter(move |entry| entry.state == state)
    }

    pub fn serving(&self) -> Option<&Entry> {
        self.in_state(State::Serving).next()
    }

    /// Those that have served before, the newest first.
    pub fn archived(&self) -> impl Iterator<Item = &Entry> {
        self.in_state(State::Archived).rev()
    }

    /// What a version is; none if it is unknown.
    pub fn get(&self, version: &str) -> Option<&Entry> {
        self.models.iter().find(|entry| entry.version == version)
    }

    /// The version that `beginning` is the beginning of.
    ///
    /// # Errors
    /// When there is none, or several.
    pub fn version(&self, beginning: &str) -> Result<String, LedgerError> {
        let meant = |entry: &&Entry| entry.version.starts_with(beginning);
        let meant: Vec<&str> = self.models.iter().filter(meant).map(Entry::name).collect();
        match meant[..] {
            [version] => Ok(version.to_owned()),
            [] => Err(LedgerError::Unknown(beginning.to_owned())),
            _ => Err(LedgerError::Ambiguous(
                beginning.to_owned(),
                meant.join(", "),
            )),
        }
    }

    /// Takes a candidate in, unless it is there already.
    pub fn add(&mut self, version: &str, parent: Option<String>, now: &str) {
        if self.models.iter().any(|entry| entry.version == version) {
            return;
        }
        self.models.push(Entry {
            version: version.to_owned(),
            state: State::Candidate,
            since: now.to_owned(),
            pinned: false,
            parent,
            gate: None,
            shadow_until: None,
        });
    }

    /// Notes what its gate said of a candidate, or of one that was refused before: it is refused if it has not passed.
    ///
    /// # Errors
    /// When it is unknown, or has served.
    pub fn judge(&mut self, version: &str, report: Report, now: &str) -> Result<(), LedgerError> {
        let passed = report.passed();
        let entry = self.entry(version)?;
        if !matches!(entry.state, State::Candidate | State::Refused) {
            let state = entry.state.as_str();
            return Err(LedgerError::Decided(version.to_owned(), state));
        }
        entry.gate = Some(report);
        let state = match passed {
            true => State::Candidate,
            false => State::Refused,
        };
        self.put(version, state, now);
        Ok(())
    }

    /// Has a candidate tried beside the one that serves.
    ///
    /// # Errors
    /// When it is unknown.
    pub fn shadow(&mut self, version: &str, until: jiff::Timestamp) -> Result<(), LedgerError> {
        self.entry(version)?.shadow_until = Some(until);
        Ok(())
    }

    /// Has a candidate that is tried be tried for longer; what somebody has decided of meanwhile stays so.
    pub fn prolong(&mut self, version: &str, until: jiff::Timestamp) {
        let mut candidates = self
            .models
            .iter_mut()
            .filter(|it| it.state == State::Candidate);
        let tried = candidates.find(|it| it.version == version);
        if let Some(until_now) = tried.and_then(|it| it.shadow_until.as_mut()) {
            *until_now = until;
        }
    }

    /// A candidate whose time beside the one that serves is over.
    pub fn trial_due(&self, now: jiff::Timestamp) -> Option<&Entry> {
        let is_over = |entry: &&Entry| entry.shadow_until.is_some_and(|until| until <= now);
        self.in_state(State::Candidate).find(is_over)
    }

    /// How many were refused since the one that serves began to.
    pub fn refusals(&self) -> usize {
        let serving = self
            .models
            .iter()
            .position(|entry| entry.state == State::Serving);
        let since = &self.models[serving.map_or(0, |at| at + 1)..];
        since
            .iter()
            .filter(|entry| entry.state == State::Refused)
            .count()
    }

    /// Notes that a slot of the schedule has been seen to.
    pub fn pass(&mut self, slot: jiff::Timestamp) {
        self.slot = self.slot.max(Some(slot));
    }

    fn entry(&mut self, version: &str) -> Result<&mut Entry, LedgerError> {
        let mut models = self.models.iter_mut();
        models
            .find(|entry| entry.version == version)
            .ok_or_else(|| LedgerError::Unknown(version.to_owned()))
    }

    fn put(&mut self, version: &str, state: State, now: &str) {
        if let Some(at) = self.models.iter().position(|e| e.version == version) {
            let mut entry = self.models.remove(at);
            entry.state = state;
            entry.shadow_until = None;
            now.clone_into(&mut entry.since);
            self.models.push(entry);
        }
    }

    /// Has `version` serve from now on, and the one that did archived.
    ///
    /// # Errors
    /// When it is unknown or serves already.
    pub fn promote(&mut self, version: &str, now: &str) -> Result<(), LedgerError> {
        if self.entry(version)?.state == State::Serving {
            return Err(LedgerError::Serving(version.to_owned()));
        }
        if let Some(before) = self.serving().map(|entry| entry.version.clone()) {
            self.put(&before, State::Archived, now);
        }
        self.put(version, State::Serving, now);
        Ok(())
    }

    /// The one that served before.
    ///
    /// # Errors
    /// When there is none.
    pub fn before(&self) -> Result<&Entry, LedgerError> {
        self.archived().next().ok_or(LedgerError::NothingBefore)
    }

    /// Has `version` serve; until [`Self::release`] nothing is promoted by itself.
    ///
    /// # Errors
    /// As [`Self::promote`].
    pub fn roll_back(&mut self, version: &str, now: &str) -> Result<(), LedgerError> {
        self.promote(version, now)?;
        self.held = true;
        Ok(())
    }

    /// Lets models be promoted by themselves again.
    pub fn release(&mut self) {
        self.held = false;
    }

    /// # Errors
    /// When it is unknown.
    pub fn pin(&mut self, version: &str, pinned: bool) -> Result<(), LedgerError> {
        self.entry(version)?.pinned = pinned;
        Ok(())
    }

    /// Why a model stays, if it must.
    fn needed(&self, entry: &Entry) -> Option<&'static str> {
        let is_parent = |other: &Entry| {
            (other.pinned || other.state == State::Serving)
                && other.parent.as_deref() == Some(&entry.version)
        };
        if entry.state == State::Serving {
            Some("serving")
        } else if entry.pinned {
            Some("pinned")
        } else if self.models.iter().any(is_parent) {
            Some("the parent of one that is serving or pinned")
        } else {
            None
        }
    }

    /// Forgets a model.
    ///
    /// # Errors
    /// When it is unknown, serving, pinned, or the parent of such a one.
    pub fn delete(&mut self, version: &str) -> Result<(), LedgerError> {
        let entry = self.entry(version)?.clone();
        if let Some(why) = self.needed(&entry) {
            return Err(LedgerError::Needed(version.to_owned(), why));
        }
        self.models.retain(|other| other.version != version);
        Ok(())
    }

    /// Forgets the oldest so that no more than `keep` stay besides those that must, and returns them.
    pub fn prune(&mut self, keep: usize) -> Vec<String> {
        let free = |entry: &&Entry| self.needed(entry).is_none();
        let free: Vec<String> = self
            .models
            .iter()
            .filter(free)
            .map(|entry| entry.version.clone())
            .collect();
        let surplus = free[..free.len().saturating_sub(keep)].to_vec();
        self.models
            .retain(|entry| !surplus.contains(&entry.version));
        surplus
    }
}

impl Entry {
    fn name(&self) -> &str {
        &self.version
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[derive(Debug, Clone)]
    enum Change {
        Add(u8, Option<u8>),
        Promote(u8),
        RollBack,
        Pin(u8, bool),
        Delete(u8),
        Prune(usize),
    }

    fn change() -> impl Strategy<Value = Change> {
        let model = 0..12_u8;
        prop_oneof![
            3 => (model.clone(), proptest::option::of(model.clone()))
                .prop_map(|(model, parent)| Change::Add(model, parent)),
            2 => model.clone().prop_map(Change::Promote),
            1 => Just(Change::RollBack),
            1 => (model.clone(), any::<bool>()).prop_map(|(model, pin)| Change::Pin(model, pin)),
            1 => model.prop_map(Change::Delete),
            1 => (0..4_usize).prop_map(Change::Prune),
        ]
    }

    fn name(model: u8) -> String {
        format!("{model:012x}")
    }

    impl Change {
        fn make(&self, ledger: &mut Ledger) -> bool {
            match self {
                Change::Add(model, parent) => {
                    ledger.add(&name(*model), parent.map(name), "now");
                    true
                }
                Change::Promote(model) => ledger.promote(&name(*model), "now").is_ok(),
                Change::RollBack => match ledger.before().cloned() {
                    Ok(before) => ledger.roll_back(&before.version, "now").is_ok(),
                    Err(_) => false,
                },
                Change::Pin(model, pin) => ledger.pin(&name(*model), *pin).is_ok(),
                Change::Delete(model) => ledger.delete(&name(*model)).is_ok(),
                Change::Prune(keep) => {
                    ledger.prune(*keep);
                    true
                }
            }
        }
    }

    proptest! {
        #[test]
        fn whatever_is_done_one_serves_and_nothing_needed_goes(
            changes in proptest::collection::vec(change(), 0..60)
        ) {
            let mut ledger = Ledger::default();
            for change in changes {
                let before = ledger.clone();
                let done = change.make(&mut ledger);
                prop_assert!(done || ledger == before, "a refused change changed something");
                let serving = ledger.in_state(State::Serving).count();
                prop_assert!(serving <= 1);
                prop_assert!(serving == 1 || before.serving().is_none(), "none serves any more");
                for entry in &before.models {
                    let still = ledger.models.iter().any(|other| other.version == entry.version);
                    prop_assert!(still || before.needed(entry).is_none(), "{} is gone", entry.version);
                }
                let text = serde_json::to_string(&ledger).unwrap();
                prop_assert_eq!(Ledger::parse(&text).unwrap(), ledger.clone());
            }
        }

        #[test]
        fn a_pruned_ledger_keeps_the_newest(count in 0..12_u8, keep in 0..14_usize) {
            let mut ledger = Ledger::default();
            for model in 0..count {
                ledger.add(&name(model), None, "now");
            }
            let gone = ledger.prune(keep);
            prop_assert_eq!(ledger.models.len(), usize::from(count).min(keep));
            prop_assert!(gone.iter().eq((0..count).map(name).take(gone.len()).collect::<Vec<_>>().iter()));
        }
    }

    #[test]
    fn a_rollback_goes_to_the_one_before_and_holds() {
        let mut ledger = Ledger::default();
        for model in 1..=3 {
            ledger.add(&name(model), None, "now");
            ledger.promote(&name(model), "now").unwrap();
        }
        let before = ledger.before().unwrap().version.clone();
        assert_eq!(before, name(2));
        ledger.roll_back(&before, "later").unwrap();
        assert!(ledger.held);
        let before: Vec<&str> = ledger.archived().map(Entry::name).collect();
        assert_eq!(before, [name(3), name(1)]);
        ledger.release();
        assert!(!ledger.held);
    }

    #[test]
    fn a_ledger_that_contradicts_itself_is_refused() {
        let entry = |version: &str, state: &str| {
            format!(r#"{{"version":"{version}","state":"{state}","since":"now"}}"#)
        };
        let ledger = |models: &[String]| {
            let models = models.join(",");
            format!(r#"{{"format":1,"held":false,"models":[{models}]}}"#)
        };
        let parse = |models: &[String]| Ledger::parse(&ledger(models));
        assert!(parse(&[entry("ab", "serving"), entry("cd", "archived")]).is_ok());
        assert!(parse(&[entry("ab", "serving"), entry("cd", "serving")]).is_err());
        assert!(parse(&[entry("ab", "serving"), entry("ab", "archived")]).is_err());
        assert!(parse(&[entry("../ab", "serving")]).is_err());
        assert!(parse(&[entry("ab", "retired")]).is_err());
        assert!(Ledger::parse("").is_err());
        let newer = r#"{"format":2,"held":false,"models":[]}"#;
        assert_eq!(Ledger::parse(newer), Err(LedgerError::Newer(2)));
    }

    #[test]
    fn a_beginning_names_a_version_if_it_names_only_one() {
        let mut ledger = Ledger::default();
        ledger.add("abcdef", None, "now");
        ledger.add("abc123", None, "now");
        assert_eq!(ledger.version("abcd").unwrap(), "abcdef");
        assert!(matches!(
            ledger.version("abc"),
            Err(LedgerError::Ambiguous(..))
        ));
        assert!(matches!(ledger.version("f"), Err(LedgerError::Unknown(_))));
    }
}
