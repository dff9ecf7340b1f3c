//! Keeps the metrics of what people say up to date.

use std::sync::Arc;
use std::time::Duration;

use super::{Label, Labels};
use crate::config::Config;
use crate::kafka::{Connection, Follower};
use crate::metrics::Metrics;

/// Between two tries to reach the topic.
const AGAIN: Duration = Duration::from_secs(10);

/// How long one look waits for a message.
const LOOK: Duration = Duration::from_millis(500);

/// Follows the topic on a thread of its own for as long as the process lives. Nothing without a topic.
pub fn follow(config: &Config, metrics: &Arc<Metrics>) {
    let Some(topic) = config.feedback.topic.clone() else {
        return;
    };
    let (kafka, metrics) = (config.kafka.clone(), Arc::clone(metrics));
    let thread = std::thread::Builder::new().name("feedback".into());
    let following = move || {
        let follower = loop {
            match Follower::open(&Connection::new(&kafka), &topic) {
                Ok(follower) => break follower,
                Err(error) => {
                    tracing::warn!("feedback: {error}; again in {AGAIN:?}");
                    std::thread::sleep(AGAIN);
                }
            }
        };
        let mut labels = Labels::default();
        loop {
            if let Some(message) = follower.next(LOOK) {
                labels.take(message.key.as_deref(), message.payload.as_deref());
                tell(&labels, &metrics);
            }
        }
    };
    if let Err(error) = thread.spawn(following) {
        tracing::warn!("feedback is not followed: {error}");
    }
}

fn tell(labels: &Labels, metrics: &Metrics) {
    let (confirmed, false_alarms) = (
        labels.count(Label::Confirmed),
        labels.count(Label::FalseAlarm),
    );
    metrics.feedback.get(Label::Confirmed).set(confirmed as i64);
    metrics
        .feedback
        .get(Label::FalseAlarm)
        .set(false_alarms as i64);
    let labelled = confirmed + false_alarms;
    if labelled > 0 {
        metrics.precision.set(confirmed as f64 / labelled as f64);
    }
}
