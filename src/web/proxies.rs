//! What proxies before the port say of a client: believed of those alone that are trusted.

use std::net::{IpAddr, SocketAddr};

use axum::http::HeaderMap;
use ipnet::IpNet;

use super::headers::text;

const FORWARDED_FOR: &str = "x-forwarded-for";
const FORWARDED_PROTO: &str = "x-forwarded-proto";

/// Who stands before the port.
#[derive(Debug, Clone, Default)]
pub struct Proxies {
    /// The proxies that are believed.
    pub trusted: Vec<IpNet>,
    /// Whether browsers come over https, whatever a proxy says.
    pub https: bool,
}

impl Proxies {
    fn trusts(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        self.trusted
            .iter()
            .any(|network| network.contains(&address))
    }

    /// The address of the client, as the last trusted proxy before it has it.
    pub(super) fn client(&self, peer: SocketAddr, headers: &HeaderMap) -> IpAddr {
        let mut address = peer.ip().to_canonical();
        let all = headers.get_all(FORWARDED_FOR).into_iter().rev();
        let said = all.flat_map(|value| value.to_str().unwrap_or("").rsplit(','));
        for before in said {
            if !self.trusts(address) {
                break;
            }
            let Ok(before) = before.trim().parse::<IpAddr>() else {
                break;
            };
            address = before.to_canonical();
        }
        address
    }

    /// Whether the browser came over https.
    pub(super) fn is_https(&self, peer: Option<SocketAddr>, headers: &HeaderMap) -> bool {
        let believed = peer.is_some_and(|peer| self.trusts(peer.ip()));
        self.https || believed && text(headers, FORWARDED_PROTO) == Some("https")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn proxies() -> Proxies {
        Proxies {
            trusted: vec!["10.0.0.0/8".parse().unwrap()],
            https: false,
        }
    }

    fn headers(of: &[(&'static str, &str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in of {
            headers.append(*name, value.parse().unwrap());
        }
        headers
    }

    #[test]
    fn an_address_is_believed_as_far_as_proxies_are_trusted() {
        let client = |peer: &str, said: &[(&'static str, &str)]| {
            let peer = format!("{peer}:1234").parse().unwrap();
            proxies().client(peer, &headers(said)).to_string()
        };
        assert_eq!(client("10.0.0.1", &[]), "10.0.0.1");
        let said = [(FORWARDED_FOR, "6.6.6.6, 192.0.2.7, 10.0.0.2")];
        assert_eq!(client("10.0.0.1", &said), "192.0.2.7");
        assert_eq!(client("192.0.2.1", &said), "192.0.2.1");
        let twice = [(FORWARDED_FOR, "192.0.2.8"), (FORWARDED_FOR, "10.0.0.2")];
        assert_eq!(client("10.0.0.1", &twice), "192.0.2.8");
        assert_eq!(
            client("10.0.0.1", &[(FORWARDED_FOR, "nonsense")]),
            "10.0.0.1"
        );
    }

    #[test]
    fn https_is_believed_of_a_trusted_proxy_or_of_the_settings() {
        let said = headers(&[(FORWARDED_PROTO, "https")]);
        let (trusted, other) = ("10.0.0.1:1".parse().ok(), "192.0.2.1:1".parse().ok());
        assert!(proxies().is_https(trusted, &said));
        assert!(!proxies().is_https(other, &said) && !proxies().is_https(None, &said));
        assert!(!proxies().is_https(trusted, &headers(&[(FORWARDED_PROTO, "http")])));
        let always = Proxies {
            https: true,
            ..proxies()
        };
        assert!(always.is_https(other, &HeaderMap::new()));
    }
}
