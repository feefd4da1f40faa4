//! What a client of the port may take: places, and time.

use std::time::Duration;

/// What clients of the port may take.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PortLimits {
    /// The most connections at once.
    pub connections: usize,
    /// The most of them that have shown no token yet.
    pub unauthenticated: usize,
    /// How long a connection may stay without a request.
    pub idle: Duration,
    /// How long the head of a request may take, from its first byte.
    pub head: Duration,
    /// How long the body of a request may take; what has come of it prolongs that, at `body_rate`.
    pub body: Duration,
    /// The bytes of a body that must come in each second beyond that.
    pub body_rate: u64,
    /// How long a client may take none of an answer that waits for it.
    pub taking: Duration,
}

impl PortLimits {
    /// The largest head of a request, in bytes: what is larger is refused with 431.
    pub(super) const HEAD: usize = 32 * 1024;

    /// The most bytes that a connection buffers of what it reads, and of what it writes.
    pub(super) const BUFFER: usize = 64 * 1024;

    /// The usual limits, for so many connections at once. Half of them may have shown no token, so
    /// that those who have find a place.
    pub fn usual(connections: usize) -> Self {
        let connections = connections.max(1);
        Self {
            connections,
            unauthenticated: (connections / 2).max(1),
            idle: Duration::from_secs(75),
            head: Duration::from_secs(15),
            body: Duration::from_secs(30),
            body_rate: 64 * 1024,
            taking: Duration::from_secs(30),
        }
    }

    /// How long a body of which so many bytes have come may take from its beginning.
    pub(super) fn body_time(&self, received: u64) -> Duration {
        let prolonged = Duration::from_secs(received / self.body_rate.max(1));
        self.body.saturating_add(prolonged)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_comes_at_the_least_rate_is_never_late() {
        let limits = PortLimits::usual(10);
        assert_eq!(limits.body_time(0), limits.body);
        assert_eq!(limits.body_time(limits.body_rate - 1), limits.body);
        let whole = limits.body_time(16 << 20);
        assert_eq!(whole, limits.body + Duration::from_secs(256));
    }

    #[test]
    fn somebody_without_a_token_always_finds_a_place() {
        for connections in [0, 1, 2, 2048] {
            let limits = PortLimits::usual(connections);
            assert!(limits.unauthenticated >= 1, "{connections}");
            assert!(limits.unauthenticated <= limits.connections);
        }
    }
}
