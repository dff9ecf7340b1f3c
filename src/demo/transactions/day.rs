//! One simulated day after another.

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rand_distr::{Distribution, StandardNormal};

use super::Settings;
use super::customers::{Channel, Customer, populate};
use super::fraud::{Affected, LARGE_CENTS, LEAKED_FACTOR, LEAKED_SHARE, Pattern};

pub(super) const DAY_SECONDS: i64 = 86_400;

/// Standard deviation of the time of day around noon. Seconds.
const SPREAD_SECONDS: f64 = 20_000.0;

/// One payment, before it becomes a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Payment {
    /// Seconds since the first simulated day began.
    pub(super) time: i64,
    pub(super) customer: u32,
    pub(super) terminal: u32,
    pub(super) channel: Channel,
    pub(super) cents: i64,
    pub(super) fraud: Option<Pattern>,
}

/// The days of a population.
pub(super) struct Calendar {
    rng: ChaCha8Rng,
    customers: Vec<Customer>,
    terminals: Affected,
    cards: Affected,
    day: u32,
}

impl Calendar {
    pub(super) fn new(settings: &Settings) -> Self {
        let mut rng = ChaCha8Rng::seed_from_u64(settings.seed);
        Self {
            customers: populate(settings.customers, settings.terminals, &mut rng),
            terminals: Affected::terminals(settings.terminals, settings.fraud_scale),
            cards: Affected::cards(settings.customers, settings.fraud_scale),
            day: 0,
            rng,
        }
    }

    pub(super) fn customer(&self, index: u32) -> &Customer {
        &self.customers[index as usize]
    }

    /// The payments of the next day in the order of their times.
    pub(super) fn next_day(&mut self) -> Vec<Payment> {
        self.terminals.begin_day(self.day, &mut self.rng);
        self.cards.begin_day(self.day, &mut self.rng);
        let mut payments = Vec::new();
        for (index, customer) in (0..).zip(&self.customers) {
            for _ in 0..customer.payments(&mut self.rng) {
                if let Some(second) = second_of_day(&mut self.rng) {
                    let time = i64::from(self.day) * DAY_SECONDS + second;
                    let payment = ordinary(index, customer, time, &mut self.rng);
                    payments.push(payment);
                }
            }
        }
        for payment in &mut payments {
            self.label(payment);
        }
        payments.sort_by_key(|payment| payment.time);
        self.day += 1;
        payments
    }

    /// The scenarios in the handbook's order: a later one replaces the label of an earlier one.
    fn label(&mut self, payment: &mut Payment) {
        if payment.cents > LARGE_CENTS {
            payment.fraud = Some(Pattern::LargeAmount);
        }
        if self.terminals.holds(payment.terminal, self.day) {
            payment.fraud = Some(Pattern::CompromisedTerminal);
        }
        if self.cards.holds(payment.customer, self.day) && self.rng.random_bool(LEAKED_SHARE) {
            payment.cents *= LEAKED_FACTOR;
            payment.channel = Channel::Online;
            payment.fraud = Some(Pattern::LeakedCard);
        }
    }
}

fn ordinary(index: u32, customer: &Customer, time: i64, rng: &mut ChaCha8Rng) -> Payment {
    Payment {
        time,
        customer: index,
        terminal: customer.terminal(rng),
        channel: customer.channel(rng),
        cents: customer.cents(rng),
        fraud: None,
    }
}

/// Around noon; a draw that falls outside the day is a payment that is not made, as in the handbook.
fn second_of_day(rng: &mut ChaCha8Rng) -> Option<i64> {
    let deviation: f64 = StandardNormal.sample(rng);
    let second = (DAY_SECONDS as f64 / 2.0 + SPREAD_SECONDS * deviation).floor() as i64;
    (0..DAY_SECONDS).contains(&second).then_some(second)
}
