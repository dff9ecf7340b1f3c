//! A contest for people.

use super::{Contest, Outcome, Spread, Trial};

/// A column: its title, and its cell of an outcome.
struct Column {
    title: &'static str,
    cell: fn(&Outcome) -> String,
}

const COLUMNS: [Column; 8] = [
    Column {
        title: "detector",
        cell: |outcome| {
            let capped = outcome.capped_at.map_or("", |_| " *");
            format!("{}{capped}", outcome.name)
        },
    },
    Column {
        title: "AUROC",
        cell: |outcome| decimals(outcome.spread(|run| run.auroc)),
    },
    Column {
        title: "AP",
        cell: |outcome| decimals(outcome.spread(|run| run.average_precision)),
    },
    Column {
        title: "false alarms",
        cell: |outcome| percent(outcome.spread(|run| run.false_alarm_rate)),
    },
    Column {
        title: "recall",
        cell: |outcome| percent(outcome.spread(|run| run.recall)),
    },
    Column {
        title: "precision",
        cell: |outcome| percent(outcome.spread(|run| run.precision)),
    },
    Column {
        title: "train s",
        cell: |outcome| plain(outcome.mean(|run| run.train_s)),
    },
    Column {
        title: "us/row",
        cell: |outcome| plain(outcome.mean(|run| run.score_us)),
    },
];

const KEY_COLUMNS: [Column; 3] = [
    Column {
        title: "key AUROC",
        cell: |outcome| decimals(outcome.spread(|run| run.key_auroc)),
    },
    Column {
        title: "key AP",
        cell: |outcome| decimals(outcome.spread(|run| run.key_average_precision)),
    },
    Column {
        title: "card@100",
        cell: |outcome| decimals(outcome.spread(|run| run.card_precision)),
    },
];

/// A table of the detectors, the highest average precision first, with what it is of and what its
/// columns mean.
#[must_use]
pub fn table(trial: &Trial, contest: &Contest) -> String {
    let outcomes = by_precision(contest);
    let rows = cells(trial, contest);
    let mut lines = vec![head(trial), String::new()];
    lines.extend(rows.iter().map(|row| line(row, &rows)));
    lines.push(String::new());
    lines.push(legend(trial));
    lines.extend(cap(trial, &outcomes));
    lines.join("\n")
}

fn by_precision(contest: &Contest) -> Vec<&Outcome> {
    let mut outcomes: Vec<&Outcome> = contest.outcomes.iter().collect();
    let precision = |outcome: &Outcome| {
        outcome
            .mean(|run| run.average_precision)
            .unwrap_or(f64::NEG_INFINITY)
    };
    outcomes.sort_by(|a, b| precision(b).total_cmp(&precision(a)));
    outcomes
}

/// The titles, then a row a detector.
pub(super) fn cells(trial: &Trial, contest: &Contest) -> Vec<Vec<String>> {
    let keyed = trial.roles.key.is_some();
    let columns = COLUMNS.iter().chain(KEY_COLUMNS.iter().filter(|_| keyed));
    let columns: Vec<&Column> = columns.collect();
    let titles = columns.iter().map(|column| column.title.to_owned());
    let mut rows = vec![titles.collect()];
    for outcome in by_precision(contest) {
        let cells = columns.iter().map(|column| (column.cell)(outcome));
        rows.push(cells.collect());
    }
    rows
}

pub(super) fn head(trial: &Trial) -> String {
    let (rows, anomalies) = (trial.split.test.len(), trial.anomalies());
    let seeds = match trial.seeds {
        1 => String::new(),
        seeds => format!("; mean and deviation over {seeds} seeds"),
    };
    format!(
        "{}, {}: {} rows train, {rows} are scored, {anomalies} of them anomalies (prevalence {:.2} %){seeds}",
        trial.name,
        trial.protocol,
        trial.split.train.len(),
        anomalies as f64 / rows as f64 * 100.0,
    )
}

/// One row of `all`; the first column stands left, the others right.
fn line(row: &[String], all: &[Vec<String>]) -> String {
    let mut line = String::new();
    for (index, cell) in row.iter().enumerate() {
        let width = all.iter().map(|row| row[index].chars().count()).max();
        let width = width.unwrap_or(0);
        match index {
            0 => line.push_str(&format!("{cell:<width$}")),
            _ => line.push_str(&format!("  {cell:>width$}")),
        }
    }
    line
}

pub(super) fn legend(trial: &Trial) -> String {
    let keys = match (&trial.roles.key, &trial.roles.time) {
        (Some(_), Some(_)) => {
            "; key: means over keys with rows of both classes; card@100: compromised keys among the \
             100 highest a day"
        }
        (Some(_), None) => "; key: means over keys with rows of both classes",
        (None, _) => "",
    };
    format!(
        "AUROC, AP: of the ranking (by chance 0.5 and the prevalence); false alarms, recall, precision: \
         of what is flagged at a budget of {}; a member alone has no threshold{keys}",
        trial.budget
    )
}

fn cap(trial: &Trial, outcomes: &[&Outcome]) -> Option<String> {
    let capped_at = outcomes.iter().find_map(|outcome| outcome.capped_at)?;
    let rows = trial.split.train.len();
    Some(format!(
        "* fitted on {capped_at} of the {rows} training rows, because of its cost"
    ))
}

fn decimals(spread: Option<Spread>) -> String {
    let Some(Spread { mean, deviation }) = spread else {
        return "-".into();
    };
    let deviation = deviation.map_or(String::new(), |deviation| format!(" ±{deviation:.3}"));
    format!("{mean:.3}{deviation}")
}

fn percent(spread: Option<Spread>) -> String {
    let Some(Spread { mean, deviation }) = spread else {
        return "-".into();
    };
    let deviation = deviation.map(|deviation| format!(" ±{:.1}", deviation * 100.0));
    format!("{:.1}{} %", mean * 100.0, deviation.unwrap_or_default())
}

/// Two digits, as wall times deserve.
fn plain(value: Option<f64>) -> String {
    match value {
        None => "-".into(),
        Some(value) if value >= 10.0 => format!("{value:.0}"),
        Some(value) if value >= 1.0 => format!("{value:.1}"),
        Some(value) => format!("{value:.2}"),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::evaluate::contest::tests::trial;
    use crate::evaluate::findings::Findings;
    use crate::evaluate::{Figures, Protocol};

    fn outcome(name: &str, precisions: &[f64]) -> Outcome {
        let run = |&precision: &f64| Figures {
            auroc: Some(0.75),
            average_precision: Some(precision),
            false_alarm_rate: Some(0.012),
            train_s: Some(12.34),
            ..Figures::default()
        };
        Outcome {
            name: name.into(),
            capped_at: (name == "knn").then_some(20_000),
            runs: precisions.iter().map(run).collect(),
        }
    }

    #[test]
    fn detectors_stand_by_average_precision_in_aligned_columns() {
        let mut trial = trial(Protocol::OneClass, "z2");
        trial.roles.key = None;
        let contest = Contest {
            outcomes: vec![outcome("knn", &[0.2]), outcome("outlierd", &[0.5, 0.7])],
            findings: Findings::default(),
        };
        let shown = table(&trial, &contest);
        let lines: Vec<&str> = shown.lines().collect();
        assert_eq!(
            lines[0],
            "circle.csv, one-class: 135 rows train, 165 are scored, 30 of them anomalies (prevalence \
             18.18 %); mean and deviation over 2 seeds"
        );
        assert_eq!(
            lines[2..5],
            [
                "detector         AUROC            AP  false alarms  recall  precision  train s  us/row",
                "outlierd  0.750 ±0.000  0.600 ±0.141    1.2 ±0.0 %       -          -       12       -",
                "knn *            0.750         0.200         1.2 %       -          -       12       -",
            ]
        );
        assert!(lines[6].contains("budget of 5%"), "{}", lines[6]);
        assert!(lines[7].starts_with("* fitted on 20000 of the 135"));
    }

    #[test]
    fn keys_have_their_columns_where_there_are_keys() {
        let trial = trial(Protocol::OneClass, "z2");
        let contest = Contest {
            outcomes: vec![outcome("z2", &[0.2])],
            findings: Findings::default(),
        };
        let shown = table(&trial, &contest);
        assert!(
            shown.contains("us/row  key AUROC  key AP  card@100\n"),
            "{shown}"
        );
        assert!(shown.contains("compromised keys"));
    }
}
