//! What the gate said of a model, for people.

use crate::registry::{Check, Report, Store};

/// What the gate of a model said, if one has judged it.
pub(super) fn print(store: &Store, version: &str) -> anyhow::Result<()> {
    let ledger = store.ledger()?;
    if let Some(report) = ledger.get(version).and_then(|entry| entry.gate.as_ref()) {
        let against = report.against.as_deref();
        say!(
            "gate         on {} rows{}",
            report.rows,
            against
                .map(|version| format!(", beside {version}"))
                .unwrap_or_default()
        );
        say!("{}", checks(report).trim_end());
    }
    Ok(())
}

/// The checks of a gate, a line each.
pub(super) fn checks(report: &Report) -> String {
    let line = |check: &Check| {
        let outcome = match (check.passed, check.waived) {
            (true, _) => "ok",
            (false, true) => "waived",
            (false, false) => "FAULT",
        };
        let value = check
            .value
            .map_or("none".to_owned(), |value| format!("{value:.5}"));
        format!(
            "  {outcome:7} {:26} {value:>12}  {}\n",
            check.name, check.limit
        )
    };
    report.checks.iter().map(line).collect()
}
