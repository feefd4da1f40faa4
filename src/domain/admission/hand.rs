//! What waits in the worker: the lines of the receivers, how long they may be, and who gives way
//! when the hand is full.

use std::time::{Duration, Instant};

use super::receiver::May;
use super::{Admission, JobKind, Request, State, Ticket, WantedTimes, Why};

/// No line is longer than its receiver takes in this time. Waiting here costs little, and a burst
/// that fits is delivered sooner than by way of the delay queues.
pub(super) const LONGEST_LINE: Duration = Duration::from_secs(45);

/// A line that takes less than this, at its receiver's best, gives nothing up: it is this worker
/// that is slow, or soon done.
const SHORT_LINE: Duration = Duration::from_millis(500);

/// So many of those in line are put off from one [tick](Admission::pass_time) to the next, unless the
/// hand is full: a receiver that turns out to hang has a line of hundreds, and all of them put off at
/// once would keep this worker from everybody else's.
pub(super) const PUT_OFF_AT_ONCE: usize = 8;

impl Admission {
    /// Whether one more message of this kind may be taken from its queue.
    pub fn has_room(&self, kind: JobKind, now: Instant) -> bool {
        self.waiting[kind as usize] < self.bounds.hand || self.victim(kind, now).is_some()
    }

    /// Puts `ticket` at the end of its receiver's line, if that is not too long.
    pub(super) fn join_line(&mut self, ticket: Ticket, now: Instant) {
        let Request { receiver, kind, .. } = self.requests[ticket];
        let known = &self.receivers[receiver];
        if known.line_time(known.line.len() + 1, now) > LONGEST_LINE {
            return self.put_off(ticket, None, Why::Line, now);
        }
        if self.waiting[kind as usize] >= self.bounds.hand {
            match self.victim(kind, now) {
                Some(victim) if victim == receiver => {
                    return self.put_off(ticket, None, Why::Line, now);
                }
                Some(victim) => self.give_up_last(victim, kind, now),
                // Whoever takes messages asks for room first; a fan-out may be more than asked for.
                None => {}
            }
        }
        let tenant = self.receivers[receiver].tenant;
        self.receivers[receiver].line.push_back(ticket);
        self.lines.insert(receiver);
        self.waits(tenant, kind, 1);
    }

    /// A ticket that had been taken out of its receiver's line, and has to wait after all.
    pub(super) fn back_into_line(&mut self, ticket: Ticket) {
        let Request { receiver, kind, .. } = self.requests[ticket];
        self.requests[ticket].state = State::InLine;
        let tenant = self.receivers[receiver].tenant;
        self.receivers[receiver].line.push_front(ticket);
        self.lines.insert(receiver);
        self.waits(tenant, kind, 1);
    }

    /// Lets those at the head of a line begin, as many as their receiver may have.
    pub(super) fn pull(&mut self, receiver: usize, now: Instant) {
        loop {
            let known = &mut self.receivers[receiver];
            let Some(ticket) = known.line.front().copied() else {
                break;
            };
            let Request { kind, by_hand, .. } = self.requests[ticket];
            let may = known.may_begin(by_hand, now);
            let waits = match may {
                May::Begin => !self.has_lane_for(receiver),
                May::Paced | May::Wait | May::WaitAlone(..) => true,
                May::NotBefore(..) => false,
            };
            if may == May::Paced {
                self.want(receiver, now);
            }
            if waits || (matches!(may, May::NotBefore(..)) && !self.may_put_off()) {
                return;
            }
            let known = &mut self.receivers[receiver];
            known.line.pop_front();
            let tenant = known.tenant;
            self.waits(tenant, kind, -1);
            match may {
                May::NotBefore(until, why) => self.put_off(ticket, Some(until), why, now),
                _ => self.begin(ticket, now),
            }
        }
        self.lines.remove(&receiver);
    }

    /// Asks for times at which those in line may begin, if its pace has too few.
    pub(super) fn want(&mut self, receiver: usize, now: Instant) {
        let known = &mut self.receivers[receiver];
        if let Some((rate, count)) = known.wants(now) {
            let webhook = known.key.clone();
            self.wanted.push(WantedTimes {
                webhook,
                rate,
                count,
            });
        }
    }

    /// Puts off the end of a line that has become too long.
    pub(super) fn shorten(&mut self, receiver: usize, now: Instant) {
        loop {
            let known = &mut self.receivers[receiver];
            if known.line_time(known.line.len(), now) <= LONGEST_LINE || !self.may_put_off() {
                return;
            }
            let Some(ticket) = self.receivers[receiver].line.pop_back() else {
                return;
            };
            let tenant = self.receivers[receiver].tenant;
            let kind = self.requests[ticket].kind;
            self.waits(tenant, kind, -1);
            self.put_off(ticket, None, Why::Line, now);
        }
    }

    /// Whether one more of those in line may be put off before time passes; uses that up.
    fn may_put_off(&mut self) -> bool {
        let left = self.to_put_off.checked_sub(1);
        self.to_put_off = left.unwrap_or(0);
        left.is_some()
    }

    /// The receiver whose line gives way when the hand is full of this kind: the longest in time of
    /// the organization that has most in hand. What is left alone does so however short its line is,
    /// and so does what is slow, or may be, and finds the slow lane full: nobody knows when that ends.
    fn victim(&self, kind: JobKind, now: Instant) -> Option<usize> {
        let weighed = self.lines.iter().filter_map(|index| {
            let receiver = &self.receivers[*index];
            let stands_still = receiver.is_left_alone(now) || self.is_slow_lane_full_for(*index);
            let time = match stands_still {
                true => LONGEST_LINE,
                false => receiver.line_time_at_best(now, self.lag)?,
            };
            let gives_way = time > SHORT_LINE && self.last_in_line(*index, kind).is_some();
            let in_hand = self.tenants[receiver.tenant].waiting[kind as usize];
            gives_way.then_some((in_hand, time, *index))
        });
        weighed.max().map(|(_, _, index)| index)
    }

    /// Where in the line the last of this kind stands.
    fn last_in_line(&self, receiver: usize, kind: JobKind) -> Option<usize> {
        let line = &self.receivers[receiver].line;
        line.iter()
            .rposition(|ticket| self.requests[*ticket].kind == kind)
    }

    fn give_up_last(&mut self, receiver: usize, kind: JobKind, now: Instant) {
        let Some(position) = self.last_in_line(receiver, kind) else {
            return;
        };
        let known = &mut self.receivers[receiver];
        let Some(ticket) = known.line.remove(position) else {
            return;
        };
        let tenant = known.tenant;
        self.waits(tenant, kind, -1);
        self.put_off(ticket, None, Why::Line, now);
    }
}
