//! `outlierd dlq`: dead letters looked at, tried, and brought back.

mod list;
mod replay;
mod topic;

use crate::cli::{Dlq, DlqCommand};

pub(super) fn run(arguments: &Dlq) -> anyhow::Result<()> {
    match &arguments.command {
        DlqCommand::List(arguments) => list::list(arguments),
        DlqCommand::Show(arguments) => list::show(arguments),
        DlqCommand::Replay(arguments) => replay::run(arguments),
    }
}
