//! Tells a fault of our own from the endpoint's, by what the system says.
//!
//! | what it says | whose it is |
//! |---|---|
//! | `EMFILE`, `ENFILE` | ours: no handles |
//! | `ENOBUFS`, `ENOMEM` | ours: no memory |
//! | `EADDRNOTAVAIL` | ours if the address can be reached from here, so that only a port was lacking; else it is one of a family that this machine does not speak: the endpoint's |
//! | `ENETUNREACH`, `ENETDOWN` | ours if no route leads out of this machine, in either family; else the endpoint's |
//! | `EHOSTUNREACH`, `ECONNREFUSED`, `ETIMEDOUT` … | the endpoint's: somebody on the way answered, or nobody at the end did |
//!
//! Where a route leads is asked of the system, by a socket that sends nothing.

use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};

use rustix::io::Errno;

use crate::domain::own_fault::OwnFault;

/// Returns what this machine lacks according to `error`, whatever was asked of it.
pub(super) fn lacking(error: &io::Error) -> Option<OwnFault> {
    match Errno::from_io_error(error)? {
        Errno::MFILE | Errno::NFILE => Some(OwnFault::Handles),
        Errno::NOBUFS | Errno::NOMEM => Some(OwnFault::Memory),
        _ => None,
    }
}

/// Returns what was lacking when a connection to one of `addresses` failed with `error`, if it was
/// our own fault.
pub(super) fn of_connecting(error: &io::Error, addresses: &[SocketAddr]) -> Option<OwnFault> {
    let reachable = |address: &SocketAddr| leads_to(*address).is_ok();
    match Errno::from_io_error(error)? {
        Errno::ADDRNOTAVAIL if addresses.iter().any(reachable) => Some(OwnFault::Ports),
        Errno::NETUNREACH | Errno::NETDOWN if !has_network() => Some(OwnFault::Network),
        _ => lacking(error),
    }
}

/// Whether the endpoint's addresses are to be known to say whose `error` is.
pub(super) fn is_about_an_address(error: &io::Error) -> bool {
    Errno::from_io_error(error) == Some(Errno::ADDRNOTAVAIL)
}

/// Whether the next file could not be opened.
pub(super) fn out_of_handles() -> bool {
    let opened = std::fs::File::open("/dev/null");
    opened.is_err_and(|error| lacking(&error) == Some(OwnFault::Handles))
}

/// Whether a route leads out of this machine: to addresses that are nobody's, and so go where
/// everything goes that is not near.
fn has_network() -> bool {
    let v4 = Ipv4Addr::new(192, 0, 2, 1);
    let v6 = Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 1);
    let outside = [SocketAddr::from((v4, 9)), SocketAddr::from((v6, 9))];
    outside.into_iter().any(|address| leads_to(address).is_ok())
}

/// Asks for the route to `address`. Connecting a socket for datagrams sends none.
fn leads_to(address: SocketAddr) -> io::Result<()> {
    let any = match address {
        SocketAddr::V4(_) => SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0)),
        SocketAddr::V6(_) => SocketAddr::from((Ipv6Addr::UNSPECIFIED, 0)),
    };
    // A port of 0 cannot be connected to, and says nothing about the route.
    let port = address.port().max(1);
    UdpSocket::bind(any)?.connect(SocketAddr::new(address.ip(), port))
}

#[cfg(test)]
mod tests {
    use super::*;

    const HERE: &str = "127.0.0.1:80";

    fn connecting(errno: Errno, address: &str) -> Option<OwnFault> {
        of_connecting(&errno.into(), &[address.parse().unwrap()])
    }

    #[test]
    fn what_this_machine_lacks_is_our_own_fault() {
        for (errno, fault) in [
            (Errno::MFILE, OwnFault::Handles),
            (Errno::NFILE, OwnFault::Handles),
            (Errno::NOBUFS, OwnFault::Memory),
            (Errno::NOMEM, OwnFault::Memory),
            (Errno::ADDRNOTAVAIL, OwnFault::Ports),
        ] {
            assert_eq!(connecting(errno, HERE), Some(fault), "{errno}");
        }
    }

    #[test]
    fn what_the_endpoint_or_the_way_to_it_lacks_is_not() {
        for errno in [
            Errno::CONNREFUSED,
            Errno::HOSTUNREACH,
            Errno::TIMEDOUT,
            Errno::CONNRESET,
        ] {
            assert_eq!(connecting(errno, HERE), None, "{errno}");
        }
    }

    #[test]
    fn an_address_that_this_machine_has_no_way_to_is_the_endpoints() {
        // Nothing can be connected to by way of no address at all.
        let unreachable = of_connecting(&Errno::ADDRNOTAVAIL.into(), &[]);
        assert_eq!(unreachable, None);
    }

    #[test]
    fn a_network_that_is_unreachable_is_ours_only_where_no_route_leads_out() {
        let expected = (!has_network()).then_some(OwnFault::Network);
        assert_eq!(connecting(Errno::NETUNREACH, HERE), expected);
    }
}
