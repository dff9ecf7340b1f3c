//! The `outlierd` program.

use std::process::ExitCode;

use clap::Parser;

fn main() -> ExitCode {
    one_thread_a_multiplication();
    #[cfg(feature = "tls")]
    no_cleaning_up_at_exit();
    outlierd::commands::dispatch(outlierd::cli::Cli::parse())
}

/// OpenSSL frees its memory when the process exits, and librdkafka's threads, some of which may still be ending, use it: one
/// stop in two hundred aborted (`malloc_consolidate(): invalid chunk size`). Whoever initialises OpenSSL first decides
/// whether it does, and this does without.
#[cfg(feature = "tls")]
fn no_cleaning_up_at_exit() {
    openssl_sys::init();
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
