//! The worker's own places for requests, and how organizations share them.
//!
//! A request has a place in the *quick lane* for its first moment only. One that is still open then
//! moves to the *slow lane*, which is larger and bounded as well, and gives its place back: a
//! request that waits costs memory and a socket, and not the work of others.
//!
//! In either lane an organization may take so many times what is still free. One that is alone has
//! nearly all of it, two have nearly half each, and whoever comes next finds something free.

/// One of the two lanes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lane {
    /// For the first moment of a request.
    Quick,
    /// For what is open longer.
    Slow,
}

/// So many times what is free may be one organization's: seven eighths of the quick lane at most.
const QUICK_SHARE: usize = 7;

/// Three quarters of the slow lane at most: what is slow stays, and leaves room for others only
/// after a long time.
const SLOW_SHARE: usize = 3;

/// The places of one lane.
#[derive(Debug, Clone)]
pub struct Places {
    all: usize,
    share: usize,
    used: usize,
}

impl Places {
    /// So many places in this lane; at least one.
    pub fn new(lane: Lane, all: usize) -> Self {
        let share = match lane {
            Lane::Quick => QUICK_SHARE,
            Lane::Slow => SLOW_SHARE,
        };
        Self {
            all: all.max(1),
            share,
            used: 0,
        }
    }

    /// Whether an organization that uses so many of them may take one more.
    pub fn has_room_for(&self, one_that_uses: usize) -> bool {
        one_that_uses < self.share.saturating_mul(self.all - self.used)
    }

    /// Takes one; there has to be room.
    pub fn take(&mut self) {
        self.used += 1;
    }

    /// Gives one back.
    pub fn give_back(&mut self) {
        self.used -= 1;
    }

    /// How many are taken.
    pub fn used(&self) -> usize {
        self.used
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// How many an organization gets that takes all it can.
    fn take_all(places: &mut Places) -> usize {
        let mut taken = 0;
        while places.has_room_for(taken) {
            places.take();
            taken += 1;
        }
        taken
    }

    #[test]
    fn whoever_comes_next_finds_something_free() {
        let mut places = Places::new(Lane::Quick, 256);
        assert_eq!(take_all(&mut places), 224);
        assert_eq!(take_all(&mut places), 28);
        assert!(take_all(&mut places) > 0);
        assert!(places.used() <= 256);
    }

    #[test]
    fn a_single_place_can_be_taken() {
        for lane in [Lane::Quick, Lane::Slow] {
            let mut places = Places::new(lane, 1);
            assert_eq!(take_all(&mut places), 1);
            assert!(!places.has_room_for(0));
        }
    }
}
