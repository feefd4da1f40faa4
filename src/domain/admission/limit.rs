//! How many requests one receiver may have open: adaptive concurrency.
//!
//! As TCP finds a connection's window. It starts with a few, and each answer in good time makes
//! room for two more until the receiver's time grows with what it is given; from there on it grows
//! by one a round. A failure halves it, and so does an answer near to a timeout; a timeout takes it
//! down to one: at most once for the requests that were open together. What is measured is the receiver's time alone.

use std::time::{Duration, Instant};

/// So many requests may be open to a receiver of which nothing is known. Few, because that is also
/// what a receiver that hangs from the start holds.
pub const FIRST: u32 = 4;

/// Each answer in good time makes room for so many more, until the limit is found: it trebles each
/// round, since a burst is over in few rounds.
const STEP: f64 = 2.0;

/// What takes no longer than this part of a good time is no later for what the receiver was given
/// meanwhile. What takes longer may be, and so is the next round that it would make room for.
const SURE: f64 = 0.75;

/// So short a time is a good sign in any case: too many requests at once end before they are too late.
const SHORT: Duration = Duration::from_millis(250);

/// So late an answer is near to none at all.
pub const LONG: Duration = Duration::from_secs(3);

/// An answer that comes much too late takes so much of a request away: far above what a receiver can
/// take, a limit comes down by a tenth a round, and by one a round near it. Several workers, whose
/// requests wait for each other there, come to equal shares by that.
const LATE: f64 = 0.1;

/// After so long without need for it, a limit that was grown into is no longer known to hold.
const UNUSED: Duration = Duration::from_secs(10);

/// The limit of one receiver.
#[derive(Debug, Clone)]
pub struct Limit {
    most: f64,
    value: f64,
    /// Above this it grows by one a round only.
    threshold: f64,
    /// Whether more was not better: its room is known, and there is no more to be expected.
    found: bool,
    decreased_at: Option<Instant>,
    needed_at: Option<Instant>,
}

/// How an attempt ended, as far as it shows what the receiver can take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ended {
    /// Answered, and delivered.
    Delivered,
    /// Answered with a refusal, or not at all.
    Failed,
    /// Not answered in time.
    TimedOut,
}

impl Limit {
    /// The limit of a receiver of which nothing is known; never above `most`.
    pub fn new(most: u32) -> Self {
        let most = f64::from(most.max(1));
        Self {
            most,
            value: f64::from(FIRST).min(most),
            threshold: most,
            found: false,
            decreased_at: None,
            needed_at: None,
        }
    }

    /// So many requests may be open.
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "between 1 and a u32"
    )]
    pub fn now(&self) -> u32 {
        self.value as u32
    }

    /// So many may be before long: the bound while the limit still finds its way up.
    pub fn reach(&self) -> f64 {
        if self.found { self.value } else { self.most }
    }

    /// Whether the receiver has shown that it can take no more.
    pub fn is_found(&self) -> bool {
        self.found
    }

    /// A request begins, with so many open, itself included.
    pub fn began(&mut self, open: u32, now: Instant) {
        let unused = self.needed_at.is_some_and(|at| now > at + UNUSED);
        if unused && self.value > f64::from(FIRST) {
            *self = Self {
                decreased_at: self.decreased_at,
                ..Self::new(self.now_most())
            };
        }
        if f64::from(open) >= self.value.floor() {
            self.needed_at = Some(now);
        }
    }

    /// A request that `began` ended after `took`; up to `good` is good time for its receiver. `busy`
    /// says whether more would have been sent, had it been allowed.
    pub fn ended(
        &mut self,
        how: Ended,
        began: Instant,
        took: Duration,
        good: Duration,
        busy: bool,
    ) {
        match how {
            Ended::Delivered if !busy => {}
            Ended::Delivered if took <= good => {
                let more = if self.value < self.threshold && took <= good.mul_f64(SURE).max(SHORT) {
                    STEP
                } else {
                    1.0 / self.value
                };
                self.value = (self.value + more).min(self.most);
            }
            Ended::Delivered => self.late(good.as_secs_f64() / took.as_secs_f64(), began, took),
            Ended::Failed | Ended::TimedOut => self.decrease(how, began, began + took),
        }
    }

    /// What was late was so by itself, and not for what the receiver was given: the limit is to be
    /// found again.
    pub fn find_again(&mut self) {
        self.threshold = (4.0 * f64::from(FIRST)).min(self.most);
    }

    /// An answer came late: `share` of the time that it took would have been good.
    fn late(&mut self, share: f64, began: Instant, took: Duration) {
        self.found = true;
        let is_news = self.decreased_at.is_none_or(|at| began >= at);
        if took >= LONG && share < 0.5 && is_news {
            // So many wait there that the next may not be answered at all: each round by half, as far
            // as it takes.
            self.value = (self.value / 2.0).max(1.0);
            self.decreased_at = Some(began + took);
        } else {
            // It answers, if late: no reason to give it less than one of which nothing is known.
            let least = f64::from(FIRST).min(self.value);
            let less = (LATE * (1.0 - share)).max(1.0 / self.value);
            self.value = (self.value - less).max(least);
        }
        self.threshold = self.value;
    }

    /// Starts again from one, as after a pause that the receiver asked for.
    pub fn restart(&mut self) {
        self.threshold = (self.value / 2.0).max(f64::from(FIRST)).min(self.most);
        self.value = 1.0;
    }

    fn decrease(&mut self, how: Ended, began: Instant, now: Instant) {
        // Requests that were open together fail together: that is one sign, not many.
        if self.decreased_at.is_some_and(|at| began < at) {
            return;
        }
        self.found = true;
        self.threshold = (self.value / 2.0).max(2.0);
        self.value = match how {
            Ended::TimedOut => 1.0,
            _ => (self.value / 2.0).max(1.0),
        };
        self.decreased_at = Some(now);
    }

    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "it was made of a u32"
    )]
    fn now_most(&self) -> u32 {
        self.most as u32
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FAST: Duration = Duration::from_millis(150);

    fn ended(limit: &mut Limit, how: Ended, took: Duration) {
        limit.ended(how, Instant::now(), took, FAST, true);
    }

    #[test]
    fn it_trebles_each_round_while_the_receiver_keeps_its_time() {
        let mut limit = Limit::new(64);
        for expected in [12, 36, 64, 64] {
            for _ in 0..limit.now() {
                ended(&mut limit, Ended::Delivered, FAST);
            }
            assert_eq!(limit.now(), expected);
        }
    }

    #[test]
    fn it_settles_where_more_requests_only_wait_at_the_receiver() {
        // One at a time, 100 ms each: so many open take so many times as long.
        let fastest = Duration::from_millis(100);
        let mut limit = Limit::new(64);
        for _ in 0..200 {
            let took = fastest * limit.now();
            limit.ended(Ended::Delivered, Instant::now(), took, 2 * fastest, true);
        }
        assert_eq!(limit.now(), FIRST, "{limit:?}");
        assert!(limit.is_found());
    }

    #[test]
    fn far_above_what_a_receiver_can_take_it_comes_down_quickly() {
        let mut limit = Limit::new(64);
        for _ in 0..64 {
            ended(&mut limit, Ended::Delivered, FAST);
        }
        // Ten times too late, three rounds of them.
        for _ in 0..3 {
            for _ in 0..limit.now() {
                ended(&mut limit, Ended::Delivered, 10 * FAST);
            }
        }
        assert!((46..51).contains(&limit.now()), "{limit:?}");
    }

    #[test]
    fn what_is_not_needed_does_not_grow() {
        let mut limit = Limit::new(64);
        for _ in 0..100 {
            limit.ended(Ended::Delivered, Instant::now(), FAST, FAST, false);
        }
        assert_eq!(limit.now(), FIRST);
    }

    #[test]
    fn a_timeout_takes_it_down_to_one_and_requests_open_together_count_once() {
        let mut limit = Limit::new(64);
        let began = Instant::now();
        for _ in 0..4 {
            limit.ended(Ended::Failed, began, FAST, FAST, true);
        }
        assert_eq!(limit.now(), 2);
        let later = began + Duration::from_secs(1);
        limit.ended(Ended::TimedOut, later, 10 * FAST, FAST, true);
        assert_eq!(limit.now(), 1);
    }

    #[test]
    fn a_limit_that_nobody_needed_for_a_while_starts_again() {
        let mut limit = Limit::new(64);
        let start = Instant::now();
        for _ in 0..100 {
            ended(&mut limit, Ended::Delivered, FAST);
        }
        limit.began(64, start);
        assert_eq!(limit.now(), 64);
        limit.began(1, start + UNUSED + FAST);
        assert_eq!(limit.now(), FIRST);
    }
}
