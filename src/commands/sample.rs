//! `outlierd sample`: plausible new records.

use std::sync::Arc;

use super::printer::{Records, lacking, note};
use crate::cli;
use crate::generate::{Generator, member};
use crate::registry;

/// Rows made at a time; a row does not depend on it.
const ROWS: u64 = 256;

pub(super) fn run(arguments: &cli::Sample) -> anyhow::Result<()> {
    let (count, seed) = (arguments.count, arguments.seed);
    anyhow::ensure!(count > 0, "-n {count}: how many records, at least 1");
    let model = registry::load(&arguments.member.model)?.model;
    let member = member(&model, arguments.member.member)?;
    let mut generator = Generator::new(Arc::clone(&model), member)?;
    let mut records = Records::new(&model, arguments.format)?;
    let mut cells = Vec::new();
    for first in (0..count).step_by(ROWS as usize) {
        cells.clear();
        let end = first.saturating_add(ROWS).min(count);
        generator.draw(seed, first..end, &mut cells)?;
        records.print(&cells)?;
    }
    records.finish()?;
    note(format_args!(
        "{count} records by member {} of {}, seed {seed}{}",
        member + 1,
        model.members.len(),
        lacking(&model)
    ));
    Ok(())
}
