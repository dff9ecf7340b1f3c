//! Asks now and then whether the topic is still the same.

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use rdkafka::consumer::{BaseConsumer, ConsumerContext};

use super::TopicId;
use super::group::lock;
use super::topic_id::Inquiry;

/// Between two questions. The client itself does not notice that a topic was made anew.
const EVERY: Duration = Duration::from_secs(10);

/// The question under way, and when to ask the next.
pub(super) struct TopicWatch<C: ConsumerContext + 'static>(Mutex<State<C>>);

struct State<C: ConsumerContext + 'static> {
    asked: Option<Inquiry<C>>,
    next: Instant,
}

impl<C: ConsumerContext + 'static> TopicWatch<C> {
    pub(super) fn new(now: Instant) -> TopicWatch<C> {
        TopicWatch(Mutex::new(State {
            asked: None,
            next: now + EVERY,
        }))
    }

    /// The id of `topic`, whenever an answer has come; asks by itself, and never waits.
    pub(super) fn look(
        &self,
        client: &Arc<BaseConsumer<C>>,
        topic: &str,
        now: Instant,
    ) -> Option<TopicId> {
        let mut state = lock(&self.0);
        if now >= state.next && state.asked.is_none() {
            state.asked = Inquiry::start(client, topic, EVERY);
        }
        let answer = state.asked.as_ref()?.answer()?;
        state.asked = None;
        state.next = now + EVERY;
        // No answer now is no news.
        answer.ok().flatten()
    }
}
