//! One temporary file, written and synced.

use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process;
use std::sync::atomic::{AtomicU32, Ordering};

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::turn::Turn;
use super::{DisturbError, MIB};

/// Bytes between two syncs.
const CHUNK: u64 = 4 * MIB;

/// Writes `bytes` to a temporary file in `directory`, spread over the turn, syncing every 4 MiB, and
/// removes the file. Returns the bytes written.
pub(super) fn write(directory: &Path, bytes: u64, turn: &Turn<'_>) -> Result<u64, DisturbError> {
    if bytes < CHUNK {
        return Err(DisturbError::NoRoom {
            what: "disk",
            needed: 10 * CHUNK,
        });
    }
    let mut temporary = Temporary::create(directory)?;
    let chunk = noise();
    let mut written = 0;
    // The first chunk is due at once, even where making it has taken all the time.
    while !turn.is_over() || (written == 0 && !turn.is_stopped()) {
        if written + CHUNK <= turn.due(bytes, 1.0).max(CHUNK) && written + CHUNK <= bytes {
            temporary
                .file
                .write_all(&chunk)
                .and_then(|()| temporary.file.sync_data())
                .map_err(|source| temporary.error("write", source))?;
            written += CHUNK;
        } else {
            turn.pause();
        }
    }
    Ok(written)
}

/// Bytes that no file system or drive can compress.
fn noise() -> Vec<u8> {
    let mut chunk = vec![0; CHUNK as usize];
    ChaCha8Rng::seed_from_u64(0).fill_bytes(&mut chunk);
    chunk
}

/// A file that is gone when this is dropped, and on Unix even when the process is killed.
struct Temporary {
    path: PathBuf,
    file: File,
}

impl Temporary {
    fn create(directory: &Path) -> Result<Self, DisturbError> {
        static CREATED: AtomicU32 = AtomicU32::new(0);
        let count = CREATED.fetch_add(1, Ordering::Relaxed);
        let path = directory.join(format!("outlierd-demo-{}-{count}.tmp", process::id()));
        let file = OpenOptions::new()
            .write(true)
            .create_new(true)
            .open(&path)
            .map_err(DisturbError::at(format!("create {}", path.display())))?;
        // An open file without a name frees its space with the process, however that ends.
        if cfg!(unix) {
            fs::remove_file(&path)
                .map_err(DisturbError::at(format!("remove {}", path.display())))?;
        }
        Ok(Self { path, file })
    }

    fn error(&self, action: &str, source: std::io::Error) -> DisturbError {
        DisturbError::at(format!("{action} {}", self.path.display()))(source)
    }
}

impl Drop for Temporary {
    fn drop(&mut self) {
        if !cfg!(unix)
            && let Err(error) = fs::remove_file(&self.path)
        {
            tracing::warn!(path = %self.path.display(), %error, "a temporary file stays behind");
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
mod tests {
    use std::sync::atomic::AtomicBool;
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_directory_that_is_not_there_is_named_in_the_error() {
        let stop = AtomicBool::new(false);
        let turn = Turn::new(Duration::from_secs(1), &stop);
        let error = write(Path::new("/nowhere/at/all"), CHUNK, &turn).unwrap_err();
        assert!(error.to_string().contains("/nowhere/at/all"), "{error}");
    }
}
