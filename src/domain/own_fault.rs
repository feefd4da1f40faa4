//! Faults of our own: what keeps a request from being made at all, and is nobody's attempt.
//!
//! A fault is ours if no endpoint can mend it and it strikes whoever is next: no file handles, no
//! memory, no local ports, no resolver, no network. What strikes one endpoint alone is its own,
//! whatever it is called: a name that its servers do not answer for, an address that nobody routes
//! to. The exception is a secret key that this process lacks: it strikes the webhooks that were sealed
//! with it, and none of them can mend it. A fault that is taken for an endpoint's costs an attempt, of
//! which there are ten; one that is taken for ours is put off for ever. So in doubt it is the
//! endpoint's.

use std::fmt;
use std::time::{Duration, Instant};

/// What a request of ours lacked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum OwnFault {
    /// File handles: of this process, or of the whole machine.
    Handles,
    /// Memory for a socket.
    Memory,
    /// A free port of our own for one more connection.
    Ports,
    /// A resolver that answers.
    Resolver,
    /// A network.
    Network,
    /// The key that opens what is secret of a webhook.
    SecretKey,
}

impl OwnFault {
    /// The stable name in the log.
    pub fn name(self) -> &'static str {
        match self {
            Self::Handles => "no_file_handles",
            Self::Memory => "no_memory",
            Self::Ports => "no_local_ports",
            Self::Resolver => "no_resolver",
            Self::Network => "no_network",
            Self::SecretKey => "no_secret_key",
        }
    }
}

/// The cause and what mends it.
impl fmt::Display for OwnFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Handles => {
                "no file handles are left for requests: raise the limit of open files (ulimit -Hn, \
                 LimitNOFILE, --ulimit nofile), or run more workers"
            }
            Self::Memory => {
                "the system has no memory for another connection: give it more, or lower \
                 worker.max_in_flight"
            }
            Self::Ports => {
                "no local port is left for another connection: widen \
                 net.ipv4.ip_local_port_range, or run workers on more machines"
            }
            Self::Resolver => {
                "no name can be resolved: the DNS servers that this machine asks do not answer; \
                 see /etc/resolv.conf"
            }
            Self::Network => "this machine has no network: no route leads out of it",
            Self::SecretKey => {
                "webhooks are sealed with a secret key that this process does not have: add it to \
                 PRISM_SECRET_KEY, behind the first (`prism-webhooks secret-keys check` names them)"
            }
        })
    }
}

impl std::error::Error for OwnFault {}

/// The shortest that a delivery is put off for.
const SHORTEST: Duration = Duration::from_secs(2);

/// The longest: after it the end of an outage is noticed at the latest.
const LONGEST: Duration = Duration::from_secs(30);

/// An outage is over when requests went out and none failed by our fault for so long: while a few
/// find what most lack, it goes on.
const QUIET: Duration = Duration::from_secs(10);

/// An outage is over too when nothing was tried for so long: what was put off is wanted no more.
const LAPSE: Duration = Duration::from_secs(90);

/// What one fault of our own leads to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Hit {
    /// Whether it is the first of its kind in this outage.
    pub news: bool,
    /// How long the delivery is put off.
    pub delay: Duration,
}

/// An outage that is over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Over {
    /// From the first fault to the last.
    pub lasted: Duration,
    /// How many requests were not made.
    pub faults: u64,
}

/// Follows the outages: at most one at a time, however many faults it has.
#[derive(Debug, Clone, Default)]
pub struct Outages {
    current: Option<Outage>,
}

#[derive(Debug, Clone)]
struct Outage {
    since: Instant,
    last: Instant,
    faults: u64,
    /// Each kind that struck, the latest last.
    kinds: Vec<OwnFault>,
}

impl Outages {
    /// A request was not made, by `fault`.
    pub fn hit(&mut self, fault: OwnFault, now: Instant) -> Hit {
        let outage = self.current.get_or_insert_with(|| Outage {
            since: now,
            last: now,
            faults: 0,
            kinds: Vec::new(),
        });
        let news = !outage.kinds.contains(&fault);
        outage.kinds.retain(|kind| *kind != fault);
        outage.kinds.push(fault);
        outage.last = now;
        outage.faults += 1;
        let lasted = now.saturating_duration_since(outage.since);
        Hit {
            news,
            delay: (lasted / 2).clamp(SHORTEST, LONGEST),
        }
    }

    /// A request was made, whatever came of it. Says what is over by that.
    pub fn got_through(&mut self, now: Instant) -> Option<Over> {
        self.end_after(QUIET, now)
    }

    /// Time has passed. Says what is over by that.
    pub fn passed(&mut self, now: Instant) -> Option<Over> {
        self.end_after(LAPSE, now)
    }

    /// Returns what is lacking now, if anything.
    pub fn current(&self) -> Option<OwnFault> {
        self.current.as_ref()?.kinds.last().copied()
    }

    fn end_after(&mut self, quiet: Duration, now: Instant) -> Option<Over> {
        let outage = self
            .current
            .take_if(|outage| now.saturating_duration_since(outage.last) >= quiet)?;
        Some(Over {
            lasted: outage.last.saturating_duration_since(outage.since),
            faults: outage.faults,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(start: Instant, seconds: u64) -> Instant {
        start + Duration::from_secs(seconds)
    }

    #[test]
    fn the_delay_grows_with_the_outage_up_to_half_a_minute() {
        let (start, mut outages) = (Instant::now(), Outages::default());
        let delays = [0, 2, 8, 30, 60, 3600].map(|seconds| {
            let hit = outages.hit(OwnFault::Handles, at(start, seconds));
            hit.delay.as_secs()
        });
        assert_eq!(delays, [2, 2, 4, 15, 30, 30]);
    }

    #[test]
    fn each_kind_is_news_once_in_an_outage() {
        let (now, mut outages) = (Instant::now(), Outages::default());
        let kinds = [OwnFault::Handles, OwnFault::Resolver, OwnFault::Handles];
        let news = kinds.map(|fault| outages.hit(fault, now).news);
        assert_eq!(news, [true, true, false]);
        assert_eq!(outages.current(), Some(OwnFault::Handles));
    }

    #[test]
    fn an_outage_goes_on_while_some_requests_are_made_and_others_are_not() {
        let (start, mut outages) = (Instant::now(), Outages::default());
        for second in 0..60 {
            outages.hit(OwnFault::Ports, at(start, second));
            assert_eq!(outages.got_through(at(start, second)), None);
        }
        assert_eq!(outages.got_through(at(start, 68)), None);
        let over = outages.got_through(at(start, 69)).unwrap();
        assert_eq!((over.lasted.as_secs(), over.faults), (59, 60));
        assert_eq!(outages.current(), None);
        assert!(outages.hit(OwnFault::Ports, at(start, 70)).news);
    }

    #[test]
    fn an_outage_in_which_nothing_is_tried_any_more_lapses() {
        let (start, mut outages) = (Instant::now(), Outages::default());
        outages.hit(OwnFault::Network, start);
        assert_eq!(outages.passed(at(start, 89)), None);
        assert!(outages.passed(at(start, 90)).is_some());
    }
}
