//! `[delivery]`: how outputs and offsets are kept together.

use super::error::Wrong;
use super::name;
use super::quantity::one_of;
use super::section::Section;

/// `[delivery]`: what a crash may repeat.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Delivery {
    /// Offsets are committed once everything below them is durable: a crash repeats what was not committed.
    AtLeastOnce,
    /// Outputs and offsets are one transaction: readers with `isolation.level=read_committed` see each output once.
    ExactlyOnce {
        /// This instance's name, its alone and the same after a restart.
        instance: String,
    },
}

impl Delivery {
    pub(super) fn read(mut section: Section<'_>) -> Option<Self> {
        let modes = one_of(&[("at_least_once", false), ("exactly_once", true)]);
        let exactly_once = section.or("mode", "at_least_once", modes);
        let instance = section.optional("instance", name::instance);
        if exactly_once == Some(true) && instance == Some(None) {
            let remedy = "give each instance a name of its own that it keeps over restarts, such as \"line-1\"";
            let problem = "is missing, but `delivery.mode` = \"exactly_once\" needs it";
            section.refuse("instance", None, Wrong::new(problem, remedy));
            section.finish();
            return None;
        }
        section.finish();
        Some(match (exactly_once?, instance?) {
            (true, Some(instance)) => Delivery::ExactlyOnce { instance },
            _ => Delivery::AtLeastOnce,
        })
    }

    /// The producer's `transactional.id` for an instance of `group`.
    #[must_use]
    pub fn transactional_id(&self, group: &str) -> Option<String> {
        match self {
            Delivery::AtLeastOnce => None,
            Delivery::ExactlyOnce { instance } => Some(format!("{group}-{instance}")),
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::config::{Config, Errors};

    fn read(section: &str) -> Result<Delivery, Errors> {
        let text = format!(
            "[kafka]\nbrokers = \"localhost:9092\"\n[input]\ntopic = \"t\"\n[[fields]]\npath = \"x\"\n{section}"
        );
        Config::parse(&text, []).map(|config| config.delivery)
    }

    #[test]
    fn exactly_once_needs_a_name_of_its_own() {
        let named = "[delivery]\nmode = \"exactly_once\"\ninstance = \"line-1\"";
        let id = |delivery: Delivery| delivery.transactional_id("pumps");
        assert_eq!(id(read(named).unwrap()).as_deref(), Some("pumps-line-1"));
        assert_eq!(id(read("").unwrap()), None);
        let idle = read("[delivery]\ninstance = \"line-1\"").unwrap();
        assert_eq!(idle, Delivery::AtLeastOnce);
        let errors = read("[delivery]\nmode = \"exactly_once\"").unwrap_err();
        let text = errors.to_string();
        assert!(
            text.contains("delivery.instance") && text.contains("is missing"),
            "{text}"
        );
    }

    #[test]
    fn names_that_kafka_would_not_take_are_refused() {
        for instance in ["", "a b", "a/b"] {
            let section = format!("[delivery]\ninstance = {instance:?}");
            assert!(read(&section).is_err(), "{instance:?}");
        }
    }
}
