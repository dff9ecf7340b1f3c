//! One file a subcommand. What goes wrong here is said to a person: the sentence, and what to do.

use std::process::ExitCode;

use anyhow::Context;

use crate::cli::{self, Cli, Command};
use crate::config::{self, Config};
use crate::kafka::Connection;
use crate::registry::Store;

/// Prints a line for the user. Unlike `println!` it does not panic when nobody reads on.
macro_rules! say {
    ($($text:tt)*) => {{
        use std::io::Write as _;
        writeln!(std::io::stdout(), $($text)*)?
    }};
}

mod check;
mod decode;
mod demo;
mod diff;
mod dlq;
mod encode;
mod evaluate;
mod feed;
mod feedback;
mod gate;
mod init;
mod instance;
mod latent_map;
mod listing;
mod material;
mod models;
mod printer;
mod probe;
mod retrain;
mod run;
mod sample;
mod score;
mod show;
mod train;
mod trial;

/// The status of a command that met a bad configuration or bad arguments (`EX_USAGE`).
pub const BAD_CONFIGURATION: u8 = 64;

/// Runs the command and says what went wrong, if something did.
pub fn dispatch(cli: Cli) -> ExitCode {
    plant();
    let outcome = match cli.command {
        Command::Demo(arguments) => demo::run(&arguments),
        Command::Init(arguments) => init::run(&arguments),
        Command::Check(arguments) => check::run(&arguments),
        Command::Train(arguments) => train::run(&arguments),
        Command::Retrain(arguments) => retrain::run(&arguments),
        Command::Run(arguments) => run::run(&arguments),
        Command::Probe(arguments) => probe::run(&arguments),
        Command::Score(arguments) => score::run(&arguments),
        Command::Sample(arguments) => sample::run(&arguments),
        Command::Encode(arguments) => encode::run(&arguments),
        Command::Dlq(arguments) => dlq::run(&arguments),
        Command::Models(arguments) => models::run(&arguments),
        Command::Decode(arguments) => decode::run(&arguments),
        Command::Evaluate(arguments) => evaluate::run(arguments),
        Command::Feedback(arguments) => feedback::run(&arguments),
        Command::Feed(arguments) => feed::run(&arguments),
        Command::Show(arguments) => show::run(&arguments),
        Command::Completions { shell } => completions(shell),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        // Who reads our output has seen enough, as `head` has.
        Err(error) if is_broken_pipe(&error) => ExitCode::SUCCESS,
        Err(error) if error.is::<config::Errors>() => {
            eprintln!("{error}");
            ExitCode::from(BAD_CONFIGURATION)
        }
        Err(error) => {
            eprintln!("outlierd: {}", explain(&error));
            match evaluate::is_usage(&error) {
                true => ExitCode::from(BAD_CONFIGURATION),
                false => ExitCode::FAILURE,
            }
        }
    }
}

/// The store of a configuration that has one.
fn store(config: &Config) -> anyhow::Result<Store> {
    Store::of(config).context(
        "the configuration names one model file (model.path), and no store: set model.store = \"models\", and bring \
         the model there with `outlierd models import`",
    )
}

/// A defect for the tests, in development builds alone.
fn plant() {
    #[cfg(debug_assertions)]
    if let Ok(name) = std::env::var("OUTLIERD_PLANTED_DEFECT") {
        match name.parse() {
            Ok(defect) => crate::planted::plant(defect),
            Err(error) => eprintln!("outlierd: OUTLIERD_PLANTED_DEFECT: {error}"),
        }
    }
}

/// The error and its causes, less those that a sentence before has told already.
fn explain(error: &anyhow::Error) -> String {
    let mut told = String::new();
    for cause in error.chain().map(ToString::to_string) {
        if told.is_empty() {
            told = cause;
        } else if !told.contains(&cause) {
            told = format!("{told}: {cause}");
        }
    }
    told
}

fn is_broken_pipe(error: &anyhow::Error) -> bool {
    error
        .downcast_ref::<std::io::Error>()
        .is_some_and(|error| error.kind() == std::io::ErrorKind::BrokenPipe)
}

fn completions(shell: clap_complete::Shell) -> anyhow::Result<()> {
    let mut command = <Cli as clap::CommandFactory>::command();
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut command, "outlierd", &mut script);
    Ok(std::io::Write::write_all(&mut std::io::stdout(), &script)?)
}

/// The configuration at `path`, with the environment over it.
fn load(path: &std::path::Path) -> anyhow::Result<Config> {
    // What is not text cannot be one of ours.
    let variables = std::env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)));
    Ok(config::load(path, variables)?)
}

/// The cluster that the command line names.
fn connection(cluster: &cli::Cluster) -> Connection {
    Connection::new(&config::Kafka {
        brokers: cluster.brokers.clone(),
        properties: cluster.properties.iter().cloned().collect(),
        secrets: [].into(),
    })
}

/// Log lines go to standard error, as `[log]` says.
fn start_logging(log: &config::Log) {
    use tracing_subscriber::filter::LevelFilter;
    let level = match log.level {
        config::Level::Error => LevelFilter::ERROR,
        config::Level::Warn => LevelFilter::WARN,
        config::Level::Info => LevelFilter::INFO,
        config::Level::Debug => LevelFilter::DEBUG,
    };
    let builder = tracing_subscriber::fmt()
        .with_max_level(level)
        .with_target(false)
        .with_writer(std::io::stderr);
    // The only error is that a logger is set already.
    match log.format {
        config::Format::Json => builder.json().flatten_event(true).try_init().ok(),
        config::Format::Human => {
            let terminal = std::io::IsTerminal::is_terminal(&std::io::stderr());
            builder.with_ansi(terminal).try_init().ok()
        }
    };
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cause_that_was_told_is_not_told_again() {
        let told = anyhow::anyhow!("no such file").context("cannot read x: no such file");
        assert_eq!(explain(&told), "cannot read x: no such file");
        let untold = anyhow::anyhow!("no such file").context("reading x");
        assert_eq!(explain(&untold), "reading x: no such file");
    }
}
