//! Messages in the order in which they are produced, which is the order in which they must come out.
//!
//! Where one is refused, those behind it wait: they are produced again only when nothing is under way any more, from
//! the oldest on, and one alone goes first to see whether it is taken.

use std::collections::VecDeque;
use std::time::Instant;

/// Everything that was not acknowledged yet. A message has a number, and its report names it.
pub(super) struct Outbox<T> {
    /// Messages by number; `None` is delivered.
    messages: VecDeque<Option<T>>,
    /// Number of the front of `messages`.
    first: u64,
    /// The first that the producer was not given.
    next: u64,
    /// Messages that the producer has, and has not reported.
    under_way: usize,
    hold: Option<Hold>,
}

/// After a refusal.
struct Hold {
    until: Instant,
    /// Whether the one that goes first is under way.
    probing: bool,
}

impl<T> Outbox<T> {
    pub(super) fn new() -> Outbox<T> {
        Outbox {
            messages: VecDeque::new(),
            first: 0,
            next: 0,
            under_way: 0,
            hold: None,
        }
    }

    pub(super) fn push(&mut self, message: T) {
        self.messages.push_back(Some(message));
    }

    /// Messages that are not delivered.
    pub(super) fn len(&self) -> usize {
        self.messages.iter().flatten().count()
    }

    /// The message to produce now, if there is one.
    pub(super) fn ready(&mut self, now: Instant) -> Option<(u64, &mut T)> {
        if let Some(hold) = &self.hold {
            if self.under_way > 0 || now < hold.until {
                return None;
            }
            self.next = self.first;
        }
        let passed = (self.next - self.first) as usize;
        let mut rest = self.messages.iter_mut().enumerate().skip(passed);
        let (at, message) = rest.find_map(|(at, message)| Some((at, message.as_mut()?)))?;
        self.next = self.first + at as u64;
        Some((self.next, message))
    }

    /// The producer has got the message that was ready.
    pub(super) fn produced(&mut self) {
        self.next += 1;
        self.under_way += 1;
        if let Some(hold) = &mut self.hold {
            hold.probing = true;
        }
    }

    /// One report has come.
    pub(super) fn reported(&mut self) {
        self.under_way -= 1;
    }

    fn place(&mut self, number: u64) -> Option<&mut Option<T>> {
        let at = usize::try_from(number.checked_sub(self.first)?).ok()?;
        self.messages.get_mut(at)
    }

    pub(super) fn get_mut(&mut self, number: u64) -> Option<&mut T> {
        self.place(number)?.as_mut()
    }

    /// Takes a message out that is delivered.
    pub(super) fn take(&mut self, number: u64) -> Option<T> {
        let message = self.place(number)?.take();
        while let Some(None) = self.messages.front() {
            self.messages.pop_front();
            self.first += 1;
        }
        self.next = self.next.max(self.first);
        self.hold.take_if(|hold| hold.probing);
        message
    }

    /// A message was refused: nothing is produced before `until`.
    pub(super) fn hold(&mut self, until: Instant) {
        let until = match &self.hold {
            Some(hold) => hold.until.max(until),
            None => until,
        };
        self.hold = Some(Hold {
            until,
            probing: false,
        });
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use proptest::prelude::*;

    use super::*;

    /// What a cluster does at each turn to the oldest message that is under way.
    #[derive(Debug, Clone, Copy)]
    enum Turn {
        Take,
        /// Refuses it, and everything that is under way behind it, as a sequence with a gap is refused.
        Refuse,
        Wait,
    }

    fn turns() -> impl Strategy<Value = Vec<Turn>> {
        let turn = prop_oneof![Just(Turn::Take), Just(Turn::Refuse), Just(Turn::Wait)];
        proptest::collection::vec(turn, 0..200)
    }

    struct Cluster {
        now: Instant,
        pushed: u64,
        under_way: VecDeque<u64>,
        taken: Vec<u64>,
    }

    impl Cluster {
        fn turn(&mut self, outbox: &mut Outbox<u64>, turn: Turn) {
            self.now += Duration::from_millis(10);
            outbox.push(self.pushed);
            self.pushed += 1;
            while let Some((number, _)) = outbox.ready(self.now) {
                self.under_way.push_back(number);
                outbox.produced();
            }
            match turn {
                Turn::Take => {
                    if let Some(number) = self.under_way.pop_front() {
                        outbox.reported();
                        self.taken.extend(outbox.take(number));
                    }
                }
                Turn::Refuse => {
                    for _ in self.under_way.drain(..) {
                        outbox.reported();
                        outbox.hold(self.now + Duration::from_millis(30));
                    }
                }
                Turn::Wait => {}
            }
        }
    }

    proptest! {
        #[test]
        fn whatever_is_refused_all_comes_once_and_in_order(turns in turns()) {
            let mut outbox = Outbox::new();
            let mut cluster = Cluster {
                now: Instant::now(),
                pushed: 0,
                under_way: VecDeque::new(),
                taken: Vec::new(),
            };
            for &turn in &turns {
                cluster.turn(&mut outbox, turn);
            }
            prop_assert_eq!(outbox.len() as u64, cluster.pushed - cluster.taken.len() as u64);
            let wanted = cluster.pushed;
            for _ in 0..2 * turns.len() + 10 {
                cluster.turn(&mut outbox, Turn::Take);
            }
            prop_assert!(cluster.taken.len() as u64 >= wanted, "not all came");
            prop_assert!(cluster.taken.iter().copied().eq(0..cluster.taken.len() as u64));
        }
    }

    #[test]
    fn after_a_refusal_one_goes_first() {
        let now = Instant::now();
        let later = now + Duration::from_secs(1);
        let mut outbox = Outbox::new();
        (0..3).for_each(|message| outbox.push(message));
        for _ in 0..3 {
            assert!(outbox.ready(now).is_some());
            outbox.produced();
        }
        outbox.reported();
        outbox.hold(later);
        assert!(outbox.ready(later).is_none(), "two are under way");
        outbox.reported();
        assert_eq!(outbox.take(1), Some(1));
        outbox.reported();
        outbox.hold(later);
        assert!(outbox.ready(now).is_none(), "it is too early");
        assert_eq!(outbox.ready(later), Some((0, &mut 0)));
        outbox.produced();
        assert!(outbox.ready(later).is_none(), "one goes first");
        outbox.reported();
        assert_eq!(outbox.take(0), Some(0));
        assert_eq!(outbox.ready(now), Some((2, &mut 2)));
    }
}
