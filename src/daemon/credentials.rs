//! Notices when a file that lets this client into the cluster has changed: a password, a key, a certificate.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use sha2::{Digest, Sha256};

use crate::config;

/// Between two looks. A file counts as changed when it says the same twice: one that is half written does not.
const LOOK: Duration = Duration::from_secs(1);

type Content = [u8; 32];

/// The files and what they held when the clients were made.
pub(super) struct Credentials {
    known: BTreeMap<PathBuf, Option<Content>>,
    /// What the last look found.
    seen: BTreeMap<PathBuf, Option<Content>>,
}

impl Credentials {
    pub(super) fn of(kafka: &config::Kafka) -> Credentials {
        let files = kafka.files().into_iter();
        let known: BTreeMap<_, _> = files.map(|file| (file.clone(), content(&file))).collect();
        Credentials {
            seen: known.clone(),
            known,
        }
    }

    /// Waits until files have changed, and says which.
    pub(super) async fn change(&mut self) -> Vec<PathBuf> {
        loop {
            tokio::time::sleep(LOOK).await;
            let changed = self.look();
            if !changed.is_empty() {
                return changed;
            }
        }
    }

    fn look(&mut self) -> Vec<PathBuf> {
        let mut changed = Vec::new();
        for (file, known) in &mut self.known {
            let now = content(file);
            let before = self.seen.insert(file.clone(), now);
            // One that is gone may be back in a moment: what it held still lets us in, as far as is known.
            if now.is_some() && now != *known && before == Some(now) {
                *known = now;
                changed.push(file.clone());
            }
        }
        changed
    }
}

/// None of a file that is empty or cannot be read, or of a folder.
fn content(file: &Path) -> Option<Content> {
    let bytes = fs::read(file).ok().filter(|bytes| !bytes.is_empty())?;
    Some(Sha256::digest(bytes).into())
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn credentials(file: &Path) -> Credentials {
        let location = file.display().to_string();
        Credentials::of(&config::Kafka {
            brokers: String::new(),
            properties: [("ssl.ca.location".into(), location)].into(),
            secrets: BTreeMap::new(),
        })
    }

    #[test]
    fn a_file_has_changed_when_two_looks_find_the_same_and_it_is_told_once() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("ca.pem");
        fs::write(&file, "old").unwrap();
        let mut credentials = credentials(&file);
        assert!(credentials.look().is_empty());
        fs::write(&file, "ne").unwrap();
        assert!(credentials.look().is_empty());
        fs::write(&file, "new").unwrap();
        assert!(credentials.look().is_empty());
        assert_eq!(credentials.look(), [file]);
        assert!(credentials.look().is_empty());
    }

    #[test]
    fn a_file_that_goes_and_comes_back_the_same_has_not_changed() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("ca.pem");
        fs::write(&file, "old").unwrap();
        let mut credentials = credentials(&file);
        for content in ["", "", "old", "old"] {
            fs::write(&file, content).unwrap();
            assert!(credentials.look().is_empty());
        }
        fs::remove_file(&file).unwrap();
        assert!(credentials.look().is_empty());
        assert!(credentials.look().is_empty());
    }
}
