//! Who is next when a place in the quick lane is free: organizations by turns, and within one, what
//! comes from events and what comes as a message of its own by turns too. Nobody starves, and who
//! has little to send never waits behind all that somebody else has.

use std::collections::VecDeque;

use super::{JobKind, Ticket};

/// What waits for a place, by organization.
#[derive(Debug, Default)]
pub struct Turns {
    /// The organizations with something waiting, the next first.
    round: VecDeque<usize>,
    queues: Vec<Queue>,
}

#[derive(Debug, Default)]
struct Queue {
    waiting: [VecDeque<Ticket>; 2],
    /// Which kind was taken last.
    last: usize,
}

impl Turns {
    /// Puts `ticket` of the organization number `tenant` at the end of its kind.
    pub fn push(&mut self, tenant: usize, kind: JobKind, ticket: Ticket) {
        if self.queues.len() <= tenant {
            self.queues.resize_with(tenant + 1, Queue::default);
        }
        if self.queues[tenant].is_empty() {
            self.round.push_back(tenant);
        }
        self.queues[tenant].waiting[kind as usize].push_back(ticket);
    }

    /// Takes the next whose organization `may` have a place.
    pub fn next(&mut self, may: impl Fn(usize) -> bool) -> Option<Ticket> {
        for _ in 0..self.round.len() {
            let tenant = self.round.pop_front()?;
            if !may(tenant) {
                self.round.push_back(tenant);
                continue;
            }
            let ticket = self.queues[tenant].take();
            if !self.queues[tenant].is_empty() {
                self.round.push_back(tenant);
            }
            return ticket;
        }
        None
    }

    /// Takes `ticket` out.
    pub fn remove(&mut self, tenant: usize, kind: JobKind, ticket: Ticket) {
        let queue = &mut self.queues[tenant];
        queue.waiting[kind as usize].retain(|one| *one != ticket);
        if queue.is_empty() {
            self.round.retain(|one| *one != tenant);
        }
    }

    /// Whether something of the organization waits.
    pub fn has(&self, tenant: usize) -> bool {
        self.queues
            .get(tenant)
            .is_some_and(|queue| !queue.is_empty())
    }
}

impl Queue {
    fn is_empty(&self) -> bool {
        self.waiting.iter().all(VecDeque::is_empty)
    }

    fn take(&mut self) -> Option<Ticket> {
        let other = 1 - self.last;
        let kind = if self.waiting[other].is_empty() {
            self.last
        } else {
            other
        };
        self.last = kind;
        self.waiting[kind].pop_front()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(turns: &mut Turns) -> Vec<Ticket> {
        std::iter::from_fn(|| turns.next(|_| true)).collect()
    }

    #[test]
    fn organizations_and_kinds_take_turns() {
        let mut turns = Turns::default();
        for ticket in 0..4 {
            turns.push(0, JobKind::Message, ticket);
        }
        turns.push(0, JobKind::Event, 10);
        turns.push(1, JobKind::Event, 20);
        assert_eq!(all(&mut turns), [0, 20, 10, 1, 2, 3]);
        assert!(!turns.has(0) && !turns.has(1));
    }

    #[test]
    fn who_may_not_is_passed_over_and_keeps_its_turn() {
        let mut turns = Turns::default();
        turns.push(0, JobKind::Event, 1);
        turns.push(1, JobKind::Event, 2);
        assert_eq!(turns.next(|tenant| tenant == 1), Some(2));
        assert_eq!(turns.next(|tenant| tenant == 1), None);
        assert_eq!(turns.next(|_| true), Some(1));
    }

    #[test]
    fn what_is_taken_out_has_no_turn() {
        let mut turns = Turns::default();
        turns.push(0, JobKind::Event, 1);
        turns.remove(0, JobKind::Event, 1);
        assert_eq!(turns.next(|_| true), None);
    }
}
