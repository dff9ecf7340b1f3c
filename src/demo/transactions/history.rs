//! What a payment platform knows of a card and a terminal from the seven days before a payment.

use std::collections::VecDeque;

use super::day::{DAY_SECONDS, Payment};

const WINDOW_SECONDS: i64 = 7 * DAY_SECONDS;

/// The seven days before a payment, without it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Past {
    pub(super) card_count: usize,
    /// In units of currency; `None` for a card that was not used.
    pub(super) card_mean_amount: Option<f64>,
    pub(super) terminal_count: usize,
}

/// Seven days of payments of every card and terminal.
pub(super) struct Histories {
    cards: Vec<Window>,
    terminals: Vec<Window>,
}

impl Histories {
    pub(super) fn new(cards: u32, terminals: u32) -> Self {
        Self {
            cards: vec![Window::default(); cards as usize],
            terminals: vec![Window::default(); terminals as usize],
        }
    }

    /// Adds a payment that is no earlier than the one before, and returns what was known until then.
    pub(super) fn add(&mut self, payment: &Payment) -> Past {
        let card = &mut self.cards[payment.customer as usize];
        let terminal = &mut self.terminals[payment.terminal as usize];
        card.forget_before(payment.time - WINDOW_SECONDS);
        terminal.forget_before(payment.time - WINDOW_SECONDS);
        let past = Past {
            card_count: card.payments.len(),
            card_mean_amount: card.mean_amount(),
            terminal_count: terminal.payments.len(),
        };
        card.add(payment);
        terminal.add(payment);
        past
    }
}

/// Payments of one card or terminal, oldest first, with the sum of their amounts.
#[derive(Debug, Clone, Default)]
struct Window {
    /// Time and cents.
    payments: VecDeque<(i64, i64)>,
    cents: i64,
}

impl Window {
    fn forget_before(&mut self, time: i64) {
        while let Some((_, cents)) = self.payments.pop_front_if(|(then, _)| *then < time) {
            self.cents -= cents;
        }
    }

    fn add(&mut self, payment: &Payment) {
        self.payments.push_back((payment.time, payment.cents));
        self.cents += payment.cents;
    }

    fn mean_amount(&self) -> Option<f64> {
        let count = self.payments.len();
        (count > 0).then(|| self.cents as f64 / 100.0 / count as f64)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
mod tests {
    use super::super::customers::Channel;
    use super::*;

    fn at(time: i64, cents: i64) -> Payment {
        Payment {
            time,
            customer: 0,
            terminal: 0,
            channel: Channel::Chip,
            cents,
            fraud: None,
        }
    }

    #[test]
    fn a_payment_does_not_count_in_its_own_past() {
        let mut histories = Histories::new(1, 1);
        let past = histories.add(&at(0, 500));
        assert_eq!((past.card_count, past.card_mean_amount), (0, None));
        let past = histories.add(&at(1, 700));
        assert_eq!((past.card_count, past.card_mean_amount), (1, Some(5.0)));
    }

    #[test]
    fn payments_leave_after_seven_days() {
        let mut histories = Histories::new(1, 1);
        histories.add(&at(0, 500));
        assert_eq!(histories.add(&at(WINDOW_SECONDS, 700)).card_count, 1);
        let past = histories.add(&at(WINDOW_SECONDS + 1, 900));
        assert_eq!((past.card_count, past.terminal_count), (1, 1));
        assert_eq!(past.card_mean_amount, Some(7.0));
    }
}
