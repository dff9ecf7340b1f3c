//! Which log records come from, and what each of them is called.

use sha2::{Digest, Sha256};

use super::TopicId;
use crate::detect::hex;

/// Where records come from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Origin {
    /// The cluster's id.
    pub cluster: String,
    pub topic: String,
    /// A topic made anew has another, so that its records have other ids. Clusters older than 2.8 give none.
    pub topic_id: Option<TopicId>,
}

impl Origin {
    /// The id of the record at a position: the same on every redelivery, whatever the model, so that readers drop
    /// duplicates by it and people can speak of it.
    pub fn id(&self, partition: i32, offset: i64) -> String {
        let Origin {
            cluster,
            topic,
            topic_id,
        } = self;
        let topic_id = topic_id
            .as_ref()
            .map_or(String::new(), |id| format!("{id}\0"));
        let position = format!("{cluster}\0{topic}\0{topic_id}{partition}\0{offset}");
        hex(&Sha256::digest(position.as_bytes())[..16])
    }
}
