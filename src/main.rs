//! The `outlierd` program.

use std::process::ExitCode;

use clap::Parser;

fn main() -> ExitCode {
    one_thread_a_multiplication();
    outlierd::commands::dispatch(outlierd::cli::Cli::parse())
}

/// candle's matrix products use a pool of threads unless told otherwise, which makes small ones
/// twenty times slower and serialises concurrent callers (`docs/performance.md`). The line brings
/// its own threads.
#[allow(unsafe_code)]
fn one_thread_a_multiplication() {
    for variable in ["RAYON_NUM_THREADS", "CANDLE_NUM_THREADS"] {
        if std::env::var_os(variable).is_none() {
            // SAFETY: nothing has started a second thread yet, so nobody reads the environment.
            unsafe { std::env::set_var(variable, "1") };
        }
    }
}
