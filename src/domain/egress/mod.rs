//! Which addresses may be posted to.
//!
//! Whoever registers a webhook chooses where this deployment connects to. So that no webhook can
//! be pointed at the deployment's own network, or at the metadata service of its cloud, only
//! globally reachable unicast addresses are permitted, and the networks that the operator names. Those
//! that are public by their number alone, with a cloud's own servers behind them, have to be named as
//! well; what the operator denies is refused in any case.
//!
//! The ranges are those of the IANA registries:
//! <https://www.iana.org/assignments/iana-ipv4-special-registry>,
//! <https://www.iana.org/assignments/iana-ipv6-special-registry> and
//! <https://www.iana.org/assignments/ipv6-address-space>.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::{IpNet, Ipv4Net, Ipv6Net};
use url::{Host, Url};

/// Which addresses this deployment may post to.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Egress {
    /// Networks that are permitted whatever their purpose.
    pub allow: Vec<IpNet>,
    /// Networks that are refused whatever else permits them.
    pub deny: Vec<IpNet>,
}

/// An address that may not be posted to, and why.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub struct Refusal {
    /// The address.
    pub address: IpAddr,
    /// The IPv4 address that it leads to, if that is why it is refused.
    pub embedded: Option<Ipv4Addr>,
    /// What the address's range is for, with the document that says so.
    pub purpose: &'static str,
    /// Whether the operator denies it.
    pub denied: bool,
}

/// The purpose of what the operator denies.
const DENIED: &str = "in a network that deny_networks names";

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.embedded {
            None => write!(f, "{} is {}", self.address, self.purpose)?,
            Some(inner) => write!(
                f,
                "{} leads to {inner}, which is {}",
                self.address, self.purpose
            )?,
        }
        match self.denied {
            true => Ok(()),
            false => f.write_str("; add its network to allow_networks to permit it"),
        }
    }
}

impl Egress {
    /// Whether `address` may be posted to. An IPv6 address that carries an IPv4 one is judged by
    /// what it carries: that is where packets to it may end up.
    pub fn permits(&self, address: IpAddr) -> Result<(), Refusal> {
        let refusal = |embedded, purpose| Refusal {
            address,
            embedded,
            purpose,
            denied: purpose == DENIED,
        };
        if self.denies(address) {
            return Err(refusal(None, DENIED));
        }
        if let IpAddr::V6(v6) = address
            && let Some(inner) = embedded(v6).find(|inner| self.denies((*inner).into()))
        {
            return Err(refusal(Some(inner), DENIED));
        }
        if self.allows(address) {
            return Ok(());
        }
        let address = match address {
            IpAddr::V4(v4) => return special_v4(v4).map_or(Ok(()), |p| Err(refusal(None, p))),
            IpAddr::V6(v6) => v6,
        };
        for inner in embedded(address) {
            if !self.allows(inner.into())
                && let Some(purpose) = special_v4(inner)
            {
                return Err(refusal(Some(inner), purpose));
            }
        }
        // An address that only carries an IPv4 one has been judged by now. An ISATAP address is an
        // ordinary one besides, and must be permitted as such too.
        if is_carrier(address) {
            return Ok(());
        }
        special_v6(address).map_or(Ok(()), |purpose| Err(refusal(None, purpose)))
    }

    /// Whether `url` may be posted to as far as it says itself: a host that is a literal address
    /// is judged, a name passes, for it is judged by what it resolves to when connecting.
    pub fn permits_url(&self, url: &Url) -> Result<(), Refusal> {
        url.host()
            .as_ref()
            .and_then(literal)
            .map_or(Ok(()), |address| self.permits(address))
    }

    fn allows(&self, address: IpAddr) -> bool {
        self.allow.iter().any(|network| network.contains(&address))
    }

    fn denies(&self, address: IpAddr) -> bool {
        self.deny.iter().any(|network| network.contains(&address))
    }
}

/// The address that a URL's host stands for by itself, without asking a resolver.
///
/// The URL parser has turned every way of writing an address into the address by then: `0x7f.1`,
/// `2130706433`, `017700000001`, full-width digits, a final dot.
pub fn literal<S>(host: &Host<S>) -> Option<IpAddr> {
    match host {
        Host::Ipv4(address) => Some((*address).into()),
        Host::Ipv6(address) => Some((*address).into()),
        Host::Domain(_) => None,
    }
}

const fn v4(a: u8, b: u8, c: u8, d: u8, prefix: u8) -> Ipv4Net {
    Ipv4Net::new_assert(Ipv4Addr::new(a, b, c, d), prefix)
}

const fn v6(a: u16, b: u16, c: u16, d: u16, prefix: u8) -> Ipv6Net {
    Ipv6Net::new_assert(Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0), prefix)
}

/// IPv4 that is not globally reachable unicast, or that means a cloud's own servers to whoever is in
/// that cloud.
///
/// Two addresses of 192.0.0.0/24 are reachable, as anycast for traversing NAT (RFC 7723, RFC
/// 8155): no receiver of webhooks is there, so the range is refused whole.
const SPECIAL_V4: [(Ipv4Net, &str); 22] = [
    (v4(0, 0, 0, 0, 8), "\"this network\" (RFC 791)"),
    (v4(10, 0, 0, 0, 8), "private (RFC 1918)"),
    (
        v4(100, 64, 0, 0, 10),
        "shared by carriers for NAT (RFC 6598)",
    ),
    (v4(127, 0, 0, 0, 8), "loopback (RFC 1122)"),
    (v4(169, 254, 0, 0, 16), "link-local (RFC 3927)"),
    (v4(172, 16, 0, 0, 12), "private (RFC 1918)"),
    (v4(192, 0, 0, 0, 24), "kept for protocols (RFC 6890)"),
    (v4(192, 0, 2, 0, 24), "for documentation (RFC 5737)"),
    (v4(192, 88, 99, 0, 24), "a former 6to4 relay (RFC 7526)"),
    (v4(192, 168, 0, 0, 16), "private (RFC 1918)"),
    (v4(198, 18, 0, 0, 15), "for benchmarks (RFC 2544)"),
    (v4(198, 51, 100, 0, 24), "for documentation (RFC 5737)"),
    (v4(203, 0, 113, 0, 24), "for documentation (RFC 5737)"),
    (v4(224, 0, 0, 0, 4), "multicast (RFC 5771)"),
    (v4(255, 255, 255, 255, 32), "broadcast (RFC 919)"),
    (v4(240, 0, 0, 0, 4), "reserved (RFC 1112)"),
    // https://learn.microsoft.com/azure/virtual-network/what-is-ip-address-168-63-129-16
    (v4(168, 63, 129, 16, 32), "Azure's own"),
    // https://cloud.google.com/vpc/docs/configure-private-google-access
    (v4(199, 36, 153, 4, 30), "Google Cloud's own"),
    (v4(199, 36, 153, 8, 30), "Google Cloud's own"),
    (v4(34, 126, 0, 0, 18), "Google Cloud's own"),
    // https://cloud.ibm.com/docs/vpc?topic=vpc-service-endpoints-for-vpc
    (v4(161, 26, 0, 0, 16), "IBM Cloud's own"),
    (v4(166, 8, 0, 0, 14), "IBM Cloud's own"),
];

/// IPv6 that is not globally reachable unicast: the first that matches names the purpose.
///
/// 2001::/23 holds a few reachable ranges (anycast for NAT traversal, AMT, AS112, identifiers that
/// are not routed): none has a receiver of webhooks, so it is refused whole but for Teredo.
const SPECIAL_V6: [(Ipv6Net, &str); 16] = [
    (v6(0x2001, 0xdb8, 0, 0, 32), "for documentation (RFC 3849)"),
    (v6(0x3fff, 0, 0, 0, 20), "for documentation (RFC 9637)"),
    (v6(0x2001, 0x2, 0, 0, 48), "for benchmarks (RFC 5180)"),
    (TEREDO, "a Teredo tunnel (RFC 4380)"),
    (v6(0x2001, 0, 0, 0, 23), "kept for protocols (RFC 2928)"),
    (SIX_TO_FOUR, "a 6to4 tunnel (RFC 3056)"),
    (v6(0xfc00, 0, 0, 0, 7), "private (RFC 4193)"),
    (v6(0xfe80, 0, 0, 0, 10), "link-local (RFC 4291)"),
    (v6(0xfec0, 0, 0, 0, 10), "site-local (RFC 3879)"),
    (v6(0xff00, 0, 0, 0, 8), "multicast (RFC 4291)"),
    (
        v6(0x64, 0xff9b, 1, 0, 48),
        "for translation inside a network (RFC 8215)",
    ),
    (v6(0x100, 0, 0, 0, 64), "for discarding (RFC 6666)"),
    (v6(0x100, 0, 0, 1, 64), "a dummy prefix (RFC 9780)"),
    (v6(0x5f00, 0, 0, 0, 16), "for segment routing (RFC 9602)"),
    (
        Ipv6Net::new_assert(Ipv6Addr::LOCALHOST, 128),
        "loopback (RFC 4291)",
    ),
    (
        Ipv6Net::new_assert(Ipv6Addr::UNSPECIFIED, 128),
        "unspecified (RFC 4291)",
    ),
];

/// All that has been assigned for global unicast (RFC 4291, and IANA's IPv6 address space).
const GLOBAL_UNICAST: Ipv6Net = v6(0x2000, 0, 0, 0, 3);

/// RFC 4291, 2.5.5.1, deprecated.
const COMPATIBLE: Ipv6Net = Ipv6Net::new_assert(Ipv6Addr::UNSPECIFIED, 96);
/// RFC 4291, 2.5.5.2.
const MAPPED: Ipv6Net = Ipv6Net::new_assert(Ipv6Addr::new(0, 0, 0, 0, 0, 0xffff, 0, 0), 96);
/// RFC 6052: the well-known prefix of NAT64.
const NAT64: Ipv6Net = v6(0x64, 0xff9b, 0, 0, 96);
/// RFC 4380.
const TEREDO: Ipv6Net = v6(0x2001, 0, 0, 0, 32);
/// RFC 3056.
const SIX_TO_FOUR: Ipv6Net = v6(0x2002, 0, 0, 0, 16);

fn special_v4(address: Ipv4Addr) -> Option<&'static str> {
    SPECIAL_V4
        .iter()
        .find(|(network, _)| network.contains(&address))
        .map(|(_, purpose)| *purpose)
}

fn special_v6(address: Ipv6Addr) -> Option<&'static str> {
    SPECIAL_V6
        .iter()
        .find(|(network, _)| network.contains(&address))
        .map(|(_, purpose)| *purpose)
        .or_else(|| {
            (!GLOBAL_UNICAST.contains(&address)).then_some("not assigned to anyone (RFC 4291)")
        })
}

/// Whether `address` is nothing but a wrapping of IPv4 addresses. Loopback and the unspecified
/// address lie in one such range without being one.
fn is_carrier(address: Ipv6Addr) -> bool {
    let wrappings = [COMPATIBLE, MAPPED, NAT64, TEREDO, SIX_TO_FOUR];
    !address.is_loopback()
        && !address.is_unspecified()
        && wrappings.iter().any(|network| network.contains(&address))
}

/// Every IPv4 address that `address` carries.
fn embedded(address: Ipv6Addr) -> impl Iterator<Item = Ipv4Addr> {
    let s = address.segments();
    let join = |high: u16, low: u16| Ipv4Addr::from(u32::from(high) << 16 | u32::from(low));
    let inside = |network: Ipv6Net| is_carrier(address) && network.contains(&address);
    let last = inside(COMPATIBLE) || inside(MAPPED) || inside(NAT64);
    // Teredo: the server, and the client behind it with its bits inverted (RFC 4380, 4).
    let teredo = inside(TEREDO);
    // ISATAP: an interface identifier that ends a prefix of any kind (RFC 5214, 6.1).
    let isatap = matches!(s[4], 0 | 0x200) && s[5] == 0x5efe;
    [
        (last || isatap).then(|| join(s[6], s[7])),
        inside(SIX_TO_FOUR).then(|| join(s[1], s[2])),
        teredo.then(|| join(s[2], s[3])),
        teredo.then(|| join(!s[6], !s[7])),
    ]
    .into_iter()
    .flatten()
}

#[cfg(test)]
mod tests;
