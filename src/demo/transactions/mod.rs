//! Made-up card transactions with labelled fraud, after the simulator of the Fraud Detection Handbook.
//!
//! Source: Y.-A. Le Borgne, W. Siblini, B. Lebichot, G. Bontempi, "Reproducible Machine Learning for
//! Credit Card Fraud Detection: Practical Handbook", chapter 3.2 "Transaction data simulator",
//! Université Libre de Bruxelles, 2022. Its model: customers and terminals at uniform places of a
//! square with sides of 100; a customer pays at the terminals within a radius of 5, Poisson(U(0, 4))
//! times a day, around noon (standard deviation 20000 s), amounts Normal(m, m / 2) with m of U(5, 100);
//! three kinds of fraud, see [`Pattern`].
//!
//! What differs: numbers of frauds scale with the population (the handbook's are for 5000 customers
//! and 10000 terminals); a leaked card is misused in a third of its payments by chance, not in exactly
//! a third, and always online, as the handbook means it; a customer with no terminal in reach takes
//! the nearest; there is a channel with habits, a card number, and the history that a payment
//! platform would send along. Labels never stand in a record.

use jiff::Timestamp;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use crate::config::{Direction, Field, Kind};

mod broken;
mod customers;
mod day;
mod fraud;
mod history;
mod record;

use broken::Damage;
use day::{Calendar, Payment};
pub use fraud::Pattern;
use history::Histories;
use record::Record;

/// What is generated.
#[derive(Debug, Clone, PartialEq)]
pub struct Settings {
    /// Cards, one for each customer. At least 1.
    pub customers: u32,
    /// At least 1.
    pub terminals: u32,
    pub seed: u64,
    /// Share of the records that are broken on purpose, 0 to 1.
    pub broken_share: f64,
    /// Compromised terminals and leaked cards, as a multiple of the handbook's; 0 for none.
    pub fraud_scale: f64,
    /// When the first simulated day begins, in event time.
    pub start: Timestamp,
    /// Days simulated before the first record. From 7 on the histories are full, from 28 on the
    /// share of fraud is steady.
    pub warm_up_days: u32,
}

impl Default for Settings {
    /// About 2000 transactions a simulated day, 0.9% of them fraud, 0.2% of the records broken.
    fn default() -> Self {
        Self {
            customers: 1000,
            terminals: 2000,
            seed: 1,
            broken_share: 0.002,
            fraud_scale: 1.0,
            start: Timestamp::constant(1_767_225_600, 0),
            warm_up_days: 28,
        }
    }
}

/// A setting that generates nothing.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum SettingsError {
    #[error("{name} is 0; set it to 1 or more")]
    Nobody { name: &'static str },
    #[error("{name} is {value}; set it to a number from 0 to {most}")]
    OutOfRange {
        name: &'static str,
        value: f64,
        most: f64,
    },
}

/// What is known of a record and not said in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Label {
    /// The Kafka key: the card.
    pub card_id: String,
    pub fraud: Option<Pattern>,
    /// How the record was broken on purpose.
    pub broken: Option<&'static str>,
}

/// An endless stream of transactions in the order of their simulated time, the same for the same
/// settings. Memory holds one day of payments and seven days of history.
pub struct Transactions {
    settings: Settings,
    calendar: Calendar,
    histories: Histories,
    /// Apart from the calendar's, so that broken records change no other.
    damage_rng: ChaCha8Rng,
    today: std::vec::IntoIter<Payment>,
    written: u64,
}

impl Transactions {
    /// Path of the key in the records.
    pub const KEY: &'static str = "card_id";
    /// Path of the event time.
    pub const TIME: &'static str = "time";
    /// Paths whose values should not be shown.
    pub const REDACT: [&'static str; 1] = ["card_number"];

    /// Simulates the warm-up: its payments fill the histories and are not written.
    ///
    /// # Errors
    ///
    /// When a setting is out of its range.
    pub fn new(settings: Settings) -> Result<Self, SettingsError> {
        validate(&settings)?;
        let mut damage_rng = ChaCha8Rng::seed_from_u64(settings.seed);
        damage_rng.set_stream(1);
        let mut calendar = Calendar::new(&settings);
        let mut histories = Histories::new(settings.customers, settings.terminals);
        for _ in 0..settings.warm_up_days {
            for payment in calendar.next_day() {
                histories.add(&payment);
            }
        }
        Ok(Self {
            settings,
            calendar,
            histories,
            damage_rng,
            today: Vec::new().into_iter(),
            written: 0,
        })
    }

    /// Replaces `out` by the next record, a JSON object unless it is broken on purpose, and says what
    /// it is.
    pub fn next(&mut self, out: &mut Vec<u8>) -> Label {
        let payment = self.next_payment();
        let past = self.histories.add(&payment);
        let customer = self.calendar.customer(payment.customer);
        let record = Record::new(self.written, self.settings.start, &payment, customer, past);
        self.written += 1;
        record.write(out);
        let broken = self
            .damage_rng
            .random_bool(self.settings.broken_share)
            .then(|| Damage::any(&mut self.damage_rng));
        if let Some(damage) = broken {
            damage.apply(out, &mut self.damage_rng);
        }
        Label {
            card_id: record.card_id,
            fraud: payment.fraud,
            broken: broken.map(Damage::name),
        }
    }

    fn next_payment(&mut self) -> Payment {
        loop {
            if let Some(payment) = self.today.next() {
                return payment;
            }
            self.today = self.calendar.next_day().into_iter();
        }
    }

    /// The fields that a model should see. Numbers count upwards only: a low amount or a quiet card
    /// is nobody's loss.
    pub fn fields() -> Vec<Field> {
        let field = |path: &str, kind, direction, min_deviation| Field {
            path: path.to_owned(),
            kind,
            required: false,
            direction,
            min_deviation,
        };
        vec![
            field("time", Kind::Timestamp, Direction::Both, 0.0),
            field("channel", Kind::Categorical, Direction::Both, 0.0),
            field("amount", Kind::Numeric, Direction::Above, 10.0),
            field("card_mean_amount_7d", Kind::Numeric, Direction::Above, 10.0),
            field("card_count_7d", Kind::Numeric, Direction::Above, 2.0),
            field("terminal_count_7d", Kind::Numeric, Direction::Above, 2.0),
        ]
    }
}

fn validate(settings: &Settings) -> Result<(), SettingsError> {
    for (name, count) in [
        ("customers", settings.customers),
        ("terminals", settings.terminals),
    ] {
        if count == 0 {
            return Err(SettingsError::Nobody { name });
        }
    }
    for (name, value, most) in [
        ("broken_share", settings.broken_share, 1.0),
        ("fraud_scale", settings.fraud_scale, 100.0),
    ] {
        if !(0.0..=most).contains(&value) {
            return Err(SettingsError::OutOfRange { name, value, most });
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests;
