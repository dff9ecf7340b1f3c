//! Threads for the length of one step.

use std::panic::resume_unwind;
use std::thread;

/// Does `work` on every item, on a thread of its own for each but the first, and gives the answers in
/// the order of the items. One item starts no thread.
pub(super) fn side_by_side<T: Send, R: Send>(
    items: impl IntoIterator<Item = T>,
    work: impl Fn(T) -> R + Sync,
) -> Vec<R> {
    let mut items = items.into_iter();
    let Some(first) = items.next() else {
        return Vec::new();
    };
    let work = &work;
    thread::scope(|scope| {
        let others: Vec<_> = items.map(|item| scope.spawn(move || work(item))).collect();
        let mut answers = vec![work(first)];
        for other in others {
            match other.join() {
                Ok(answer) => answers.push(answer),
                Err(panic) => resume_unwind(panic),
            }
        }
        answers
    })
}

#[cfg(test)]
mod tests {
    use std::thread::current;

    use super::*;

    #[test]
    fn answers_come_in_the_order_of_the_items_and_one_item_stays_on_its_thread() {
        let (here, work) = (current().id(), |item: u32| (item * item, current().id()));
        let answers = side_by_side([3, 1, 2], work);
        assert_eq!(
            answers.iter().map(|answer| answer.0).collect::<Vec<_>>(),
            [9, 1, 4]
        );
        let there = answers.iter().map(|answer| answer.1 == here);
        assert_eq!(there.collect::<Vec<_>>(), [true, false, false]);
        assert!(side_by_side(Vec::new(), work).is_empty());
    }
}
