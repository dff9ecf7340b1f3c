//! A contest for programs.

use serde::Serialize;

use super::{Contest, Figures, Outcome, Trial};

/// The keys are a contract: none is added but those of keys and days, and only where asked for.
#[derive(Serialize)]
struct Document<'a> {
    file: &'a str,
    protocol: &'a str,
    /// Scored ones, and the anomalies among them.
    rows: usize,
    anomalies: usize,
    seeds: u64,
    detectors: Vec<Entry<'a>>,
}

/// Means over seeds; null where a figure is not defined.
#[derive(Serialize)]
struct Entry<'a> {
    name: &'a str,
    auroc: Option<f64>,
    ap: Option<f64>,
    false_alarm_rate: Option<f64>,
    recall: Option<f64>,
    precision: Option<f64>,
    train_s: Option<f64>,
    score_us: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    per_key: Option<PerKey>,
    #[serde(skip_serializing_if = "Option::is_none")]
    card_precision_100: Option<f64>,
}

/// Means over the keys that have rows of both classes.
#[derive(Serialize)]
struct PerKey {
    keys: usize,
    auroc: Option<f64>,
    ap: Option<f64>,
}

/// One JSON object on one line.
///
/// # Errors
/// None that can be met: all of it is plain data.
pub fn json(trial: &Trial, contest: &Contest) -> Result<String, serde_json::Error> {
    serde_json::to_string(&Document {
        file: &trial.name,
        protocol: trial.protocol,
        rows: trial.split.test.len(),
        anomalies: trial.anomalies(),
        seeds: trial.seeds,
        detectors: contest.outcomes.iter().map(entry).collect(),
    })
}

fn entry(outcome: &Outcome) -> Entry<'_> {
    let mean = |of: fn(&Figures) -> Option<f64>| outcome.mean(of);
    let keys = outcome.runs.first().and_then(|run| run.keys);
    Entry {
        name: &outcome.name,
        auroc: mean(|run| run.auroc),
        ap: mean(|run| run.average_precision),
        false_alarm_rate: mean(|run| run.false_alarm_rate),
        recall: mean(|run| run.recall),
        precision: mean(|run| run.precision),
        train_s: mean(|run| run.train_s),
        score_us: mean(|run| run.score_us),
        per_key: keys.map(|keys| PerKey {
            keys,
            auroc: mean(|run| run.key_auroc),
            ap: mean(|run| run.key_average_precision),
        }),
        card_precision_100: mean(|run| run.card_precision),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::evaluate::contest::contest;
    use crate::evaluate::contest::tests::trial;
    use crate::evaluate::{Protocol, Roles};

    /// The keys of each object, in their order.
    fn keys(text: &str) -> Vec<&str> {
        let quoted = text
            .split('"')
            .skip(1)
            .step_by(2)
            .zip(text.split('"').skip(2).step_by(2));
        quoted
            .filter(|(_, after)| after.starts_with(':'))
            .map(|(key, _)| key)
            .collect()
    }

    #[test]
    fn the_keys_are_the_promised_ones_and_no_others() {
        let mut trial = trial(Protocol::OneClass, "z2,random");
        let with_keys = contest(&trial, &mut |_| {}).unwrap();
        trial.roles = Roles {
            label: "label".into(),
            ..Roles::default()
        };
        let plain = contest(&trial, &mut |_| {}).unwrap();
        let text = json(&trial, &plain).unwrap();
        let detector = [
            "name",
            "auroc",
            "ap",
            "false_alarm_rate",
            "recall",
            "precision",
            "train_s",
            "score_us",
        ];
        let head = [
            "file",
            "protocol",
            "rows",
            "anomalies",
            "seeds",
            "detectors",
        ];
        let expected: Vec<&str> = [&head[..], &detector, &detector].concat();
        assert_eq!(keys(&text), expected);
        let value: serde_json::Value = serde_json::from_str(&text).unwrap();
        assert_eq!(value["protocol"], "one-class");
        assert_eq!(
            (&value["rows"], &value["anomalies"]),
            (&165.into(), &30.into())
        );
        assert_eq!(value["detectors"][0]["name"], "z2");
        let text = json(&trial, &with_keys).unwrap();
        let more = ["per_key", "keys", "auroc", "ap", "card_precision_100"];
        let expected: Vec<&str> = [&head[..], &detector, &more, &detector, &more].concat();
        assert_eq!(keys(&text), expected);
    }

    #[test]
    fn what_is_not_defined_is_null() {
        let outcome = Outcome {
            name: "member f=0.1".into(),
            capped_at: None,
            runs: vec![Figures::default()],
        };
        let text = serde_json::to_string(&entry(&outcome)).unwrap();
        assert!(
            text.ends_with(r#""train_s":null,"score_us":null}"#),
            "{text}"
        );
    }
}
