//! Whether the resolver answers, as far as the lookups tell.
//!
//! `getaddrinfo` says `EAI_AGAIN` when no DNS server answers, and when one answers that the servers
//! of this very name are broken. The first is our own fault, the second the endpoint's; taken for
//! ours, it would put its deliveries off for ever and tell the whole deployment that it cannot
//! deliver. What tells them apart is another name: names that resolved before are kept as witnesses
//! and asked again. While nothing was ever answered there are none; then two names without an
//! answer say that it is not the names.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// How many names are kept that resolved.
const KEPT: usize = 16;

/// How many of them are asked.
const ASKED: usize = 3;

/// What the lookups of this process tell about the resolver.
#[derive(Debug, Clone, Default)]
pub(super) struct Evidence(Arc<Mutex<Seen>>);

#[derive(Debug, Default)]
struct Seen {
    answers: u64,
    /// Names that resolved, the latest first.
    resolved: VecDeque<String>,
    /// The name that got no answer before there was any.
    unanswered: Option<String>,
}

impl Evidence {
    /// How many answers came that only a resolver can have given.
    pub fn answers(&self) -> u64 {
        self.lock().answers
    }

    /// An answer came, though no address.
    pub fn answered(&self) {
        self.lock().answers += 1;
    }

    /// The resolver knew `host`, unless the machine knows it by itself.
    pub fn resolved(&self, host: &str) {
        if is_local(host) {
            return;
        }
        let mut seen = self.lock();
        seen.answers += 1;
        if seen.resolved.front().is_none_or(|latest| latest != host) {
            seen.resolved.retain(|name| name != host);
            seen.resolved.push_front(host.to_owned());
            seen.resolved.truncate(KEPT);
        }
    }

    /// Names other than `host` that resolved before, at most a few. Spread over those kept, so that
    /// they are not all of one owner.
    pub fn witnesses(&self, host: &str) -> Vec<String> {
        let seen = self.lock();
        let others: Vec<_> = seen.resolved.iter().filter(|name| *name != host).collect();
        let step = others.len().div_ceil(ASKED).max(1);
        others.into_iter().step_by(step).cloned().collect()
    }

    /// `host` got no answer. Whether another did not either, and none ever came.
    pub fn nothing_answered(&self, host: &str) -> bool {
        let mut seen = self.lock();
        let first = seen.unanswered.get_or_insert_with(|| host.to_owned());
        let another = first != host;
        another && seen.answers == 0
    }

    fn lock(&self) -> MutexGuard<'_, Seen> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whether the machine answers for `host` without a resolver, so that its answer proves nothing.
fn is_local(host: &str) -> bool {
    let host = host.trim_end_matches('.');
    host == "localhost" || host.ends_with(".localhost") || in_hosts_file(host)
}

fn in_hosts_file(host: &str) -> bool {
    let Ok(text) = std::fs::read_to_string("/etc/hosts") else {
        return false;
    };
    text.lines()
        .filter_map(|line| line.split('#').next())
        .any(|line| {
            let mut names = line.split_whitespace().skip(1);
            names.any(|name| name.eq_ignore_ascii_case(host))
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn witnesses_are_other_names_that_resolved_spread_over_those_kept() {
        let evidence = Evidence::default();
        assert!(evidence.witnesses("a.example").is_empty());
        for number in 0..30 {
            evidence.resolved(&format!("{number}.example"));
        }
        let witnesses = evidence.witnesses("29.example");
        assert_eq!(witnesses, ["28.example", "23.example", "18.example"]);
    }

    #[test]
    fn what_the_machine_knows_by_itself_proves_nothing() {
        let evidence = Evidence::default();
        for name in ["localhost", "a.localhost", "localhost."] {
            evidence.resolved(name);
        }
        assert_eq!(evidence.answers(), 0);
    }

    #[test]
    fn before_any_answer_two_names_without_one_say_that_the_resolver_is_away() {
        let evidence = Evidence::default();
        assert!(!evidence.nothing_answered("a.example"));
        assert!(!evidence.nothing_answered("a.example"));
        assert!(evidence.nothing_answered("b.example"));
        evidence.answered();
        assert!(!evidence.nothing_answered("b.example"));
    }
}
