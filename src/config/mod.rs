//! Typed settings from one TOML file, the environment and flags, in rising precedence.
//!
//! ```text
//! sources.rs   what was given, unknown keys  ─┐
//! settings.rs  every key, declared once       ├▶ Config::load ─▶ Loaded { config, warnings }
//! kinds/       how values are read, ranges    │               └▶ ConfigError: all mistakes at once
//! checks.rs    keys that must go together    ─┘
//! print.rs     the default file and `config show`, from the same declarations
//! ```
//!
//! Adding a key is one line in `settings.rs`: its environment variable, its place in the default
//! file, its checks and its documentation follow. Nothing here reads the process's environment: it
//! comes in as a value.

mod checks;
mod kinds;
mod mistake;
mod mode;
mod print;
mod reader;
mod secret;
mod settings;
mod sources;
#[cfg(test)]
mod tests;
mod units;

use std::path::Path;

pub use mistake::{ConfigError, Mistake, NotSet, Source, Warning};
pub use mode::Mode;
pub use secret::{ApiToken, Redacted};
pub use settings::{
    Amqp, Api, Config, Delay, DeliveryLog, Disable, KeepBodies, LogFormat, Logging, Redis, Retry,
    Sending, Subscriptions, Worker,
};
pub use sources::Flag;

use reader::{AllGiven, Entry, Reader};

/// A configuration without mistakes, and where it came from.
#[derive(Clone, Debug)]
pub struct Loaded {
    /// The settings.
    pub config: Config,
    /// Choices that are allowed and likely to be regretted.
    pub warnings: Vec<Warning>,
    entries: Vec<Entry>,
}

impl Loaded {
    /// The settings in force, as TOML: each value with its source beside it, secrets as `***`.
    pub fn to_toml(&self) -> String {
        print::effective_toml(&self.entries)
    }

    /// The settings in force, as JSON: key path → `value`, `kind`, `source`; secrets as `***`.
    pub fn to_json(&self) -> serde_json::Value {
        print::effective_json(&self.entries)
    }

    /// Who set the key of this path; `None` if there is no such key.
    pub fn source(&self, path: &str) -> Option<&Source> {
        self.entries
            .iter()
            .find(|entry| entry.path == path)
            .map(|entry| &entry.source)
    }
}

impl Config {
    /// Reads the settings: the built-in defaults, over them the file (`file`, else the one that
    /// `PRISM_CONFIG` names, else none), over it the `PRISM_…` variables of `env`, over them
    /// `flags`. Of `env` everything else is ignored, and so is an empty variable.
    ///
    /// The error has every mistake there is, in values that were overridden too.
    pub fn load(
        file: Option<&Path>,
        env: impl IntoIterator<Item = (String, String)>,
        flags: &[Flag],
    ) -> Result<Loaded, ConfigError> {
        let gathered = sources::gather(&described().entries, file, env, flags);
        let mut reader = Reader::new(gathered.given);
        let config = Config::read(&mut reader);
        let mut mistakes = gathered.mistakes;
        mistakes.append(&mut reader.mistakes);
        if !gathered.file_lost {
            mistakes.extend(checks::cross_check(&config, &reader.entries));
        }
        if mistakes.is_empty() {
            Ok(Loaded {
                warnings: checks::warnings(&config),
                config,
                entries: reader.entries,
            })
        } else {
            Err(ConfigError { mistakes })
        }
    }

    /// RabbitMQ's URL, for a command that cannot do without.
    pub fn amqp_url(&self) -> Result<&Redacted, NotSet> {
        self.amqp.url.as_ref().ok_or(NotSet {
            key: "amqp.url",
            variable: "PRISM_AMQP_URL",
            flag: "--amqp-url",
            example: settings::AMQP_EXAMPLE,
        })
    }

    /// Redis's URL, for a command that cannot do without.
    pub fn redis_url(&self) -> Result<&Redacted, NotSet> {
        self.redis.url.as_ref().ok_or(NotSet {
            key: "redis.url",
            variable: "PRISM_REDIS_URL",
            flag: "--redis-url",
            example: settings::REDIS_EXAMPLE,
        })
    }
}

impl Default for Config {
    fn default() -> Self {
        Config::read(&mut Reader::default())
    }
}

/// The default file: every key with its documentation, its default and its variable.
pub fn default_file() -> String {
    let reader = described();
    print::default_file(&reader.entries, &reader.tables)
}

/// All keys and tables, with nothing given.
fn described() -> Reader {
    let mut reader = Reader::new(AllGiven::new());
    Config::read(&mut reader);
    reader
}
