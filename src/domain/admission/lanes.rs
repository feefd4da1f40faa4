//! The places of the worker's at work: who gets one, who moves over to the slow lane, who waits.

use std::time::Instant;

use super::places::Lane;
use super::receiver::May;
use super::{Admission, Answer, MOMENT, Request, State, Ticket};

impl Admission {
    /// Whether there is a lane for one more request to this receiver, if not at once, then as soon as
    /// it is its organization's turn. One that is slow needs a place in the slow lane. One that has
    /// never answered may turn out to be, and keeps its place in the quick lane if there is none: so
    /// it needs one too, or it is tried with a single request, and all such requests together take
    /// no more than half of the quick lane. Who has answered before finds the rest.
    pub(super) fn has_lane_for(&self, receiver: usize) -> bool {
        let known = &self.receivers[receiver];
        let tenant = &self.tenants[known.tenant];
        if known.is_slow() {
            return self.slow.has_room_for(tenant.slow);
        }
        known.has_answered()
            || !self.is_slow_lane_full_for(receiver)
            || (known.open == 0 && 2 * self.trials < self.quick.all())
    }

    /// Whether a request to this receiver would find no place in the slow lane, if it needs one or
    /// may turn out to.
    pub(super) fn is_slow_lane_full_for(&self, receiver: usize) -> bool {
        let known = &self.receivers[receiver];
        let used = self.tenants[known.tenant].slow;
        match known.is_slow() {
            true => !self.slow.has_room_for(used),
            false => !known.has_answered() && !self.slow.has_room_beside(self.trials, used),
        }
    }

    /// Its receiver may have one more request, and there is a lane for it: gives it a place, or a
    /// turn.
    pub(super) fn begin(&mut self, ticket: Ticket, now: Instant) {
        let Request { receiver, kind, .. } = self.requests[ticket];
        let known = &mut self.receivers[receiver];
        let (tenant, slow) = (known.tenant, known.is_slow());
        known.opens(now);
        if slow {
            return self.go(ticket, Lane::Slow, now);
        }
        let free = self.quick.has_room_for(self.tenants[tenant].quick);
        if free && !self.turns.has(tenant) {
            return self.go(ticket, Lane::Quick, now);
        }
        self.requests[ticket].state = State::Ready;
        self.waits(tenant, kind, 1);
        self.turns.push(tenant, kind, ticket);
    }

    pub(super) fn go(&mut self, ticket: Ticket, lane: Lane, now: Instant) {
        let request = &mut self.requests[ticket];
        let receiver = &mut self.receivers[request.receiver];
        let tenant = &mut self.tenants[receiver.tenant];
        match lane {
            Lane::Quick => {
                self.quick.take();
                tenant.quick += 1;
                request.trial = !receiver.has_answered();
                self.trials += usize::from(request.trial);
            }
            Lane::Slow => {
                self.slow.take();
                tenant.slow += 1;
            }
        }
        receiver.began(now);
        request.moves = receiver.moves;
        self.serial += 1;
        let serial = self.serial;
        let began = now;
        request.state = State::Open {
            began,
            serial,
            lane,
        };
        self.moments.push_back((now + MOMENT, ticket, serial));
        self.answers.push((ticket, Answer::Go));
    }

    pub(super) fn give_back(&mut self, lane: Lane, tenant: usize, trial: bool) {
        self.trials -= usize::from(trial);
        match lane {
            Lane::Quick => {
                self.quick.give_back();
                self.tenants[tenant].quick -= 1;
            }
            Lane::Slow => {
                self.slow.give_back();
                self.tenants[tenant].slow -= 1;
                for (ticket, serial) in std::mem::take(&mut self.stuck) {
                    self.move_over(ticket, serial);
                }
            }
        }
    }

    /// Gives places in the quick lane to those whose turn it is.
    pub(super) fn take_turns(&mut self, now: Instant) {
        loop {
            let (quick, tenants) = (&self.quick, &self.tenants);
            let may = |tenant: usize| quick.has_room_for(tenants[tenant].quick);
            let Some(ticket) = self.turns.next(may) else {
                return;
            };
            let Request {
                receiver,
                kind,
                by_hand,
                ..
            } = self.requests[ticket];
            let known = &mut self.receivers[receiver];
            self.tenants[known.tenant].waiting[kind as usize] -= 1;
            self.waiting[kind as usize] -= 1;
            // It may have been shut meanwhile, or the slow lane is full. What is open counts this one too.
            known.open -= 1;
            // A time of its pace it has already.
            match known.may_begin(by_hand, now) {
                May::Begin | May::Paced if self.has_lane_for(receiver) => {
                    self.receivers[receiver].open += 1;
                    self.go(ticket, Lane::Quick, now);
                }
                May::Begin | May::Paced | May::Wait | May::WaitAlone(..) => {
                    self.back_into_line(ticket);
                }
                May::NotBefore(until, why) => self.put_off(ticket, Some(until), why, now),
            }
        }
    }

    /// Moves on what is open for longer than a moment.
    pub(super) fn pass_moments(&mut self, now: Instant) {
        let mut moved = false;
        while let Some((due, ticket, serial)) = self.moments.front().copied() {
            if due > now {
                break;
            }
            self.moments.pop_front();
            let Some(request) = self.requests.get(ticket) else {
                continue;
            };
            if let State::Open {
                began,
                serial: open,
                ..
            } = request.state
                && open == serial
            {
                let known = &mut self.receivers[request.receiver];
                if known.moves == request.moves {
                    known.overdue(began, ticket);
                }
                self.move_over(ticket, serial);
                moved = true;
            }
        }
        if moved {
            self.take_turns(now);
        }
    }

    /// Moves an open request to the slow lane, if there is room for it.
    pub(super) fn move_over(&mut self, ticket: Ticket, serial: u64) {
        let Some(request) = self.requests.get_mut(ticket) else {
            return;
        };
        let State::Open {
            began,
            serial: open,
            lane: Lane::Quick,
        } = request.state
        else {
            return;
        };
        if open != serial {
            return;
        }
        let tenant = &mut self.tenants[self.receivers[request.receiver].tenant];
        if !self.slow.has_room_for(tenant.slow) {
            return self.stuck.push((ticket, serial));
        }
        self.slow.take();
        self.quick.give_back();
        tenant.slow += 1;
        tenant.quick -= 1;
        self.trials -= usize::from(std::mem::take(&mut request.trial));
        let lane = Lane::Slow;
        request.state = State::Open {
            began,
            serial,
            lane,
        };
    }
}
