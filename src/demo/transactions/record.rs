//! A payment as the payment platform sends it.

use jiff::{SignedDuration, Timestamp};
use serde::Serialize;

use super::customers::{Channel, Customer};
use super::day::Payment;
use super::history::Past;

#[derive(Debug, Serialize)]
pub(super) struct Record<'a> {
    transaction_id: String,
    /// RFC 3339, whole seconds.
    time: String,
    pub(super) card_id: String,
    card_number: &'a str,
    terminal_id: String,
    channel: Channel,
    amount: f64,
    #[serde(skip_serializing_if = "Option::is_none")]
    card_mean_amount_7d: Option<f64>,
    card_count_7d: usize,
    terminal_count_7d: usize,
}

impl<'a> Record<'a> {
    pub(super) fn new(
        number: u64,
        start: Timestamp,
        payment: &Payment,
        customer: &'a Customer,
        past: Past,
    ) -> Self {
        let time = start
            .saturating_add(SignedDuration::from_secs(payment.time))
            .unwrap_or(Timestamp::MAX);
        Self {
            transaction_id: format!("transaction-{number:09}"),
            time: time.to_string(),
            card_id: format!("card-{:05}", payment.customer),
            card_number: &customer.card_number,
            terminal_id: format!("terminal-{:05}", payment.terminal),
            channel: payment.channel,
            amount: payment.cents as f64 / 100.0,
            card_mean_amount_7d: past.card_mean_amount.map(to_cents),
            card_count_7d: past.card_count,
            terminal_count_7d: past.terminal_count,
        }
    }

    /// Replaces `out` by this record as JSON.
    pub(super) fn write(&self, out: &mut Vec<u8>) {
        out.clear();
        if let Err(error) = serde_json::to_writer(&mut *out, self) {
            tracing::error!(%error, "a made-up transaction could not be written");
        }
    }
}

fn to_cents(amount: f64) -> f64 {
    (amount * 100.0).round() / 100.0
}
