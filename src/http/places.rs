//! How many connections may be kept for later requests, over all endpoints.
//!
//! The client's pool has a limit for each endpoint and none in all: a hundred endpoints keep a
//! hundred handles that nobody uses. So an endpoint has as many places in the pool as it has had
//! requests open at once, while there are places left. A request without one goes over a connection
//! of its own, which is closed behind it.

use std::collections::HashMap;
use std::time::{Duration, Instant};

/// The places, and who has them.
#[derive(Debug)]
pub(super) struct Places {
    most: usize,
    taken: usize,
    /// After so long the pool has closed a connection that was not used.
    kept_for: Duration,
    endpoints: HashMap<Box<str>, Endpoint>,
}

#[derive(Debug, Default)]
struct Endpoint {
    places: usize,
    open: usize,
    last: Option<Instant>,
}

impl Places {
    /// `most` places, each taken until it has not been used for `kept_for`.
    pub fn new(most: usize, kept_for: Duration) -> Self {
        Self {
            most,
            taken: 0,
            kept_for,
            endpoints: HashMap::new(),
        }
    }

    /// A request to `endpoint` begins. Whether it has a place, which is to be [left](Self::leave).
    pub fn enter(&mut self, endpoint: &str, now: Instant) -> bool {
        let held = self.endpoints.get_mut(endpoint);
        if let Some(held) = held.filter(|held| held.open < held.places) {
            held.open += 1;
            return true;
        }
        if self.taken >= self.most {
            self.free_unused(now);
        }
        if self.taken >= self.most {
            return false;
        }
        self.taken += 1;
        let held = self.endpoints.entry(endpoint.into()).or_default();
        held.places += 1;
        held.open += 1;
        true
    }

    /// A request to `endpoint` that had a place has ended.
    pub fn leave(&mut self, endpoint: &str, now: Instant) {
        if let Some(held) = self.endpoints.get_mut(endpoint) {
            held.open = held.open.saturating_sub(1);
            held.last = Some(now);
        }
    }

    fn free_unused(&mut self, now: Instant) {
        let kept_for = self.kept_for;
        self.endpoints.retain(|_, held| {
            let unused = held.last.is_none_or(|last| now - last > kept_for);
            held.open > 0 || !unused
        });
        self.taken = self.endpoints.values().map(|held| held.places).sum();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEPT: Duration = Duration::from_secs(60);

    #[test]
    fn a_place_is_used_again_by_its_endpoint_and_by_no_other() {
        let (now, mut places) = (Instant::now(), Places::new(2, KEPT));
        assert!(places.enter("a", now) && places.enter("b", now));
        assert!(!places.enter("a", now) && !places.enter("c", now));
        places.leave("a", now);
        assert!(!places.enter("c", now), "its connection is still kept");
        assert!(places.enter("a", now));
    }

    #[test]
    fn what_was_not_used_for_long_is_free_for_others() {
        let (now, mut places) = (Instant::now(), Places::new(2, KEPT));
        assert!(places.enter("a", now) && places.enter("b", now));
        places.leave("a", now);
        let later = now + KEPT + Duration::from_secs(1);
        assert!(places.enter("c", later));
        assert!(!places.enter("a", later), "the request to b is still open");
    }

    #[test]
    fn without_places_nothing_is_kept() {
        assert!(!Places::new(0, KEPT).enter("a", Instant::now()));
    }
}
