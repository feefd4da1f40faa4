//! The file handles of a process: as many as may be had, and who gets which.
//!
//! A worker that runs out of handles cannot post to anybody, so nothing that others do, many idle
//! connections to the port or many endpoints, may take those that requests need.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use crate::config::Config;

/// Kept for what is neither request nor port: standard streams and the runtime, the log, the
/// connections to RabbitMQ and Redis with those of jobs and commands, or SQLite's files; and the
/// files that a lookup of a name opens for a moment.
const RESERVE: usize = 64;

/// The most connections that the port takes at once, where handles are plenty.
const PORT_WANTED: usize = 2048;

/// The most connections that are kept open while idle, to all endpoints together.
const IDLE_WANTED: usize = 65_536;

/// The fewest connections that the port takes at once, where handles are few.
const PORT_LEAST: usize = 16;

/// What a process does, and so who needs handles.
#[derive(Debug, Clone, Copy)]
pub struct Demand {
    /// The requests that may be open at once, to any endpoint.
    pub requests: usize,
    /// Whether there is a port.
    pub port: bool,
}

/// Who gets how many handles.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shares {
    /// Requests open at once.
    pub requests: usize,
    /// Connections to the port.
    pub port: usize,
    /// Connections to endpoints that may be kept for the next request.
    pub idle: usize,
}

/// Divides `limit` handles. Requests come first, up to half of what there is: a port that is full
/// turns somebody away, and a connection that is not kept costs a handshake; a request that is not
/// made is late. The sum of the shares and the reserve is at most `limit`, if that is at least 128.
pub fn divide(limit: usize, wanted: Demand) -> Shares {
    let free = limit.saturating_sub(RESERVE.min(limit / 2));
    let requests = wanted.requests.min(free / 2).max(1);
    let left = free.saturating_sub(requests);
    let port = match wanted.port {
        true => PORT_WANTED.min(left / 2).max(PORT_LEAST),
        false => 0,
    };
    Shares {
        requests,
        port,
        idle: IDLE_WANTED.min(left.saturating_sub(port)),
    }
}

/// Shares out the handles that a process with these settings may have, with a port or without.
/// Warns where that is less than the settings want.
pub fn shares(config: &Config, port: bool) -> Shares {
    let limit = getrlimit(Resource::Nofile).current;
    let limit = limit.map_or(usize::MAX, to_size);
    let wanted = Demand {
        requests: config.worker.max_in_flight + config.worker.max_slow,
        port,
    };
    let shares = divide(limit, wanted);
    warn_if_short(limit, wanted, shares);
    shares
}

/// Divides so many requests into those of the quick lane and those of the slow lane: where they are
/// few, a half is for the first moment of each.
pub fn lanes(config: &Config, requests: usize) -> (usize, usize) {
    let (quick, slow) = (config.worker.max_in_flight, config.worker.max_slow);
    if requests >= quick + slow {
        return (quick, slow);
    }
    let quick = quick.min(requests.div_ceil(2)).max(1);
    (quick, slow.min(requests.saturating_sub(quick)).max(1))
}

/// Raises the soft limit of open files to the hard one. The soft one is there for programs that put
/// files into a set of fixed size (`select`), which this one does not.
pub fn raise() {
    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit {
        current: limit.maximum,
        maximum: limit.maximum,
    };
    let current = match setrlimit(Resource::Nofile, raised) {
        Ok(()) => raised.current,
        Err(error) => {
            tracing::warn!(%error, "the limit of open files cannot be raised");
            limit.current
        }
    };
    // None is no limit.
    let handles = current.map_or(usize::MAX, to_size);
    let before = limit.current.map_or(usize::MAX, to_size);
    tracing::info!(handles, before, "so many files may be open");
}

fn to_size(limit: u64) -> usize {
    usize::try_from(limit).unwrap_or(usize::MAX)
}

/// Says so where `shares` are less than was `wanted`.
fn warn_if_short(limit: usize, wanted: Demand, shares: Shares) {
    if shares.requests < wanted.requests {
        tracing::warn!(
            limit,
            "only {} requests can be open at once, and not {} as worker.max_in_flight and \
             worker.max_slow want, for so few files may be open: raise the hard limit (ulimit -Hn, LimitNOFILE, --ulimit \
             nofile) to {} or more",
            shares.requests,
            wanted.requests,
            RESERVE + 4 * wanted.requests,
        );
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn run(requests: usize) -> Demand {
        Demand {
            requests,
            port: true,
        }
    }

    #[test]
    fn where_handles_are_plenty_everybody_gets_what_is_wanted() {
        let shares = divide(1 << 20, run(256));
        let expected = Shares {
            requests: 256,
            port: PORT_WANTED,
            idle: IDLE_WANTED,
        };
        assert_eq!(shares, expected);
    }

    #[test]
    fn of_few_handles_requests_get_half() {
        let shares = divide(200, run(256));
        let expected = Shares {
            requests: 68,
            port: 34,
            idle: 34,
        };
        assert_eq!(shares, expected);
    }

    #[test]
    fn without_a_port_its_share_is_for_idle_connections() {
        let wanted = Demand {
            requests: 256,
            port: false,
        };
        let shares = divide(200, wanted);
        assert_eq!((shares.port, shares.idle), (0, 68));
    }

    proptest! {
        #[test]
        fn no_more_is_given_than_there_is(
            limit in 128_usize..2_000_000, requests in 1_usize..70_000, port: bool,
        ) {
            let shares = divide(limit, Demand { requests, port });
            prop_assert!(shares.requests >= 1 && shares.requests <= requests);
            prop_assert!(shares.requests + shares.port + shares.idle + RESERVE <= limit);
        }
    }
}
