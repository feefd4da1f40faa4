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
use super::sender::MAX_HEADERS;
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
        let what = match is_encrypted(error) {
            true => "no connection with TLS",
            false => "no connection",
        };
        let mend = match is_encrypted(error) {
            true => "; if something listens there, does it speak TLS on this port?",
            false => "",
        };
        let message = format!("{what} was made within {connect_timeout:?}{mend}");
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
        let why = match why {
            "tls handshake eof" => "the receiver closed it",
            why => why,
        };
        let message = format!(
            "TLS failed: the connection broke in the handshake: {why}; does the receiver speak TLS on \
             this port?"
        );
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
    let over_tls = is_encrypted(error);
    match find::<hyper::Error>(error) {
        Some(error) if error.is_incomplete_message() => {
            "the connection was closed before the answer was complete".to_owned()
        }
        Some(error) if error.is_parse_too_large() => format!(
            "the answer's head is too large; at most {MAX_HEADERS} headers are taken, and about 400 KB"
        ),
        Some(error) if error.is_parse() => not_http(root, over_tls),
        Some(_) if root == UNASKED => {
            "the receiver answered before it was asked; let it read the request first".to_owned()
        }
        _ => format!("the connection broke: {}", plain(root)),
    }
}

/// What hyper says of an answer that came before the request went out, which it has no question for.
const UNASKED: &str = "received unexpected message from connection";

/// What hyper cannot read, in words for whoever runs the receiver.
fn not_http(root: &str, over_tls: bool) -> String {
    let what = match root {
        "invalid HTTP version parsed" if over_tls => "it does not begin with HTTP/1.1 or HTTP/1.0",
        "invalid HTTP version parsed" => {
            "it does not begin with HTTP/1.1 or HTTP/1.0; if the receiver speaks TLS on this port, its \
             URL is https"
        }
        "invalid HTTP status-code parsed" => "its status line cannot be read",
        "invalid HTTP header parsed" => "one of its headers cannot be read",
        "invalid content-length parsed" => {
            "its Content-Length is no number of bytes, or there are several that differ"
        }
        other => other,
    };
    format!("what came back is not HTTP: {what}")
}

fn is_encrypted(error: &reqwest::Error) -> bool {
    error.url().is_some_and(|url| url.scheme() == "https")
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
