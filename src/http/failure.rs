//! Says what kind of failure an error of the HTTP client was, and puts it into words.
//!
//! The kind is decided by the types along the chain of causes. The words never come from the
//! client's own error: it prints the URL, whose query may hold a credential.

use std::error::Error;
use std::io;
use std::iter::successors;
use std::net::SocketAddr;
use std::time::Duration;

use hyper_util::client::legacy;
use hyper_util::client::legacy::connect::HttpInfo;

use super::resolver::ResolveError;
use super::tls_failure;
use crate::domain::outcome::{FailureKind, SendFailure};
use crate::domain::own_fault::OwnFault;

/// The resolver's finding that it could not look the name up, by our own fault.
pub(super) fn of_resolver(error: &reqwest::Error) -> Option<OwnFault> {
    match find(error)? {
        ResolveError::Own(fault) => Some(*fault),
        _ => None,
    }
}

/// The system's error, if it was the system that `error` came from.
pub(super) fn of_system(error: &reqwest::Error) -> Option<&io::Error> {
    let said = chain(error).filter_map(|error| error.downcast_ref::<io::Error>());
    said.filter(|error| error.raw_os_error().is_some()).last()
}

/// Describes `error`; `connect_timeout` is for the message.
pub(super) fn describe(error: &reqwest::Error, connect_timeout: Duration) -> SendFailure {
    let root = chain(error)
        .last()
        .map_or_else(String::new, ToString::to_string);
    let (kind, message) = if let Some(error) = find::<ResolveError>(error) {
        let kind = match error {
            ResolveError::Refused { .. } => FailureKind::AddressRefused,
            ResolveError::Lookup { .. } | ResolveError::NoAddress { .. } | ResolveError::Own(_) => {
                FailureKind::Dns
            }
        };
        (kind, error.to_string())
    } else if let Some(error) = find::<rustls::Error>(error) {
        // What the receiver's owner is told leaves out what only a reader of the library understands.
        tracing::debug!(?error, "a TLS connection did not come about");
        (
            FailureKind::Tls,
            format!("TLS failed: {}", tls_failure::words(error)),
        )
    } else if error.is_timeout() && !error.is_connect() {
        (
            FailureKind::Timeout,
            format!("the connection broke: {root}"),
        )
    } else if error.is_timeout() {
        let message = format!("no connection was made within {connect_timeout:?}");
        (FailureKind::Timeout, message)
    } else if error.is_connect() {
        connecting(error, &root)
    } else if error.is_builder() {
        let message = format!("the URL cannot be requested: {root}");
        (FailureKind::Connect, message)
    } else {
        (FailureKind::Protocol, talking(error, &root))
    };
    SendFailure { kind, message }
}

/// The address of the connection that `error` happened on, if there was one.
pub(super) fn remote_addr(error: &reqwest::Error) -> Option<SocketAddr> {
    Some(connection(error)?.remote_addr())
}

/// The connection that `error` happened on, if there was one.
pub(super) fn connection(error: &reqwest::Error) -> Option<HttpInfo> {
    let mut extensions = http::Extensions::new();
    find::<legacy::Error>(error)?
        .connect_info()?
        .get_extras(&mut extensions);
    extensions.remove::<HttpInfo>()
}

/// Whether the receiver's side closed the connection instead of answering. An answer that breaks
/// off within its head looks the same to the client; one that breaks off later is no error here.
pub(super) fn is_closed_by_receiver(error: &reqwest::Error) -> bool {
    let by_end = find::<hyper::Error>(error)
        .is_some_and(|error| error.is_incomplete_message() || error.is_canceled());
    let by_system = chain(error)
        .filter_map(|error| error.downcast_ref::<io::Error>())
        .any(|error| {
            matches!(
                error.kind(),
                io::ErrorKind::ConnectionReset
                    | io::ErrorKind::ConnectionAborted
                    | io::ErrorKind::BrokenPipe
                    // TLS that ends without its own goodbye.
                    | io::ErrorKind::UnexpectedEof
            )
        });
    by_end || by_system
}

/// TCP's errors come wrapped by the connector; the handshake's come as the stream's own.
fn connecting(error: &reqwest::Error, root: &str) -> (FailureKind, String) {
    let cause = find::<legacy::Error>(error).and_then(Error::source);
    let in_handshake = cause.is_some_and(|cause| {
        cause.is::<io::Error>() || cause.is::<rustls::pki_types::InvalidDnsNameError>()
    });
    let why = plain(root);
    if in_handshake {
        let message = format!("TLS failed: the connection broke in the handshake: {why}");
        (FailureKind::Tls, message)
    } else {
        (FailureKind::Connect, format!("no connection: {why}"))
    }
}

/// The system's words without its number for them: `Connection refused (os error 111)`.
fn plain(root: &str) -> &str {
    root.split(" (os error ").next().unwrap_or(root)
}

fn talking(error: &reqwest::Error, root: &str) -> String {
    match find::<hyper::Error>(error) {
        Some(error) if error.is_incomplete_message() => {
            "the connection was closed before the answer was complete".to_owned()
        }
        Some(error) if error.is_parse() => format!("what came back is not HTTP: {root}"),
        _ => format!("the connection broke: {}", plain(root)),
    }
}

fn find<E: Error + 'static>(error: &reqwest::Error) -> Option<&E> {
    chain(error).find_map(|error| error.downcast_ref())
}

/// `error` and its causes. An `io::Error` is transparent: as a `source` it gives the source of what
/// it wraps, and so would hide it.
fn chain(error: &reqwest::Error) -> impl Iterator<Item = &(dyn Error + 'static)> {
    successors(Some(error as &(dyn Error + 'static)), |&error| {
        let wrapped = error.downcast_ref().and_then(io::Error::get_ref);
        match wrapped {
            Some(inner) => Some(inner as &(dyn Error + 'static)),
            None => error.source(),
        }
    })
}
