//! Who asks: which token was given, what its owner is called, and whether it is for this machine alone.

use std::net::IpAddr;

use axum::http::{HeaderMap, header};
use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;

use super::headers::text;
use crate::config::ApiToken;
use crate::domain::audit::{Actor, Through};

/// Whether a request asks for this machine by a name of its own. A browser that was led here by a name
/// that somebody points at this machine says that name.
pub fn asks_for_this_machine(headers: &HeaderMap) -> bool {
    text(headers, header::HOST).is_some_and(is_this_machine)
}

/// Whether a request comes from a page of the host that it asks for; `None` if it does not say where
/// it comes from.
pub fn is_from_own_page(headers: &HeaderMap) -> Option<bool> {
    let origin = text(headers, header::ORIGIN)?;
    let place = origin.split_once("://").map(|(_, place)| place);
    Some(place.is_some_and(|place| place == text(headers, header::HOST).unwrap_or("")))
}

fn is_this_machine(host: &str) -> bool {
    let name = host.rsplit_once(':').map_or(host, |(name, port)| {
        if port.bytes().all(|b| b.is_ascii_digit()) {
            name
        } else {
            host
        }
    });
    let name = name.trim_start_matches('[').trim_end_matches(']');
    name == "localhost" || name.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback())
}

/// Whoever came with `token`, as the audit log calls them; without one, where there are none.
pub fn actor(token: Option<&ApiToken>, through: Through) -> Actor {
    match token {
        Some(token) => Actor::new(&token.name(), through),
        None => Actor::local(through),
    }
}

/// The token that equals `given`. Digests are compared, all of them and whole, so that the time
/// taken tells nothing of how much was right.
pub fn find_token<'a>(tokens: &'a [ApiToken], given: &str) -> Option<&'a ApiToken> {
    let given = Sha256::digest(given);
    tokens.iter().fold(None, |found, token| {
        let equal = Sha256::digest(token.expose()).ct_eq(&given);
        if bool::from(equal) {
            Some(token)
        } else {
            found
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_names_of_this_machine_are_this_machine() {
        for own in [
            "127.0.0.1:8080",
            "localhost",
            "localhost:80",
            "[::1]:8080",
            "127.1.2.3",
        ] {
            assert!(is_this_machine(own), "{own}");
        }
        for other in [
            "",
            "rebound.example:8080",
            "10.0.0.1",
            "localhost.example",
            "127.0.0.1.example",
        ] {
            assert!(!is_this_machine(other), "{other}");
        }
    }
}
