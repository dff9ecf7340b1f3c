//! What the demo showed.

use std::fmt;

use serde_json::{Value, json};

use super::ledger::{Account, Frauds, RECOVERY_SECONDS, Window, account};
use super::source::Labels;
use super::transactions::Pattern;
use super::watch::Seen;
use crate::metrics::{Disposition, Metrics};

/// Counts of the line, and what became of the disturbances or the frauds.
pub struct Summary {
    normal: u64,
    outliers: u64,
    dead_letters: u64,
    skipped: u64,
    disturbances: usize,
    account: Account,
    frauds: Option<Frauds>,
}

/// Records with a disposition.
pub(super) fn records(metrics: &Metrics) -> u64 {
    Disposition::ALL
        .iter()
        .map(|&disposition| metrics.records.get(disposition).get())
        .sum()
}

impl Summary {
    pub(super) fn new(
        metrics: &Metrics,
        seen: &[Seen],
        windows: Vec<Window>,
        labels: Option<Labels>,
    ) -> Summary {
        let count = |disposition| metrics.records.get(disposition).get();
        let times: Vec<f64> = seen.iter().map(|outlier| outlier.at).collect();
        Summary {
            normal: count(Disposition::Normal),
            outliers: count(Disposition::Outlier),
            dead_letters: count(Disposition::DeadLetter),
            skipped: count(Disposition::Skipped),
            disturbances: windows.len(),
            account: account(&windows, &times, RECOVERY_SECONDS),
            frauds: labels.map(|labels| judge(&labels, seen, records(metrics))),
        }
    }

    /// One object for programs.
    pub fn to_json(&self) -> Value {
        let mut object = json!({
            "records": self.normal + self.outliers + self.dead_letters + self.skipped,
            "normal": self.normal,
            "outliers": self.outliers,
            "dead_letters": self.dead_letters,
            "skipped": self.skipped,
            "disturbances": self.disturbances,
            "caught": self.caught(),
            "first_detection_s": self.first_detection(),
            "outside_disturbances": self.account.outside.len(),
        });
        if let Some(frauds) = &self.frauds {
            object["precision"] = json!(frauds.precision());
            object["recall"] = json!(frauds.all().share());
            let patterns = Pattern::ALL.iter().map(|&pattern| {
                (
                    pattern.name().to_owned(),
                    json!(frauds.of_pattern(pattern).share()),
                )
            });
            object["recall_by_pattern"] = Value::Object(patterns.collect());
            let unseen = frauds.unseen().into_iter().map(Pattern::name);
            object["unseen_patterns"] = json!(unseen.collect::<Vec<_>>());
        }
        object
    }

    fn caught(&self) -> usize {
        self.account
            .findings
            .iter()
            .filter(|finding| finding.is_caught())
            .count()
    }

    /// Seconds since the demo began.
    fn first_detection(&self) -> Option<f64> {
        self.account
            .first
            .map(|seconds| (seconds * 10.0).round() / 10.0)
    }
}

/// The line starts right after the learnt records and goes in order within a partition: of the
/// labels, those of the last `watched` records count.
fn judge(labels: &Labels, seen: &[Seen], watched: u64) -> Frauds {
    let watched = usize::try_from(watched).unwrap_or(usize::MAX);
    let first = labels.len().saturating_sub(watched);
    let mut flagged = vec![false; labels.len()];
    for number in seen.iter().filter_map(|outlier| outlier.number) {
        if let Some(flag) = flagged.get_mut(number) {
            *flag = true;
        }
    }
    let mut frauds = Frauds::default();
    for (label, flagged) in labels.iter().zip(flagged).skip(first) {
        frauds.add(label, flagged);
    }
    frauds
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let records = self.normal + self.outliers + self.dead_letters + self.skipped;
        writeln!(
            f,
            "\n{records} records: {} normal, {} outliers, {} dead letters, {} skipped",
            self.normal, self.outliers, self.dead_letters, self.skipped
        )?;
        for finding in &self.account.findings {
            match finding.caught_after {
                Some(seconds) => writeln!(
                    f,
                    "  {:12} caught after {seconds:.1} s ({} outliers)",
                    finding.name, finding.during
                )?,
                None => writeln!(
                    f,
                    "  {:12} masked: no reading during it was odder than what the host does anyway",
                    finding.name
                )?,
            }
        }
        match &self.frauds {
            Some(frauds) => write_frauds(f, frauds),
            None if self.disturbances > 0 => writeln!(
                f,
                "  outside the disturbances and the {RECOVERY_SECONDS} s after each: {} outliers, the host's own \
                 events or false alarms",
                self.account.outside.len()
            ),
            None => Ok(()),
        }
    }
}

fn write_frauds(f: &mut fmt::Formatter<'_>, frauds: &Frauds) -> fmt::Result {
    let percent = |share: Option<f64>| match share {
        Some(share) => format!("{:.1} %", share * 100.0),
        None => "unknown".into(),
    };
    let all = frauds.all();
    writeln!(
        f,
        "  of {} frauds {} were flagged (recall {}); of the outliers {} were frauds (precision)",
        all.cases,
        all.flagged,
        percent(all.share()),
        percent(frauds.precision())
    )?;
    for &pattern in &Pattern::ALL {
        let caught = frauds.of_pattern(pattern);
        writeln!(
            f,
            "  {:22} {} of {} flagged ({})",
            pattern.name(),
            caught.flagged,
            caught.cases,
            percent(caught.share())
        )?;
    }
    let unseen: Vec<&str> = frauds.unseen().into_iter().map(Pattern::name).collect();
    if !unseen.is_empty() {
        writeln!(f, "  this model cannot see: {}", unseen.join(", "))?;
    }
    Ok(())
}
