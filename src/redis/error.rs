//! Why a call to Redis gave no result, and what that means for trying again.

use std::sync::Arc;
use std::time::Duration;

use redis::{ErrorKind, RedisError, ServerErrorKind};

/// Why a call to Redis gave no result.
#[derive(Debug, Clone, thiserror::Error)]
pub enum StoreError {
    /// There is no connection, or it broke. The command may or may not have been carried out.
    #[error("Redis at {address} cannot be reached: {}; check redis.url, and that Redis runs", explain(.source))]
    Away {
        /// Host and port.
        address: Arc<str>,
        /// Why connecting failed, or the connection broke.
        source: RedisError,
    },
    /// No answer in time. The command may or may not have been carried out.
    #[error("Redis at {address} did not answer within {limit:?}")]
    TimedOut {
        /// Host and port.
        address: Arc<str>,
        /// The time that it had.
        limit: Duration,
    },
    /// The server cannot carry out such commands at the moment: it is out of memory, loading, a
    /// replica, or denies the user.
    #[error("Redis refuses for now: {}", explain(.0))]
    Refusing(#[source] RedisError),
    /// The server will never carry out this command: a key holds something else, say.
    #[error("Redis refused: {}", explain(.0))]
    Refused(#[source] RedisError),
}

impl StoreError {
    /// Whether the same call may succeed later.
    pub fn is_passing(&self) -> bool {
        !matches!(self, Self::Refused(_))
    }
}

/// The server's own words if it spoke, without the debug syntax of the client library.
pub(super) fn explain(error: &RedisError) -> String {
    match (error.code(), error.detail()) {
        (Some(code), Some(detail)) => format!("{code} {detail}"),
        _ => match error.kind() {
            ErrorKind::AuthenticationFailed => "it refuses user name or password".to_owned(),
            ErrorKind::Parse => "what answers there is not Redis".to_owned(),
            _ => error.to_string(),
        },
    }
}

/// Whether `error` concerns the command or its key, so that repeating it is no use. What concerns
/// the server or the user's rights (OOM, READONLY, LOADING, BUSY, MISCONF, NOPERM …) passes, even
/// if it takes an operator: nothing is lost meanwhile.
pub(super) fn is_permanent(error: &RedisError) -> bool {
    match error.kind() {
        ErrorKind::Server(ServerErrorKind::ResponseError) => true,
        ErrorKind::Extension => error.code() == Some("WRONGTYPE"),
        ErrorKind::UnexpectedReturnType | ErrorKind::Client | ErrorKind::InvalidClientConfig => {
            true
        }
        // A reply that is not of the type asked for.
        ErrorKind::Parse => true,
        _ => false,
    }
}

/// A URL that leads to no Redis. Does not quote it: it may hold a password.
#[derive(Debug, thiserror::Error)]
#[error("the Redis URL cannot be used ({reason}); write it like redis://user:password@host:6379/0")]
pub struct InvalidRedisUrl {
    pub(super) reason: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_an_operator_can_mend_passes_and_what_the_key_forbids_does_not() {
        for (reply, permanent) in [
            ("-WRONGTYPE Operation against a key\r\n", true),
            ("-ERR syntax error\r\n", true),
            ("-OOM command not allowed\r\n", false),
            ("-READONLY You can't write\r\n", false),
            ("-LOADING Redis is loading\r\n", false),
            ("-BUSY Redis is busy\r\n", false),
            ("-MISCONF Errors writing to disk\r\n", false),
            ("-NOREPLICAS Not enough good replicas\r\n", false),
            ("-NOPERM this user has no permissions\r\n", false),
            ("-NOSCRIPT No matching script\r\n", false),
        ] {
            let value = redis::parse_redis_value(reply.as_bytes()).unwrap();
            let error = value.extract_error().unwrap_err();
            assert_eq!(is_permanent(&error), permanent, "{reply}");
        }
    }
}
