//! Resolves names to addresses that may be posted to.
//!
//! The check stands between the resolver and the connection: what is checked is what is connected
//! to. A name that answers differently the second time it is asked gains nothing by it.
//!
//! Names are resolved by the operating system, on tokio's blocking threads, one thread a name.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use reqwest::dns::{Addrs, Name, Resolve, Resolving};

use super::lookups::Lookups;
use crate::domain::egress::{Egress, Refusal};

/// Why a name gave no address to connect to.
#[derive(Debug, thiserror::Error)]
pub enum ResolveError {
    /// The resolver failed, or does not know the name.
    #[error("{host} does not resolve: {source}")]
    Lookup {
        /// The name.
        host: String,
        /// What the resolver said.
        source: Arc<io::Error>,
    },
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
}

impl CheckedResolver {
    /// A resolver that gives the addresses that `egress` permits.
    pub fn new(egress: Arc<Egress>) -> Self {
        Self {
            egress,
            lookups: Lookups::default(),
        }
    }
}

impl Resolve for CheckedResolver {
    fn resolve(&self, name: Name) -> Resolving {
        let resolver = self.clone();
        Box::pin(async move {
            let host = name.as_str();
            let found = resolver.lookups.join(host, ask_system).await;
            let found = found.map_err(|source| ResolveError::Lookup {
                host: host.to_owned(),
                source,
            })?;
            let permitted = permitted(&resolver.egress, host, found.iter().copied())?;
            Ok(Box::new(permitted.into_iter()) as Addrs)
        })
    }
}

async fn ask_system(host: String) -> io::Result<Vec<SocketAddr>> {
    // Port 0 asks the client to put in the URL's.
    Ok(tokio::net::lookup_host((host, 0)).await?.collect())
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
