//! Models in a compacted Kafka topic: a new instance needs nothing but Kafka.
//!
//! Partition 0 has the ledger, under one key; whoever follows it reads nothing else. Partition 1 has the models in parts
//! that fit into records, under `VERSION/PART/PARTS`. A change is one transaction over both.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use super::error::StoreError;
use super::file::{self, ModelError};
use super::shelf::{Change, Changing, Shelf};
use crate::config;
use crate::kafka::{Connection, Keyed, KeyedError, Pair, Tail};

const LEDGER: i32 = 0;
const MODELS: i32 = 1;
const KEY: &str = "ledger";

/// A record of half a mebibyte passes every broker's default.
const PART: usize = 512 << 10;

/// More parts than a model file may have bytes for are none of ours.
const MOST_PARTS: usize = (file::MAX_FILE as usize).div_ceil(PART);

/// A compacted topic with two partitions.
pub(super) struct Topic {
    kafka: config::Kafka,
    topic: String,
    opened: Mutex<Option<Arc<Keyed>>>,
    /// What has been followed so far.
    followed: Mutex<Option<Followed>>,
}

struct Followed {
    tail: Tail,
    ledger: Option<String>,
}

impl fmt::Display for Topic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "kafka://{}", self.topic)
    }
}

impl fmt::Debug for Topic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Topic {
    pub(super) fn new(kafka: &config::Kafka, topic: &str) -> Topic {
        Topic {
            kafka: kafka.clone(),
            topic: topic.to_owned(),
            opened: Mutex::default(),
            followed: Mutex::default(),
        }
    }

    /// The topic, which is looked at once, and again after an error: it may be another by then, or the secrets.
    fn open(&self) -> Result<Arc<Keyed>, StoreError> {
        let mut opened = self.opened.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(keyed) = &*opened {
            return Ok(Arc::clone(keyed));
        }
        // What the files of its secrets hold may have changed since the last time.
        let kafka = self.kafka.again().map_err(StoreError::Secret)?;
        let keyed = Keyed::open(Connection::new(&kafka), &self.topic, 2);
        match keyed {
            Ok(keyed) => Ok(Arc::clone(opened.insert(Arc::new(keyed)))),
            Err(source) => {
                drop(opened);
                Err(self.failed(source))
            }
        }
    }

    /// What an error comes to; after it the topic is looked at anew.
    fn failed(&self, source: KeyedError) -> StoreError {
        let mut opened = self.opened.lock().unwrap_or_else(PoisonError::into_inner);
        *opened = None;
        StoreError::Remote {
            place: self.to_string(),
            unreachable: source.is_unreachable(),
            source: Box::new(source),
        }
    }

    /// The ledger as all that is committed by now makes it, and the offset after it.
    fn newest(&self, keyed: &Keyed) -> Result<(Option<String>, i64), StoreError> {
        let mut ledger = None;
        let next = keyed.read(LEDGER, |key, value| take(&mut ledger, key, value));
        let next = next.map_err(|source| self.failed(source))?;
        Ok((ledger, next))
    }

    /// The keys of the parts of models that `wanted` names.
    fn parts(
        &self,
        keyed: &Keyed,
        wanted: impl Fn(&str) -> bool,
    ) -> Result<Vec<String>, StoreError> {
        let mut keys = Vec::new();
        let read = keyed.read(MODELS, |key, value| {
            let version = key.split('/').next().unwrap_or_default();
            if value.is_some() && wanted(version) {
                keys.push(key.to_owned());
            }
        });
        read.map_err(|source| self.failed(source))?;
        keys.sort_unstable();
        keys.dedup();
        Ok(keys)
    }

    fn pairs(&self, keyed: &Keyed, change: Change) -> Result<Vec<(i32, Pair)>, StoreError> {
        let mut pairs = Vec::new();
        if let Some((version, bytes)) = change.model {
            let parts = bytes.len().div_ceil(PART);
            let part = |(at, part): (usize, &[u8])| {
                let key = format!("{version}/{at}/{parts}");
                (MODELS, (key, Some(part.to_vec())))
            };
            pairs.extend(bytes.chunks(PART).enumerate().map(part));
        }
        pairs.push((LEDGER, (KEY.to_owned(), Some(change.ledger))));
        if !change.gone.is_empty() {
            let gone = self.parts(keyed, |version| change.gone.iter().any(|it| it == version))?;
            pairs.extend(gone.into_iter().map(|key| (MODELS, (key, None))));
        }
        Ok(pairs)
    }
}

/// Takes what stands under the key of the ledger.
fn take(ledger: &mut Option<String>, key: &str, value: Option<&[u8]>) {
    if key == KEY {
        *ledger = value.map(|value| String::from_utf8_lossy(value).into_owned());
    }
}

impl Shelf for Topic {
    fn ledger(&self) -> Result<Option<String>, StoreError> {
        let mut followed = self.followed.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(Followed { tail, ledger }) = &mut *followed {
            match tail.catch_up(|key, value| take(ledger, key, value)) {
                Ok(()) => return Ok(ledger.clone()),
                // Another client may be let in: with new credentials, or to a topic that was made anew.
                Err(error) => {
                    *followed = None;
                    return Err(self.failed(error));
                }
            }
        }
        let keyed = self.open()?;
        let (ledger, next) = self.newest(&keyed)?;
        let tail = keyed
            .follow(LEDGER, next)
            .map_err(|source| self.failed(source))?;
        *followed = Some(Followed {
            tail,
            ledger: ledger.clone(),
        });
        Ok(ledger)
    }

    fn read(&self, version: &str) -> Result<Vec<u8>, ModelError> {
        let place = format!("{self}/{version}");
        let keyed = self
            .open()
            .map_err(|error| ModelError::remote(&place, error))?;
        let mut parts: Vec<Option<Vec<u8>>> = Vec::new();
        let read = keyed.read(MODELS, |key, value| {
            let mut words = key.split('/');
            let is_ours = words.next() == Some(version);
            let mut number = || words.next()?.parse::<usize>().ok();
            if let (true, Some(at), Some(count)) = (is_ours, number(), number())
                && at < count
                && count <= MOST_PARTS
            {
                parts.resize(parts.len().max(count), None);
                parts[at] = value.map(<[u8]>::to_vec);
            }
        });
        read.map_err(|source| ModelError::remote(&place, self.failed(source)))?;
        let (count, found) = (parts.len(), parts.iter().flatten().count());
        match found {
            0 => Err(ModelError::Missing(place.into())),
            _ if found < count => Err(ModelError::Corrupt {
                path: place.into(),
                what: format!("{found} of its {count} parts are there"),
            }),
            _ => Ok(parts.into_iter().flatten().flatten().collect()),
        }
    }

    fn change(&self, changing: &mut Changing<'_>) -> Result<bool, StoreError> {
        let keyed = self.open()?;
        let turn = match keyed.take_over() {
            Err(KeyedError::Overtaken(_)) => return Ok(false),
            outcome => outcome.map_err(|source| self.failed(source))?,
        };
        let (ledger, _) = self.newest(&keyed)?;
        let Some(change) = changing(ledger.as_deref())? else {
            return Ok(true);
        };
        match turn.commit(&self.pairs(&keyed, change)?) {
            Ok(()) => Ok(true),
            Err(KeyedError::Overtaken(_)) => Ok(false),
            Err(source) => Err(self.failed(source)),
        }
    }
}
