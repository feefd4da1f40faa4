//! What is wrong with a configuration, and where it was said.

use std::{fmt, path::PathBuf};

use serde::{Serialize, Serializer};

/// Where a value came from, in rising precedence.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Source {
    /// Nobody said anything: the built-in default.
    Default,
    /// The configuration file.
    File {
        /// The file, as it was named.
        path: PathBuf,
        /// Its line, counted from 1; 0 when the file as a whole is meant.
        line: usize,
    },
    /// The environment variable of this name.
    Environment(String),
    /// The flag of this name, with its dashes.
    Flag(String),
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Source::Default => f.write_str("default"),
            Source::File { path, line: 0 } => write!(f, "{}", path.display()),
            Source::File { path, line } => write!(f, "{}:{line}", path.display()),
            Source::Environment(name) | Source::Flag(name) => f.write_str(name),
        }
    }
}

impl Serialize for Source {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// One thing wrong, with what it takes to mend it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Mistake {
    /// The key's path, such as `retry.initial`; empty when no key is meant, as in a file that
    /// cannot be read.
    pub key: String,
    /// Where it was said.
    pub source: Source,
    /// The value as it was given, without secrets; `None` where there is none to show: an unknown
    /// key may be a misspelt secret one.
    pub value: Option<String>,
    /// The mistake, and how to mend it.
    pub reason: String,
}

impl fmt::Display for Mistake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: ", self.source)?;
        match (self.key.as_str(), &self.value) {
            ("", _) => {}
            (key, Some(value)) => write!(f, "{key} = {value}: ")?,
            (key, None) => write!(f, "{key}: ")?,
        }
        f.write_str(&self.reason)
    }
}

/// Everything that is wrong with a configuration. Never empty.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub struct ConfigError {
    /// The mistakes: those of reading first, then those of single keys, then those of keys that do
    /// not go together.
    pub mistakes: Vec<Mistake>,
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.mistakes.len() {
            1 => f.write_str("the configuration has a mistake:")?,
            count => write!(f, "the configuration has {count} mistakes:")?,
        }
        self.mistakes
            .iter()
            .try_for_each(|mistake| write!(f, "\n  {mistake}"))
    }
}

/// A choice that is allowed and likely to be regretted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Warning {
    /// The keys that together make it so.
    pub keys: Vec<&'static str>,
    /// The consequence, and what to change.
    pub reason: String,
}

impl fmt::Display for Warning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.keys.join(", "), self.reason)
    }
}

/// A connection URL that the command at hand needs and nobody gave.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "{variable} is not set; set it to e.g. {example} (or give {flag}, or {key} in the configuration file)"
)]
pub struct NotSet {
    /// The key's path.
    pub key: &'static str,
    /// Its environment variable.
    pub variable: &'static str,
    /// Its flag.
    pub flag: &'static str,
    /// A value that it might have.
    pub example: &'static str,
}
