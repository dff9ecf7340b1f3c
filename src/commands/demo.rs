//! `outlierd demo`.

use anyhow::Context;

use super::run::runtime;
use super::start_logging;
use crate::cli;
use crate::config::{Format, Level, Log};
use crate::daemon::Signals;
use crate::demo::{self, DemoError, Settings, Source};

pub(super) fn run(arguments: &cli::Demo) -> anyhow::Result<()> {
    start_logging(&Log {
        level: Level::Warn,
        format: Format::Human,
    });
    let settings = Settings {
        source: match arguments.source.as_str() {
            "host" => Source::Host,
            "transactions" => Source::Transactions,
            file => Source::File(file.into()),
        },
        lasts: arguments.lasts,
        disturb: !arguments.no_disturb,
        http: arguments.http,
        seed: arguments.seed,
    };
    let runtime = runtime()?;
    let shown = runtime.block_on(async {
        let mut signals = Signals::listen().context("listening for signals")?;
        anyhow::Ok(demo::run(settings, &mut signals, print_line).await)
    })?;
    runtime.shutdown_background();
    match shown {
        Ok(summary) => {
            say!("{summary}");
            if arguments.json {
                say!("{}", summary.to_json());
            }
            Ok(())
        }
        Err(DemoError::Stopped) => {
            say!("stopped before there was anything to show");
            Ok(())
        }
        Err(error) => Err(error.into()),
    }
}

/// A demo goes on when nobody reads it any more; Ctrl-C ends it.
fn print_line(line: &str) {
    use std::io::Write as _;
    writeln!(std::io::stdout(), "{line}").ok();
}
