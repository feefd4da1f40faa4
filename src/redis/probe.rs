//! Whether Redis takes writes at the moment: found out by making one.

use redis::cmd;

use super::connection::Connection;
use super::error::StoreError;
use super::keys::Keys;

/// How long what was written stays, in seconds.
const KEPT: u32 = 60;

/// Asks whether Redis takes writes.
#[derive(Debug, Clone)]
pub struct Probe {
    connection: Connection,
    keys: Keys,
}

impl Probe {
    /// A probe of the deployment whose keys these are.
    pub fn new(connection: Connection, keys: Keys) -> Self {
        Self { connection, keys }
    }

    /// Says why nothing can be written, if that is so: a server out of memory, or one that cannot
    /// save to its disk, still answers whoever only reads.
    pub async fn writable(&self) -> Result<(), StoreError> {
        let mut command = cmd("SET");
        command.arg(self.keys.probe()).arg(1).arg("EX").arg(KEPT);
        self.connection.call(&command).await
    }
}
