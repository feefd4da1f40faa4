//! Who is signed in to the page, in Redis: all processes of a deployment know it.

use std::time::Duration;

use async_trait::async_trait;
use redis::{Script, cmd};

use super::connection::Connection;
use super::keys::Keys;
use crate::store::Unavailable;
use crate::store::sessions::{MOST_OF_ONE, Sessions};

/// For how long it is known which sessions a token has: longer than any of them goes on.
const KNOWN: Duration = Duration::from_secs(30 * 86_400);

/// Sessions as keys that expire.
#[derive(Debug)]
pub struct RedisSessions {
    connection: Connection,
    keys: Keys,
    begin: Script,
}

impl RedisSessions {
    /// The sessions of the deployment whose keys these are.
    pub fn new(connection: Connection, keys: Keys) -> Self {
        let begin = Script::new(include_str!("scripts/begin_session.lua"));
        Self {
            connection,
            keys,
            begin,
        }
    }
}

fn millis(keep: Duration) -> u64 {
    u64::try_from(keep.as_millis()).unwrap_or(u64::MAX).max(1)
}

#[async_trait]
impl Sessions for RedisSessions {
    async fn begin(
        &self,
        whose: &str,
        id: &str,
        record: &str,
        keep: Duration,
    ) -> Result<(), Unavailable> {
        let mut call = self.begin.key(self.keys.session(id));
        call.key(self.keys.sessions_of(whose));
        call.arg(record).arg(millis(keep)).arg(id).arg(MOST_OF_ONE);
        call.arg(self.keys.session("")).arg(millis(KNOWN));
        let begun: Result<(), _> = self.connection.script(&call).await;
        begun.map_err(Unavailable::new)
    }

    async fn find(&self, id: &str, keep: Option<Duration>) -> Result<Option<String>, Unavailable> {
        let mut command = cmd("GETEX");
        command.arg(self.keys.session(id));
        if let Some(keep) = keep {
            command.arg("PX").arg(millis(keep));
        }
        let found = self.connection.call(&command).await;
        found.map_err(Unavailable::new)
    }

    async fn end(&self, id: &str) -> Result<(), Unavailable> {
        let mut command = cmd("DEL");
        command.arg(self.keys.session(id));
        let ended = self.connection.call(&command).await;
        ended.map_err(Unavailable::new)
    }
}
