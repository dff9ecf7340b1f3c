//! Names that others have made the rules for: topics, groups, brokers; and paths into a record.

use super::error::Wrong;

/// Kafka's own limit for topics.
const LONGEST_TOPIC: usize = 249;
const LONGEST_GROUP: usize = 255;
const LONGEST_PATH: usize = 256;
/// A host's name is no longer.
const LONGEST_INSTANCE: usize = 253;

/// A topic that Kafka would accept.
pub(super) fn topic(text: &str) -> Result<String, Wrong> {
    let remedy =
        format!("write letters, digits, `.`, `_` and `-`, at most {LONGEST_TOPIC} of them");
    let legal = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
    let good = !text.is_empty()
        && text.len() <= LONGEST_TOPIC
        && text != "."
        && text != ".."
        && text.chars().all(legal);
    good.then(|| text.to_owned())
        .ok_or_else(|| Wrong::new("is not a name that Kafka allows for a topic", remedy))
}

/// A consumer group.
pub(super) fn group(text: &str) -> Result<String, Wrong> {
    let good = !text.trim().is_empty()
        && text.len() <= LONGEST_GROUP
        && !text.chars().any(char::is_control);
    good.then(|| text.to_owned()).ok_or_else(|| {
        let remedy = format!("write a name of 1 to {LONGEST_GROUP} characters");
        Wrong::new("is not a name for a consumer group", remedy)
    })
}

/// One of several instances of a group.
pub(super) fn instance(text: &str) -> Result<String, Wrong> {
    let remedy =
        format!("write letters, digits, `.`, `_` and `-`, at most {LONGEST_INSTANCE} of them");
    let legal = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
    let good = !text.is_empty() && text.len() <= LONGEST_INSTANCE && text.chars().all(legal);
    good.then(|| text.to_owned())
        .ok_or_else(|| Wrong::new("is not a name for an instance", remedy))
}

/// `host:port[,host:port…]`.
pub(super) fn brokers(text: &str) -> Result<String, Wrong> {
    let is_broker = |broker: &str| {
        let port = broker.rsplit_once(':');
        port.is_some_and(|(host, port)| {
            !host.is_empty()
                && !host.contains(char::is_whitespace)
                && port.parse::<u16>().is_ok_and(|port| port > 0)
        })
    };
    let all: Vec<&str> = text.split(',').map(str::trim).collect();
    if all.iter().all(|broker| is_broker(broker)) {
        return Ok(all.join(","));
    }
    let remedy = "write host:port, with commas between several, such as \"localhost:9092\"";
    Err(Wrong::new("is not a list of brokers", remedy))
}

/// A dotted path into a record, `cpu.user`.
pub(super) fn path(text: &str) -> Result<String, Wrong> {
    let good = text.len() <= LONGEST_PATH
        && text.split('.').all(|segment| !segment.is_empty())
        && !text.chars().any(char::is_control)
        && text.trim() == text;
    good.then(|| text.to_owned()).ok_or_else(|| {
        let remedy = "write the names down to the field with dots between them, \"cpu.user\"";
        Wrong::new("is not a path into a record", remedy)
    })
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
mod tests {
    use super::*;

    #[test]
    fn topics_follow_the_rules_of_kafka() {
        for good in ["a", "readings.v1", "A_b-c", &"x".repeat(249)] {
            assert!(topic(good).is_ok(), "{good}");
        }
        for bad in ["", ".", "..", "a b", "ä", "a/b", &"x".repeat(250)] {
            assert!(topic(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn brokers_have_ports() {
        assert_eq!(brokers("a:1, b:2"), Ok("a:1,b:2".to_owned()));
        assert_eq!(brokers("[::1]:9092"), Ok("[::1]:9092".to_owned()));
        assert_eq!(brokers("SSL://a:9093"), Ok("SSL://a:9093".to_owned()));
        for bad in ["", "a", "a:", ":1", "a:1,", "a:70000", "a b:1", "a:0"] {
            assert!(brokers(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn paths_have_no_empty_names() {
        for good in ["a", "cpu.user", "Größe", "odd name", "$key"] {
            assert!(path(good).is_ok(), "{good}");
        }
        for bad in ["", ".", "a.", ".a", "a..b", " a", "a\nb"] {
            assert!(path(bad).is_err(), "{bad}");
        }
    }
}
