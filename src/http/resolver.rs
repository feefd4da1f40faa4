//! Resolves names to addresses that may be posted to.
//!
//! The check stands between the resolver and the connection: what is checked is what is connected
//! to. A name that answers differently the second time it is asked gains nothing by it.
//!
//! Names are resolved by the operating system, on tokio's blocking threads, one thread a name.
//!
//! No answer for a name may mean that its own servers are broken, or that the resolver is away. The
//! system says the same of both (`EAI_AGAIN`), so others are asked: see `evidence`.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use dns_lookup::{AddrInfoHints, SockType};
use futures::future::join_all;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};

use super::evidence::Evidence;
use super::lookups::{Found, LookupError, Lookups};
use super::own;
use crate::domain::egress::{Egress, Refusal};
use crate::domain::own_fault::OwnFault;

/// Why a name gave no address to connect to.
#[derive(Debug, thiserror::Error)]
pub enum ResolveError {
    /// The resolver failed, or does not know the name.
    #[error("{host} does not resolve: {source}")]
    Lookup {
        /// The name.
        host: String,
        /// The resolver's error.
        source: Arc<LookupError>,
    },
    /// The name could not be looked up, which is our own fault.
    #[error(transparent)]
    Own(OwnFault),
    /// The resolver knows the name, but no address for it.
    #[error("{host} has no addresses")]
    NoAddress {
        /// The name.
        host: String,
    },
    /// Every address of the name is one that may not be posted to.
    #[error("{host} has no address that may be posted to: {source}")]
    Refused {
        /// The name.
        host: String,
        /// Why the first of its addresses is refused.
        source: Refusal,
    },
}

/// The operating system's resolver, behind the check.
#[derive(Debug, Clone)]
pub struct CheckedResolver {
    egress: Arc<Egress>,
    lookups: Lookups,
    evidence: Evidence,
}

impl CheckedResolver {
    /// A resolver that gives the addresses that `egress` permits.
    pub fn new(egress: Arc<Egress>) -> Self {
        Self {
            egress,
            lookups: Lookups::default(),
            evidence: Evidence::default(),
        }
    }

    /// The addresses of `host` that may be posted to.
    pub(super) async fn addresses(&self, host: &str) -> Result<Vec<SocketAddr>, ResolveError> {
        let lost = |source| ResolveError::Lookup {
            host: host.to_owned(),
            source,
        };
        let answers = self.evidence.answers();
        match self.find(host).await {
            Ok(found) => permitted(&self.egress, host, found.iter().copied()),
            // Out of handles the system's resolver says anything: that there is no such name, too.
            Err(_) if own::out_of_handles() => Err(ResolveError::Own(OwnFault::Handles)),
            Err(error) => Err(match &*error {
                LookupError::Unanswered(_) if self.is_away(host, answers).await => {
                    ResolveError::Own(OwnFault::Resolver)
                }
                LookupError::System(cause) => {
                    own::lacking(cause).map_or_else(|| lost(error.clone()), ResolveError::Own)
                }
                _ => lost(error),
            }),
        }
    }

    /// Says whether the lookup of `host`, which has not ended in time, has not because no lookup
    /// does.
    pub(super) async fn keeps_silent(&self, host: &str) -> bool {
        let answers = self.evidence.answers();
        self.lookups.is_under_way(host) && self.is_away(host, answers).await
    }

    async fn find(&self, host: &str) -> Found {
        let found = self.lookups.join(host, ask_system).await;
        match &found {
            Ok(_) => self.evidence.resolved(host),
            Err(error) if matches!(**error, LookupError::Unknown(_)) => self.evidence.answered(),
            Err(_) => {}
        }
        found
    }

    /// Whether it is the resolver that gives no answer, and not the servers of `host` alone: names
    /// that it knew before get none either. `answers` is how many there were before.
    async fn is_away(&self, host: &str, answers: u64) -> bool {
        if self.evidence.answers() != answers {
            return false;
        }
        let witnesses = self.evidence.witnesses(host);
        if witnesses.is_empty() {
            return self.evidence.nothing_answered(host);
        }
        let asking = join_all(witnesses.iter().map(|witness| self.find(witness)));
        let _ = tokio::time::timeout(WITNESS_LIMIT, asking).await;
        self.evidence.answers() == answers
    }
}

/// How long a name that resolved before may take to resolve again, before that says that the
/// resolver is away.
const WITNESS_LIMIT: Duration = Duration::from_secs(2);

impl Resolve for CheckedResolver {
    fn resolve(&self, name: Name) -> Resolving {
        let resolver = self.clone();
        Box::pin(async move {
            let permitted = resolver.addresses(name.as_str()).await?;
            Ok(Box::new(permitted.into_iter()) as Addrs)
        })
    }
}

async fn ask_system(host: String) -> Result<Vec<SocketAddr>, LookupError> {
    let asking = tokio::task::spawn_blocking(move || {
        // One answer an address, not one for each kind of socket.
        let hints = AddrInfoHints {
            socktype: SockType::Stream.into(),
            ..AddrInfoHints::default()
        };
        // Without a service the port is 0, which asks the client to put in the URL's.
        let found = dns_lookup::getaddrinfo(Some(&host), None, Some(hints))?;
        Ok(found.flatten().map(|info| info.sockaddr).collect())
    });
    asking
        .await
        .unwrap_or_else(|error| Err(LookupError::Other(error.into())))
}

/// Those of the addresses `found` for `host` that may be posted to; never none.
fn permitted(
    egress: &Egress,
    host: &str,
    found: impl Iterator<Item = SocketAddr>,
) -> Result<Vec<SocketAddr>, ResolveError> {
    let host = || host.to_owned();
    let mut first_refusal = None;
    let mut permitted = Vec::new();
    for address in found {
        match egress.permits(address.ip()) {
            Ok(()) => permitted.push(address),
            Err(refusal) => _ = first_refusal.get_or_insert(refusal),
        }
    }
    match first_refusal {
        _ if !permitted.is_empty() => Ok(permitted),
        None => Err(ResolveError::NoAddress { host: host() }),
        Some(source) => Err(ResolveError::Refused {
            host: host(),
            source,
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pick(addresses: &[&str]) -> Result<Vec<SocketAddr>, ResolveError> {
        let found = addresses
            .iter()
            .map(|text| SocketAddr::new(text.parse().unwrap(), 0));
        permitted(&Egress::default(), "example.com", found)
    }

    #[test]
    fn of_mixed_addresses_only_the_permitted_are_connected_to() {
        let picked = pick(&["10.0.0.1", "8.8.8.8", "::1", "2606:4700::1"]).unwrap();
        assert_eq!(
            picked,
            [
                "8.8.8.8:0".parse().unwrap(),
                "[2606:4700::1]:0".parse().unwrap()
            ]
        );
    }

    #[test]
    fn a_name_with_refused_addresses_only_is_refused_with_the_first_reason() {
        let error = pick(&["10.0.0.1", "::1"]).unwrap_err();
        assert!(matches!(error, ResolveError::Refused { .. }));
        assert_eq!(
            error.to_string(),
            "example.com has no address that may be posted to: 10.0.0.1 is private (RFC 1918); \
             add its network to allow_networks to permit it"
        );
    }

    #[test]
    fn a_name_without_addresses_says_so() {
        assert_eq!(
            pick(&[]).unwrap_err().to_string(),
            "example.com has no addresses"
        );
    }
}
