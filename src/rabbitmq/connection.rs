//! How a connection to RabbitMQ is made, and what can be said of one that was not.
//!
//! Lapin's own recovery stays off: it gives up, and it never recovers a channel that the broker
//! closed. Whoever opens a connection here watches it, and opens another when it dies.

use std::fmt;
use std::time::Duration;

use futures::StreamExt;
use lapin::uri::{AMQPScheme, AMQPUri};
use lapin::{Connection, ConnectionProperties, ErrorKind, Event};
use url::{Host, Url};

use crate::domain::endpoint::unreadable;

/// How often each side lets the other hear from it, in seconds, unless the URL says otherwise. A
/// dead peer is noticed after twice that time.
const HEARTBEAT: u16 = 15;

/// How long connecting may take, the login included, unless the URL says otherwise.
const CONNECT_LIMIT: Duration = Duration::from_secs(10);

/// How long a connection may take to close in good order before it is dropped.
const CLOSE_LIMIT: Duration = Duration::from_secs(5);

/// How long a connection must hold before its loss counts as the first one again.
pub(super) const STEADY: Duration = Duration::from_secs(30);

/// The smaller frames of connections that only publish. Lapin keeps two buffers of 32 frames, so
/// this saves 8 MB a connection against RabbitMQ's default of 128 KiB, at the same speed.
/// Connections that consume must not use it: a frame larger than agreed makes lapin close the
/// connection. RabbitMQ does not split the frame of the headers, and another program may have
/// published a message with more than 8 KiB of them.
const SMALL_FRAMES: u32 = 8_192;

/// Where the broker is, and how to log in.
#[derive(Clone)]
pub struct Server {
    uri: AMQPUri,
    client: String,
}

/// An AMQP URL that cannot be used. The text never repeats the URL, which may hold a password.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidUrl {
    /// The text is no URL.
    #[error("it is no URL: {}; use amqp://user:password@host:5672/%2f", unreadable(*.0))]
    Syntax(#[from] url::ParseError),
    /// The URL has the scheme of something else.
    #[error("the scheme is {0:?}; use amqp or amqps")]
    Scheme(String),
    /// The URL names no host.
    #[error("it names no host; use amqp://user:password@host:5672/%2f")]
    NoHost,
    /// A part of the URL cannot be read.
    #[error("a part of it cannot be read: {0}")]
    Part(String),
}

/// A connection could not be made.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// The broker refused the user or the password.
    #[error("RabbitMQ at {server} refused to log in user {user:?}; check user name and password")]
    Login {
        /// The broker's address.
        server: String,
        /// The user.
        user: String,
        /// The broker's answer.
        #[source]
        source: lapin::Error,
    },
    /// The virtual host is not there, or closed to the user.
    #[error("RabbitMQ at {server} does not let user {user:?} use the virtual host {vhost:?}")]
    VirtualHost {
        /// The broker's address.
        server: String,
        /// The user.
        user: String,
        /// The virtual host.
        vhost: String,
        /// The broker's answer.
        #[source]
        source: lapin::Error,
    },
    /// Nothing usable answered.
    #[error(
        "cannot connect to RabbitMQ at {server}: {source}; check amqp.url, and that RabbitMQ runs"
    )]
    Unreachable {
        /// The broker's address.
        server: String,
        /// Why.
        source: lapin::Error,
    },
    /// Nothing answered in time.
    #[error(
        "RabbitMQ at {server} did not answer within {limit:?}; check amqp.url, and that it is RabbitMQ \
         that listens there"
    )]
    TimedOut {
        /// The broker's address.
        server: String,
        /// The limit.
        limit: Duration,
    },
}

impl ConnectError {
    /// Whether waiting may help: a server that is down comes back, a wrong password does not.
    pub fn is_passing(&self) -> bool {
        matches!(self, Self::Unreachable { .. } | Self::TimedOut { .. })
    }
}

/// What a connection is for: it decides the size of its frames, and is shown by the broker.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// Taking messages.
    Consume,
    /// Publishing alone.
    Publish,
    /// Declaring and looking.
    Topology,
    /// Moving dead letters.
    DeadLetters,
}

impl Purpose {
    fn name(self) -> &'static str {
        match self {
            Self::Consume => "consume",
            Self::Publish => "publish",
            Self::Topology => "topology",
            Self::DeadLetters => "dead-letters",
        }
    }
}

impl Server {
    /// Reads an `amqp://` or `amqps://` URL. `client` names this program in the broker's lists of
    /// connections. The URL's `heartbeat` (seconds), `frame_max` (bytes) and
    /// `connection_timeout` (milliseconds) are kept.
    pub fn new(url: &str, client: impl Into<String>) -> Result<Self, InvalidUrl> {
        let parsed = Url::parse(url)?;
        if !matches!(parsed.scheme(), "amqp" | "amqps") {
            return Err(InvalidUrl::Scheme(parsed.scheme().to_owned()));
        }
        let host = match parsed.host() {
            None | Some(Host::Domain("")) => return Err(InvalidUrl::NoHost),
            Some(Host::Domain(name)) => name.to_owned(),
            Some(Host::Ipv4(address)) => address.to_string(),
            Some(Host::Ipv6(address)) => address.to_string(),
        };
        let mut uri: AMQPUri = url.parse().map_err(InvalidUrl::Part)?;
        // Lapin takes an IPv6 address for localhost.
        uri.authority.host = host;
        uri.query.heartbeat.get_or_insert(HEARTBEAT);
        let client = client.into();
        Ok(Self { uri, client })
    }

    /// The address in messages: scheme, host, port and virtual host, and no password.
    pub fn address(&self) -> String {
        let scheme = match self.uri.scheme {
            AMQPScheme::AMQP => "amqp",
            AMQPScheme::AMQPS => "amqps",
        };
        let authority = &self.uri.authority;
        let vhost = &self.uri.vhost;
        if authority.host.contains(':') {
            format!(
                "{scheme}://[{}]:{} (virtual host {vhost:?})",
                authority.host, authority.port
            )
        } else {
            format!(
                "{scheme}://{}:{} (virtual host {vhost:?})",
                authority.host, authority.port
            )
        }
    }

    /// The virtual host, for the commands that mend things.
    pub fn vhost(&self) -> &str {
        &self.uri.vhost
    }

    /// Opens a connection. Over `amqps` the process must have installed a rustls crypto provider.
    pub async fn connect(&self, purpose: Purpose) -> Result<Connection, ConnectError> {
        let mut uri = self.uri.clone();
        if purpose == Purpose::Publish {
            uri.query.frame_max.get_or_insert(SMALL_FRAMES);
        }
        let limit = uri
            .query
            .connection_timeout
            .map_or(CONNECT_LIMIT, Duration::from_millis);
        let name = format!("{} {}", self.client, purpose.name());
        let properties = ConnectionProperties::default().with_connection_name(name.into());
        // Lapin heeds the URL's timeout only where it connects without a runtime.
        match tokio::time::timeout(limit, Connection::connect_uri(uri, properties)).await {
            Ok(Ok(connection)) => Ok(connection),
            Ok(Err(error)) => Err(self.classify(error)),
            Err(_) => Err(ConnectError::TimedOut {
                server: self.address(),
                limit,
            }),
        }
    }

    fn classify(&self, source: lapin::Error) -> ConnectError {
        let server = self.address();
        let user = self.uri.authority.userinfo.username.clone();
        match reply_code(&source) {
            Some(ACCESS_REFUSED) => ConnectError::Login {
                server,
                user,
                source,
            },
            Some(NOT_ALLOWED) => {
                let vhost = self.uri.vhost.clone();
                ConnectError::VirtualHost {
                    server,
                    user,
                    vhost,
                    source,
                }
            }
            _ => ConnectError::Unreachable { server, source },
        }
    }
}

impl fmt::Debug for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Server")
            .field("address", &self.address())
            .field("client", &self.client)
            .finish_non_exhaustive()
    }
}

/// AMQP's reply code for a missing object.
pub(super) const NOT_FOUND: u16 = 404;
/// AMQP's reply code for what the user may not do.
pub(super) const ACCESS_REFUSED: u16 = 403;
/// AMQP's reply code for an object that is declared otherwise.
pub(super) const PRECONDITION_FAILED: u16 = 406;
/// AMQP's reply code for a virtual host that cannot be used.
const NOT_ALLOWED: u16 = 530;

/// The reply code, if it was the broker that said no.
pub(super) fn reply_code(error: &lapin::Error) -> Option<u16> {
    match error.kind() {
        ErrorKind::ProtocolError(error) => Some(error.get_id()),
        _ => None,
    }
}

/// Waits until the last acknowledgements have reached their queue, before a channel or connection
/// is closed. RabbitMQ 3.10 holds acknowledgements back in the channel while the queue has more
/// than 32 commands of that channel to work off. It forgets them if the channel is closed
/// meanwhile, in good order or not: the messages come again. AMQP cannot ask about it, so this
/// waits many times as long as a queue takes for 32 commands.
pub(super) async fn let_acks_land() {
    tokio::time::sleep(Duration::from_millis(300)).await;
}

/// Closes a connection in good order, within a time limit.
pub async fn close(connection: &Connection) {
    let closing = connection.close(200, "OK".into());
    // Whatever is left of a connection that does not close in time goes with the process.
    let _ = tokio::time::timeout(CLOSE_LIMIT, closing).await;
}

/// Returns why the connection died, once it has. Says when the broker blocks it and when it no
/// longer does.
pub(super) async fn until_dead(connection: &Connection) -> String {
    let mut events = std::pin::pin!(connection.events_listener());
    let mut look = tokio::time::interval(Duration::from_secs(1));
    let mut blocked = false;
    loop {
        tokio::select! {
            event = events.next() => match event {
                Some(Event::ConnectionBlocked(reason)) => {
                    if !std::mem::replace(&mut blocked, true) {
                        tracing::warn!(reason, "RabbitMQ blocks publishing; waiting until it does not");
                    }
                }
                Some(Event::ConnectionUnblocked) => {
                    if std::mem::take(&mut blocked) {
                        tracing::warn!("RabbitMQ no longer blocks publishing");
                    }
                }
                Some(Event::Error(error)) if !connection.status().connected() => {
                    return error.to_string();
                }
                Some(_) => {}
                None => return "the client ended".to_owned(),
            },
            // Not every death makes an event.
            _ = look.tick() => {
                if !connection.status().connected() {
                    return "it is closed".to_owned();
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_are_read_and_the_password_is_never_shown() {
        let server = Server::new("amqps://bob:s3cret@rabbit.example/a%2fb", "test").unwrap();
        assert_eq!(
            server.address(),
            "amqps://rabbit.example:5671 (virtual host \"a/b\")"
        );
        assert_eq!(server.uri.authority.userinfo.password, "s3cret");
        assert_eq!(server.uri.query.heartbeat, Some(HEARTBEAT));
        assert!(!format!("{server:?}").contains("s3cret"));

        let server = Server::new("amqp://[::1]:5673/%2f?heartbeat=3", "test").unwrap();
        assert_eq!(server.uri.authority.host, "::1");
        assert_eq!(server.uri.query.heartbeat, Some(3));
        assert_eq!(server.address(), "amqp://[::1]:5673 (virtual host \"/\")");
    }

    #[test]
    fn unusable_urls_are_refused_without_repeating_them() {
        for url in [
            "bob:s3cret@rabbit",
            "http://bob:s3cret@rabbit/",
            "amqp:///",
            "amqp:bob:s3cret",
            "amqp://bob:s3cret@rabbit/?heartbeat=often",
            "amqp://bob:s3cret@rabbit:port/",
        ] {
            let error = Server::new(url, "test").unwrap_err();
            assert!(!error.to_string().contains("s3cret"), "{error}");
            assert!(!format!("{error:?}").contains("s3cret"), "{error:?}");
        }
    }
}
