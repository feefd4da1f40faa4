//! Keys that must go together (mistakes), and pairs that are allowed but dangerous (warnings).

use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

use ipnet::IpNet;

use super::mistake::{Mistake, Source, Warning};
use super::reader::Entry;
use super::settings::{Config, Retry};
use super::units::print_duration;

/// One value must not be above another.
struct Rule {
    low: &'static str,
    high: &'static str,
    holds: bool,
    relation: &'static str,
    why: &'static str,
}

fn rules(c: &Config) -> Vec<Rule> {
    let at_most = |low, high, holds, why| Rule {
        low,
        high,
        holds,
        relation: "at most",
        why,
    };
    vec![
        at_most(
            "retry.initial",
            "retry.max_delay",
            c.retry.initial <= c.retry.max_delay,
            "the first delay is already the longest",
        ),
        at_most(
            "retry.max_delay",
            "delay.longest",
            c.retry.max_delay <= c.delay.longest,
            "no delay queue could hold the delivery so long",
        ),
        at_most(
            "send.connect_timeout",
            "send.timeout",
            c.send.connect_timeout <= c.send.timeout,
            "connecting is a part of the attempt",
        ),
        at_most(
            "send.keep_limit",
            "send.read_limit",
            c.send.keep_limit <= c.send.read_limit,
            "only what is read can be recorded",
        ),
        at_most(
            "worker.webhook_max_in_flight",
            "worker.max_in_flight",
            c.worker.webhook_max_in_flight <= c.worker.max_in_flight,
            "one webhook cannot have more requests open than the worker has",
        ),
        at_most(
            "worker.max_in_flight",
            "worker.prefetch",
            c.worker.max_in_flight <= usize::from(c.worker.prefetch),
            "every request needs a message that was taken from RabbitMQ",
        ),
        Rule {
            low: "delay.longest",
            high: "delivery_log.deliveries_kept",
            holds: c.delay.longest < c.delivery_log.deliveries_kept,
            relation: "shorter than",
            why: "a delivery's record must outlive its longest delay",
        },
    ]
}

/// The rules that are broken. Rules about a key that is wrong in itself are left out: there is
/// nothing to compare.
pub(super) fn cross_check(config: &Config, entries: &[Entry]) -> Vec<Mistake> {
    let find = |path| {
        entries
            .iter()
            .find(|entry| entry.path == path && entry.sound)
    };
    let broken = rules(config).into_iter().filter(|rule| !rule.holds);
    let mistakes = broken.filter_map(|rule| {
        let (low, high) = (find(rule.low)?, find(rule.high)?);
        // A default is nobody's mistake: name the key that was set, where only one was.
        let (blamed, other, relation) = match (&low.source, rule.relation) {
            (Source::Default, "at most") => (high, low, "at least"),
            (Source::Default, _) => (high, low, "longer than"),
            (_, relation) => (low, high, relation),
        };
        Some(Mistake {
            key: blamed.path.into(),
            source: blamed.source.clone(),
            value: blamed.value.as_ref().map(ToString::to_string),
            reason: format!(
                "must be {relation} {} ({}, {}): {}; lower {} or raise {}",
                other.path,
                other
                    .value
                    .as_ref()
                    .map(ToString::to_string)
                    .unwrap_or_default(),
                other.source,
                rule.why,
                low.path,
                high.path,
            ),
        })
    });
    mistakes.collect()
}

/// How long the last attempt comes after the first if every one fails, jitter left out.
fn span(retry: &Retry) -> Duration {
    let longest = retry.max_delay.as_secs_f64();
    let delays = std::iter::successors(Some(retry.initial.as_secs_f64()), |delay| {
        Some((delay * retry.factor).min(longest))
    });
    // At most 99 delays of at most 7 days: far from overflow.
    Duration::from_secs_f64(
        delays
            .take(retry.max_attempts as usize - 1)
            .sum::<f64>()
            .round(),
    )
}

/// Warns of what is allowed and likely to be regretted.
pub(super) fn warnings(c: &Config) -> Vec<Warning> {
    let each = [
        unencrypted(c),
        half_of_the_servers(c),
        open_to_all(c),
        too_far(c),
        cut_off(c),
        much_memory(c),
        disabled_early(c),
    ];
    each.into_iter().flatten().collect()
}

fn warn(keys: &[&'static str], reason: impl Into<String>) -> Warning {
    Warning {
        keys: keys.into(),
        reason: reason.into(),
    }
}

fn unencrypted(c: &Config) -> Option<Warning> {
    let reason = "is not set: the webhooks' secrets, values of headers and queries of URLs are stored unencrypted; make a key with openssl rand -hex 32";
    c.secret_key
        .is_empty()
        .then(|| warn(&["secret_key"], reason))
}

/// `topology` and `publish` need RabbitMQ alone, so that one may be enough; it was hardly meant.
fn half_of_the_servers(c: &Config) -> Option<Warning> {
    let (keys, missing) = match (&c.amqp.url, &c.redis.url) {
        (Some(_), None) => (&["amqp.url"], "redis.url"),
        (None, Some(_)) => (&["redis.url"], "amqp.url"),
        _ => return None,
    };
    let reason = format!(
        "is set and {missing} is not: run, api and worker need both, or neither to be embedded"
    );
    Some(warn(keys, reason))
}

/// A worker does not listen, and may have the settings of those that do.
fn open_to_all(c: &Config) -> Option<Warning> {
    (c.api.token.is_empty() && !c.listen.ip().is_loopback()).then(|| {
        let reason = "can be reached from other machines, and api.token is not set: run and api do not \
                      start so; make a token with openssl rand -hex 32";
        warn(&["listen"], reason)
    })
}

/// Whoever may create a webhook can make a worker post to whatever is allowed.
fn too_far(c: &Config) -> Option<Warning> {
    /// Where cloud providers hand out a machine's credentials.
    const METADATA: IpAddr = IpAddr::V4(Ipv4Addr::new(169, 254, 169, 254));
    let keys = &["allow_networks"];
    if c.allow_networks
        .iter()
        .any(|network| network.prefix_len() == 0)
    {
        return Some(warn(
            keys,
            "allows every address: whoever may create a webhook can reach this network's own servers",
        ));
    }
    let names_metadata =
        |networks: &[IpNet]| networks.iter().any(|network| network.contains(&METADATA));
    let has_metadata = names_metadata(&c.allow_networks) && !names_metadata(&c.deny_networks);
    has_metadata.then(|| {
        let reason = format!(
            "allows {METADATA}, where clouds hand out a machine's credentials; allow smaller networks"
        );
        warn(keys, reason)
    })
}

fn cut_off(c: &Config) -> Option<Warning> {
    (c.worker.grace < c.send.timeout).then(|| {
        let reason = format!(
            "an attempt may take {}, a worker that stops waits {}: requests are cut off and repeated; make the grace longer",
            print_duration(c.send.timeout),
            print_duration(c.worker.grace),
        );
        warn(&["worker.grace", "send.timeout"], reason)
    })
}

fn much_memory(c: &Config) -> Option<Warning> {
    /// A worker that may hold more than this in unsettled events deserves a second look.
    const MUCH_MEMORY: usize = 2 << 30;
    let prefetch = usize::from(c.worker.prefetch);
    let memory = c.max_event_size.saturating_mul(prefetch);
    (memory > MUCH_MEMORY).then(|| {
        let mib = memory >> 20;
        let reason = format!("a worker may hold {mib} MiB of events in memory; lower one of them");
        warn(&["max_event_size", "worker.prefetch"], reason)
    })
}

fn disabled_early(c: &Config) -> Option<Warning> {
    let span = span(&c.retry);
    (span > c.disable.after).then(|| {
        let reason = format!(
            "the attempts spread over {}: a webhook that fails is disabled before they end",
            print_duration(span)
        );
        warn(&["retry.max_attempts", "disable.after"], reason)
    })
}
