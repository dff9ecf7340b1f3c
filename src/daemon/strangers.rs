//! Whether other instances of the group serve models that this one's store does not have.
//!
//! Folders that only one instance sees are told from shared ones by what the owners of the partitions note beside their
//! offsets: all of them serve what the ledger has.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use crate::config::{Config, StoreAddress};
use crate::health::{self, Health};
use crate::kafka::{Connection, Note, Notes};
use crate::registry::{Ledger, Store};

/// Between two looks.
const LOOK: Duration = Duration::from_secs(15);

/// Looks for as long as the daemon runs, where the store is a folder. A partition that is seen so twice has an owner: one
/// that has been left is assigned again sooner, and noted anew.
pub(super) async fn watch(config: Arc<Config>, health: Arc<Health>) {
    if !matches!(config.model.store, Some(StoreAddress::Folder(_))) {
        return;
    }
    let looking = Arc::new(Looking {
        config,
        notes: Mutex::default(),
    });
    let (mut before, mut said) = (BTreeMap::new(), None);
    loop {
        tokio::time::sleep(LOOK).await;
        let asked = Arc::clone(&looking);
        let looked = tokio::task::spawn_blocking(move || asked.look()).await;
        let Ok(Some(strangers)) = looked else {
            continue;
        };
        let lasting = strangers
            .iter()
            .find(|one| before.get(one.0) == Some(one.1));
        let why = lasting.map(|(partition, version)| {
            format!(
                "another instance judges partition {partition} by model {version}, which is not in this one's folder: \
                 all instances of a group need one store, a folder that all see or model.store = \"kafka://TOPIC\""
            )
        });
        if let Some(why) = why.as_ref().filter(|_| why != said) {
            tracing::error!("{why}");
        }
        said.clone_from(&why);
        health.note(health::Note::Store, why);
        before = strangers;
    }
}

struct Looking {
    config: Arc<Config>,
    /// Kept for as long as Kafka answers.
    notes: Mutex<Option<Notes>>,
}

impl Looking {
    /// Partitions that are judged by unknown models; none where Kafka or the store does not say.
    fn look(&self) -> Option<BTreeMap<i32, String>> {
        let mut kept = self.notes.lock().unwrap_or_else(PoisonError::into_inner);
        let notes = match kept.take() {
            Some(notes) => notes,
            None => {
                let kafka = self.config.kafka.again().ok()?;
                let input = &self.config.input;
                Notes::of(&Connection::new(&kafka), &input.group, &input.topic).ok()?
            }
        };
        let committed = notes.read().ok()?;
        *kept = Some(notes);
        let ledger = Store::of(&self.config)?.ledger().ok()?;
        Some(unknown(&committed, &ledger))
    }
}

fn unknown(notes: &BTreeMap<i32, Note>, ledger: &Ledger) -> BTreeMap<i32, String> {
    let owned = notes.iter().filter(|(_, note)| note.open);
    let judged = owned.filter_map(|(partition, note)| {
        let version = note.model.as_ref()?.version.clone();
        Some((*partition, version))
    });
    judged
        .filter(|(_, version)| ledger.get(version).is_none())
        .collect()
}
