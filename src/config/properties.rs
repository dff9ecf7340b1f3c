//! What librdkafka's own settings may say: everything except what would break a promise, and
//! secrets only from outside the file.

use super::error::Wrong;

/// Settings that are refused, and why.
struct Rule {
    keys: &'static [&'static str],
    refuses: fn(&str) -> bool,
    why: &'static str,
    remedy: &'static str,
}

const ALWAYS: fn(&str) -> bool = |_| true;

const RULES: [Rule; 14] = [
    Rule {
        keys: &["bootstrap.servers", "metadata.broker.list"],
        refuses: ALWAYS,
        why: "clashes with `kafka.brokers`, which sets it",
        remedy: "remove it and set `kafka.brokers`",
    },
    Rule {
        keys: &["group.id"],
        refuses: ALWAYS,
        why: "clashes with `input.group`, which sets it",
        remedy: "remove it and set `input.group`",
    },
    Rule {
        keys: &["auto.offset.reset"],
        refuses: ALWAYS,
        why: "clashes with `input.start`: a group never jumps to another offset by itself",
        remedy: "remove it and set `input.start`",
    },
    Rule {
        keys: &[
            "enable.auto.commit",
            "auto.commit.enable",
            "auto.commit.interval.ms",
            "enable.auto.offset.store",
        ],
        refuses: ALWAYS,
        why: "clashes with `line.commit_interval`: an offset is committed only when every record \
              below it is durable",
        remedy: "remove it; `line.commit_interval` says how often offsets are committed",
    },
    Rule {
        keys: &["isolation.level"],
        refuses: |value| value != "read_committed",
        why: "clashes with `input.topic`: records of aborted transactions would be scored",
        remedy: "remove it; \"read_committed\" is the default",
    },
    Rule {
        keys: &["acks", "request.required.acks"],
        refuses: ALWAYS,
        why: "clashes with `output.topic`: an outlier counts as published when all in-sync \
              replicas have it",
        remedy: "remove it; it is always \"all\"",
    },
    Rule {
        keys: &["enable.idempotence"],
        refuses: ALWAYS,
        why: "clashes with `output.topic`: a retry must neither repeat nor reorder outliers",
        remedy: "remove it; it is always true",
    },
    Rule {
        keys: &["max.in.flight", "max.in.flight.requests.per.connection"],
        refuses: |value| {
            !value
                .parse()
                .is_ok_and(|count: u32| (1..=5).contains(&count))
        },
        why: "clashes with `output.topic`: with more than 5 a retry may reorder outliers",
        remedy: "write 1 to 5, or remove it",
    },
    Rule {
        keys: &["message.timeout.ms", "delivery.timeout.ms"],
        refuses: ALWAYS,
        why: "clashes with `output.topic`: an outlier that waits for its broker is never given up",
        remedy: "remove it; `line.grace` bounds how long a stop waits",
    },
    Rule {
        keys: &["transactional.id"],
        refuses: ALWAYS,
        why: "clashes with `delivery.instance`, from which it is made together with `input.group`",
        remedy: "remove it and set `delivery.mode` and `delivery.instance`",
    },
    Rule {
        keys: &["enable.partition.eof"],
        refuses: ALWAYS,
        why: "clashes with `input.topic`: the daemon sets it where it needs it",
        remedy: "remove it",
    },
    Rule {
        keys: &["statistics.interval.ms"],
        refuses: ALWAYS,
        why: "clashes with `http.bind`: the metrics there are made from these statistics",
        remedy: "remove it",
    },
    Rule {
        keys: &["check.crcs"],
        refuses: |value| value != "true",
        why: "clashes with `input.topic`: a record that was damaged on its way would be scored",
        remedy: "remove it; checking costs nothing that can be measured",
    },
    Rule {
        keys: &["sasl.jaas.config"],
        refuses: ALWAYS,
        why: "is a setting of Kafka's Java clients",
        remedy: "set \"sasl.username\", and \"sasl.password\" under [kafka.secrets]",
    },
];

/// Refuses a setting that would break a promise.
pub(super) fn allowed(key: &str, value: &str) -> Result<(), Wrong> {
    let legal = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '.' | '_');
    if key.is_empty() || !key.chars().all(legal) {
        let remedy = "write a key of librdkafka, such as \"security.protocol\"";
        return Err(Wrong::new("is not the name of a setting", remedy));
    }
    let value = value.trim().to_lowercase();
    let clash = RULES
        .iter()
        .find(|rule| rule.keys.contains(&key) && (rule.refuses)(&value));
    match clash {
        Some(rule) => Err(Wrong::new(rule.why, rule.remedy)),
        None => Ok(()),
    }
}

/// Whether a setting holds a password or a private key.
pub(super) fn is_secret(key: &str) -> bool {
    ["password", "passphrase", "secret", "key.pem", "jaas"]
        .iter()
        .any(|mark| key.contains(mark))
}

/// All settings that are refused, always or with some values.
#[cfg(test)]
pub(super) fn refused() -> impl Iterator<Item = &'static str> {
    RULES.iter().flat_map(|rule| rule.keys.iter().copied())
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
mod tests {
    use super::*;

    #[test]
    fn settings_that_would_break_a_promise_are_refused_by_naming_the_other_key() {
        for (key, value, names) in [
            ("enable.auto.commit", "true", "line.commit_interval"),
            ("enable.auto.offset.store", "false", "line.commit_interval"),
            ("auto.offset.reset", "earliest", "input.start"),
            ("group.id", "x", "input.group"),
            ("bootstrap.servers", "a:1", "kafka.brokers"),
            ("metadata.broker.list", "a:1", "kafka.brokers"),
            ("isolation.level", "read_uncommitted", "input.topic"),
            ("acks", "1", "output.topic"),
            ("request.required.acks", "0", "output.topic"),
            ("enable.idempotence", "false", "output.topic"),
            ("enable.partition.eof", "true", "input.topic"),
            ("transactional.id", "x", "delivery.instance"),
            ("message.timeout.ms", "1000", "output.topic"),
            ("delivery.timeout.ms", "1000", "output.topic"),
            ("statistics.interval.ms", "0", "http.bind"),
            ("check.crcs", "false", "input.topic"),
            ("max.in.flight", "6", "output.topic"),
            (
                "max.in.flight.requests.per.connection",
                "1000000",
                "output.topic",
            ),
        ] {
            let wrong = allowed(key, value).unwrap_err();
            assert!(wrong.problem.contains(names), "{key}: {}", wrong.problem);
        }
    }

    #[test]
    fn other_settings_pass() {
        for (key, value) in [
            ("security.protocol", "SASL_SSL"),
            ("isolation.level", "read_committed"),
            ("check.crcs", "true"),
            ("max.in.flight", "5"),
            ("fetch.wait.max.ms", "10"),
            ("debug", "broker"),
        ] {
            assert_eq!(allowed(key, value), Ok(()), "{key}");
        }
    }

    #[test]
    fn passwords_and_private_keys_are_recognised() {
        for key in [
            "sasl.password",
            "ssl.key.password",
            "ssl.key.pem",
            "ssl.keystore.password",
            "sasl.oauthbearer.client.secret",
            "sasl.oauthbearer.assertion.private.key.pem",
            "sasl.oauthbearer.assertion.private.key.passphrase",
        ] {
            assert!(is_secret(key), "{key}");
        }
        for key in [
            "sasl.username",
            "ssl.key.location",
            "ssl.ca.pem",
            "ssl.certificate.pem",
        ] {
            assert!(!is_secret(key), "{key}");
        }
    }
}
