//! `outlierd demo`.

use anyhow::Context;
use serde_json::Value;

use super::run::runtime;
use super::start_logging;
use crate::cli;
use crate::config::{Format, Level, Log};
use crate::daemon::Signals;
use crate::demo::{self, DemoError, Settings, Source, drift};

pub(super) fn run(arguments: &cli::Demo) -> anyhow::Result<()> {
    start_logging(&Log {
        level: Level::Warn,
        format: Format::Human,
    });
    let runtime = runtime()?;
    if arguments.source == "drift" {
        let shown = runtime.block_on(drift(arguments))?;
        runtime.shutdown_background();
        return end(
            shown.map(|report| (report.to_string(), report.to_json())),
            arguments.json,
        );
    }
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
    let shown = runtime.block_on(async {
        let mut signals = Signals::listen().context("listening for signals")?;
        anyhow::Ok(demo::run(settings, &mut signals, print_line).await)
    })?;
    runtime.shutdown_background();
    end(
        shown.map(|summary| (summary.to_string(), summary.to_json())),
        arguments.json,
    )
}

/// What a stream that drifts comes to.
async fn drift(arguments: &cli::Demo) -> anyhow::Result<Result<drift::Report, DemoError>> {
    let mut signals = Signals::listen().context("listening for signals")?;
    let settings = drift::Settings {
        http: arguments.http,
        seed: arguments.seed,
    };
    Ok(drift::run(settings, &mut signals, print_line).await)
}

/// Says what was shown, for people and for programs.
fn end(shown: Result<(String, Value), DemoError>, json: bool) -> anyhow::Result<()> {
    match shown {
        Ok((summary, object)) => {
            say!("{summary}");
            if json {
                say!("{object}");
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
