//! Who is signed in to the page, in Redis: all processes of a deployment know it.

use std::time::Duration;

use async_trait::async_trait;
use redis::cmd;

use super::connection::Connection;
use super::keys::Keys;
use crate::store::Unavailable;
use crate::store::sessions::Sessions;

/// Sessions as keys that expire.
#[derive(Debug)]
pub struct RedisSessions {
    connection: Connection,
    keys: Keys,
}

impl RedisSessions {
    /// The sessions of the deployment whose keys these are.
    pub fn new(connection: Connection, keys: Keys) -> Self {
        Self { connection, keys }
    }
}

fn millis(keep: Duration) -> u64 {
    u64::try_from(keep.as_millis()).unwrap_or(u64::MAX).max(1)
}

#[async_trait]
impl Sessions for RedisSessions {
    async fn begin(&self, id: &str, record: &str, keep: Duration) -> Result<(), Unavailable> {
        let mut command = cmd("SET");
        command.arg(self.keys.session(id)).arg(record);
        command.arg("PX").arg(millis(keep));
        let kept = self.connection.call(&command).await;
        kept.map_err(Unavailable::new)
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
