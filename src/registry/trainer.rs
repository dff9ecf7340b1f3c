//! The only one that trains for a store.

use std::fs::File;
use std::time::Duration;

use crossbeam_channel::{RecvTimeoutError, Sender, bounded};
use jiff::Timestamp;

use super::error::StoreError;
use super::ledger::Ledger;
use super::store::Store;

/// Whoever has not renewed for so long is gone, or stands still: another may train.
const LEASE: Duration = Duration::from_secs(60);

/// Between two renewals.
const RENEWAL: Duration = Duration::from_secs(15);

/// The right to train for a store. Ends with its holder: at once where it is the lock of a file, else when the lease that
/// stands in the ledger runs out. A holder that stood still for longer finds that another has taken over, and changes
/// nothing.
#[derive(Debug)]
pub struct Trainer {
    by: Option<String>,
    _lock: Option<File>,
    /// Dropping it ends the renewals.
    _renewing: Option<Sender<()>>,
}

impl Trainer {
    /// Waits for nobody: none, if there is another.
    pub(super) fn of(store: &Store) -> Result<Option<Trainer>, StoreError> {
        if let Some(lock) = store.lock() {
            return Ok(lock?.map(|lock| Trainer {
                by: None,
                _lock: Some(lock),
                _renewing: None,
            }));
        }
        let by = format!(
            "{}-{}",
            std::process::id(),
            Timestamp::now().as_nanosecond()
        );
        let leased = store.change(|ledger, _| {
            let now = Timestamp::now();
            Ok(ledger.lease(&by, now, now + LEASE))
        });
        if !leased? {
            return Ok(None);
        }
        let (renewing, ended) = bounded::<()>(0);
        let (kept, name) = (store.clone(), by.clone());
        let renewals = move || {
            while ended.recv_timeout(RENEWAL) == Err(RecvTimeoutError::Timeout) {
                match renew(&kept, &name) {
                    Ok(true) => {}
                    Ok(false) => return,
                    Err(error) => tracing::warn!("the right to train was not renewed: {error}"),
                }
            }
        };
        let thread = std::thread::Builder::new().name("lease".into());
        thread.spawn(renewals).map_err(|source| StoreError::Io {
            place: "a thread for the lease".into(),
            source,
        })?;
        Ok(Some(Trainer {
            by: Some(by),
            _lock: None,
            _renewing: Some(renewing),
        }))
    }

    /// Whether the right is still held: asked within each change that a trainer makes.
    ///
    /// # Errors
    /// When another has taken over.
    pub fn check(&self, ledger: &Ledger) -> Result<(), StoreError> {
        match &self.by {
            Some(by) if !ledger.is_leased(by) => Err(StoreError::Overtaken),
            _ => Ok(()),
        }
    }

    /// Lets another train from now on.
    ///
    /// # Errors
    /// When the ledger cannot be changed.
    pub fn release(self, store: &Store) -> Result<(), StoreError> {
        let Some(by) = &self.by else {
            return Ok(());
        };
        store.change(|ledger, _| {
            if ledger.is_leased(by) {
                ledger.training = None;
            }
            Ok(())
        })
    }
}

fn renew(store: &Store, by: &str) -> Result<bool, StoreError> {
    store.change(|ledger, _| Ok(ledger.renew(by, Timestamp::now() + LEASE)))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn a_lease_goes_to_another_only_when_it_has_run_out_and_then_its_old_holder_knows() {
        let mut ledger = Ledger::default();
        let at = |second| Timestamp::from_second(second).unwrap();
        assert!(ledger.lease("a", at(0), at(60)));
        assert!(!ledger.lease("b", at(59), at(119)));
        assert!(ledger.renew("a", at(119)));
        assert!(!ledger.lease("b", at(118), at(178)));
        assert!(ledger.lease("b", at(119), at(179)));
        assert!(!ledger.lease("a", at(120), at(180)));
        assert!(!ledger.renew("a", at(180)));
        // The other is done, and nobody has the right: it does not come back.
        ledger.training = None;
        assert!(!ledger.renew("a", at(180)));
        let late = Trainer {
            by: Some("a".into()),
            _lock: None,
            _renewing: None,
        };
        assert!(matches!(late.check(&ledger), Err(StoreError::Overtaken)));
    }
}
