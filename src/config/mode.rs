//! Which mode the settings ask for: RabbitMQ and Redis, or embedded.

use super::Config;

/// The servers that a deployment stands on, if any.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// SQLite in `data_dir`.
    Embedded,
    /// RabbitMQ and Redis.
    Servers,
}

impl Config {
    /// Whether the program is to run on RabbitMQ and Redis or embedded: embedded if neither is
    /// named. Naming one of the two is a mistake, found where the other one is needed.
    pub fn mode(&self) -> Mode {
        if self.amqp.url.is_none() && self.redis.url.is_none() {
            Mode::Embedded
        } else {
            Mode::Servers
        }
    }
}
