//! Work for the score threads, in turn.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use crossbeam_channel::{SendTimeoutError, Sender};

use super::score::Work;

/// Deals work to the score threads in turn. Shared with the rebalance callback, which runs within
/// a poll of this same thread: the lock is never contended.
pub(super) struct Dealer {
    pub(super) workers: Vec<Sender<Work>>,
    turn: usize,
    /// Revokes that found no room in time: they go before everything else.
    owed: VecDeque<Work>,
}

impl Dealer {
    pub(super) fn new(workers: Vec<Sender<Work>>) -> Arc<Mutex<Dealer>> {
        Arc::new(Mutex::new(Dealer {
            workers,
            turn: 0,
            owed: VecDeque::new(),
        }))
    }

    /// Hands `work` to the thread whose turn it is, or back if that takes longer than `patience`.
    pub(super) fn deal(
        &mut self,
        work: Work,
        patience: Duration,
    ) -> Result<(), SendTimeoutError<Work>> {
        while let Some(owed) = self.owed.pop_front() {
            match self.hand(owed, patience) {
                Ok(()) => {}
                Err(SendTimeoutError::Timeout(owed)) => {
                    self.owed.push_front(owed);
                    return Err(SendTimeoutError::Timeout(work));
                }
                Err(SendTimeoutError::Disconnected(_)) => break,
            }
        }
        self.hand(work, patience)
    }

    /// The same for what must not be left out, however late it comes. Says whether it was dealt in time.
    pub(super) fn deal_or_owe(&mut self, work: Work, patience: Duration) -> bool {
        match self.deal(work, patience) {
            Ok(()) => true,
            Err(SendTimeoutError::Timeout(work)) => {
                self.owed.push_back(work);
                false
            }
            Err(SendTimeoutError::Disconnected(_)) => false,
        }
    }

    fn hand(&mut self, work: Work, patience: Duration) -> Result<(), SendTimeoutError<Work>> {
        let Some(worker) = self.workers.get(self.turn) else {
            return Err(SendTimeoutError::Disconnected(work));
        };
        worker.send_timeout(work, patience)?;
        self.turn = (self.turn + 1) % self.workers.len();
        Ok(())
    }

    /// Ends the score threads once they have done what they hold.
    pub(super) fn end(&mut self) {
        self.workers.clear();
    }
}
