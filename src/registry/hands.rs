//! What a person may have done with the models of a store.

use super::error::StoreError;
use super::store::Store;

/// One thing to be done. Versions may be beginnings that name only one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Hand {
    /// Have a model serve.
    Promote(String),
    /// Have the one serve that served before, or this one; none is promoted by itself until [`Hand::Release`].
    Rollback(Option<String>),
    /// Let models be promoted by themselves again.
    Release,
    /// Never delete a model.
    Pin(String),
    /// Let it be deleted again.
    Unpin(String),
    /// Delete a model that nobody needs.
    Delete(String),
}

/// What has been done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Done {
    /// For people.
    pub said: String,
    /// The version that is to serve from now on, if that has changed.
    pub serves: Option<String>,
}

impl Hand {
    /// The version that it names, if it names one.
    pub fn version(&self) -> Option<&str> {
        match self {
            Hand::Promote(version)
            | Hand::Rollback(Some(version))
            | Hand::Pin(version)
            | Hand::Unpin(version)
            | Hand::Delete(version) => Some(version),
            Hand::Rollback(None) | Hand::Release => None,
        }
    }
}

impl Store {
    /// Does it, or changes nothing.
    ///
    /// # Errors
    /// When it cannot be: the model is unknown, damaged, or needed; or the store cannot be read or written.
    pub fn lend(&self, hand: &Hand) -> Result<Done, StoreError> {
        let done = |said: String| Done { said, serves: None };
        match hand {
            Hand::Promote(version) => {
                let version = self.find(version)?;
                // One that cannot be loaded must not serve.
                self.load(&version)?;
                self.change(|ledger, now| Ok(ledger.promote(&version, now)?))?;
                Ok(Done {
                    said: format!("{version} serves"),
                    serves: Some(version),
                })
            }
            Hand::Rollback(version) => {
                let version = match version {
                    Some(version) => self.find(version)?,
                    None => self.ledger()?.before()?.version.clone(),
                };
                self.load(&version)?;
                self.change(|ledger, now| Ok(ledger.roll_back(&version, now)?))?;
                Ok(Done {
                    said: format!(
                        "{version} serves, and none is promoted by itself until `outlierd models release`"
                    ),
                    serves: Some(version),
                })
            }
            Hand::Release => {
                self.change(|ledger, _| {
                    ledger.release();
                    Ok(())
                })?;
                Ok(done(
                    "released: models may be promoted by themselves".into(),
                ))
            }
            Hand::Pin(version) => {
                let version = self.find(version)?;
                self.change(|ledger, _| Ok(ledger.pin(&version, true)?))?;
                Ok(done(format!("{version} is never deleted")))
            }
            Hand::Unpin(version) => {
                let version = self.find(version)?;
                self.change(|ledger, _| Ok(ledger.pin(&version, false)?))?;
                Ok(done(format!("{version} may be deleted")))
            }
            Hand::Delete(version) => {
                let version = self.find(version)?;
                self.change(|ledger, _| Ok(ledger.delete(&version)?))?;
                Ok(done(format!("deleted {version}")))
            }
        }
    }
}
