//! Gathers what was given: the file, the environment, the flags; and finds keys that do not exist.
//!
//! Nothing here looks at a value beyond its TOML type. The value of an unknown key is never shown:
//! it may be a secret under a misspelt name.

use std::path::{Path, PathBuf};

use toml::Value;
use toml::de::{DeTable, DeValue};

use super::mistake::{Mistake, Source};
use super::reader::{AllGiven, Entry, Given};
use crate::domain::spelling::nearest;

/// The variable that names the file; a setting of where settings are, hence no key.
const FILE_VARIABLE: &str = "PRISM_CONFIG";

/// The variable with the secret of `listen`, which is a receiver's and not a setting.
const LISTEN_VARIABLE: &str = "PRISM_LISTEN_SECRET";

/// One flag of the command line that sets a key.
#[derive(Clone, PartialEq, Eq)]
pub struct Flag {
    name: &'static str,
    key: String,
    value: Option<String>,
}

impl Flag {
    /// The flag `name` (with its dashes), which sets `key` to `value`.
    pub fn new(name: &'static str, key: &str, value: &str) -> Self {
        Self {
            name,
            key: key.into(),
            value: Some(value.into()),
        }
    }

    /// The argument of `--set`, which should be `KEY=VALUE`; loading reports it if it is not.
    pub fn set(argument: &str) -> Self {
        match argument.split_once('=') {
            Some((key, value)) => Self::new("--set", key.trim(), value),
            None => Self {
                name: "--set",
                key: String::new(),
                value: None,
            },
        }
    }
}

/// The values given for the keys there are, and the mistakes in giving them.
#[derive(Debug, Default)]
pub(super) struct Gathered {
    pub given: AllGiven,
    pub mistakes: Vec<Mistake>,
    /// Whether the file could not be read as TOML, so that nothing is known about its values.
    pub file_lost: bool,
}

/// Gathers everything, in rising precedence.
pub(super) fn gather(
    entries: &[Entry],
    file: Option<&Path>,
    env: impl IntoIterator<Item = (String, String)>,
    flags: &[Flag],
) -> Gathered {
    let env: Vec<_> = env
        .into_iter()
        .filter(|(name, value)| name.starts_with("PRISM_") && !value.is_empty())
        .collect();
    let named_by_variable = || {
        let (name, path) = env.iter().find(|(name, _)| name == FILE_VARIABLE)?;
        Some((PathBuf::from(path), Source::Environment(name.clone())))
    };
    let named_by_flag = file.map(|path| (path.to_path_buf(), Source::Flag("--config".into())));
    let mut gathered = Gathered::default();
    if let Some((path, named_by)) = named_by_flag.or_else(named_by_variable) {
        gathered.read_file(entries, path, named_by);
    }
    for (name, value) in &env {
        gathered.read_variable(entries, name, value);
    }
    for flag in flags {
        gathered.read_flag(entries, flag);
    }
    gathered
}

impl Gathered {
    fn give(&mut self, entry: &Entry, source: Source, value: Value) {
        self.given
            .entry(entry.path)
            .or_default()
            .push(Given { source, value });
    }

    fn mistake(&mut self, key: &str, source: Source, reason: String) {
        self.mistakes.push(Mistake {
            key: key.into(),
            source,
            value: None,
            reason,
        });
    }

    fn read_file(&mut self, entries: &[Entry], path: PathBuf, named_by: Source) {
        let text = match std::fs::read_to_string(&path) {
            Ok(text) => text,
            Err(error) => {
                self.file_lost = true;
                let why = match error.kind() {
                    std::io::ErrorKind::InvalidData => "it is not text in UTF-8".to_owned(),
                    _ => error.to_string(),
                };
                let reason = format!(
                    "the configuration file {} cannot be read: {why}",
                    path.display()
                );
                return self.mistake("", named_by, reason);
            }
        };
        let at = |offset: usize| {
            let line = 1 + text
                .bytes()
                .take(offset)
                .filter(|byte| *byte == b'\n')
                .count();
            Source::File {
                path: path.clone(),
                line,
            }
        };
        let (document, mut errors) = DeTable::parse_recoverable(&text);
        // What the parser makes of a broken file is guesswork: its values are not looked at. Only
        // the message is taken from the error: its full text quotes the line, secrets included.
        self.file_lost = !errors.is_empty();
        let start = |error: &toml::de::Error| error.span().map_or(0, |span| span.start);
        errors.sort_by_key(start);
        for error in errors {
            let reason = format!(
                "not TOML: {}; no value in this file was looked at",
                error.message()
            );
            self.mistake("", at(start(&error)), reason);
        }
        if !self.file_lost {
            self.read_table(entries, "", document.get_ref(), &at);
        }
    }

    fn read_table(
        &mut self,
        entries: &[Entry],
        prefix: &str,
        table: &DeTable<'_>,
        at: &impl Fn(usize) -> Source,
    ) {
        // The parser sorts by name; people read from the top.
        let mut rows: Vec<_> = table.iter().collect();
        rows.sort_by_key(|(name, _)| name.span().start);
        for (name, value) in rows {
            let path = format!("{prefix}{}", name.get_ref());
            let source = at(name.span().start);
            let in_table = |entry: &&Entry| entry.table_and_name().0 == path;
            if let Some(entry) = entries.iter().find(|entry| entry.path == path) {
                self.give(entry, source, plain(value.get_ref()));
            } else if prefix.is_empty() && entries.iter().any(|entry| in_table(&entry)) {
                match value.get_ref() {
                    DeValue::Table(table) => {
                        self.read_table(entries, &format!("{path}."), table, at)
                    }
                    _ => self.mistake(
                        &path,
                        source,
                        format!("is a table: write [{path}] and its keys below"),
                    ),
                }
            } else {
                let reason = match value.get_ref() {
                    DeValue::Table(_) => no_such("table", suggest_table(entries, &path)),
                    _ => no_such("key", suggest_key(entries, &path)),
                };
                self.mistake(&path, source, reason);
            }
        }
    }

    fn read_variable(&mut self, entries: &[Entry], name: &str, value: &str) {
        let not_a_setting =
            name == FILE_VARIABLE || name == LISTEN_VARIABLE || name.starts_with("PRISM_TEST_");
        if not_a_setting || is_service_link(name, value) {
            return;
        }
        let source = Source::Environment(name.into());
        match entries.iter().find(|entry| entry.variable() == name) {
            Some(entry) => self.give(entry, source, Value::String(value.into())),
            None => {
                let variables: Vec<_> = entries.iter().map(Entry::variable).collect();
                let bare = |name: &str| name.trim_start_matches("PRISM_").to_owned();
                let near = nearest(
                    &bare(name),
                    variables
                        .iter()
                        .map(|variable| (bare(variable), variable.clone())),
                );
                self.mistake("", source, no_such("variable", near));
            }
        }
    }

    fn read_flag(&mut self, entries: &[Entry], flag: &Flag) {
        let entry = entries.iter().find(|entry| entry.path == flag.key);
        match (entry, &flag.value) {
            (Some(entry), Some(value)) => {
                self.give(
                    entry,
                    Source::Flag(flag.name.into()),
                    Value::String(value.clone()),
                );
            }
            (None, Some(_)) => {
                self.mistake(
                    &flag.key,
                    Source::Flag(flag.name.into()),
                    no_such("key", suggest_key(entries, &flag.key)),
                );
            }
            // The argument is not shown: it may be a secret with another sign for "=".
            (_, None) => {
                let reason = "must be KEY=VALUE, as in --set retry.initial=10s".into();
                self.mistake("", Source::Flag(flag.name.into()), reason);
            }
        }
    }
}

/// A value without its places in the file.
fn plain(value: &DeValue<'_>) -> Value {
    match value {
        DeValue::String(text) => Value::String(text.to_string()),
        // Too large for 64 bits is too large for every key, and says so as text.
        DeValue::Integer(number) => i64::from_str_radix(number.as_str(), number.radix())
            .map_or_else(|_| Value::String(number.to_string()), Value::Integer),
        DeValue::Float(number) => number
            .as_str()
            .parse()
            .map_or_else(|_| Value::String(number.to_string()), Value::Float),
        DeValue::Boolean(on) => Value::Boolean(*on),
        DeValue::Datetime(time) => Value::Datetime(*time),
        DeValue::Array(items) => {
            Value::Array(items.iter().map(|item| plain(item.get_ref())).collect())
        }
        DeValue::Table(table) => Value::Table(
            table
                .iter()
                .map(|(name, value)| (name.to_string(), plain(value.get_ref())))
                .collect(),
        ),
    }
}

/// Whether a variable is one of those that Kubernetes and Docker set for each service in reach,
/// such as `PRISM_WEBHOOKS_SERVICE_HOST` for a service named `prism-webhooks`: nobody's mistake.
fn is_service_link(name: &str, value: &str) -> bool {
    let of_a_port = || {
        let (_, port) = name.rsplit_once("_PORT_")?;
        let (number, rest) = port.split_once('_')?;
        let known = ["TCP", "UDP", "SCTP"]
            .iter()
            .any(|protocol| rest.starts_with(protocol));
        Some(known && number.bytes().all(|byte| byte.is_ascii_digit()))
    };
    name.ends_with("_SERVICE_HOST")
        || name.ends_with("_SERVICE_PORT")
        || name.contains("_SERVICE_PORT_")
        || (name.ends_with("_PORT") && value.contains("://"))
        || of_a_port().unwrap_or(false)
}

fn no_such(what: &str, near: Option<String>) -> String {
    match near {
        Some(near) => format!("there is no such {what}; did you mean {near}?"),
        None => format!("there is no such {what}; `config default` lists them all"),
    }
}

fn suggest_table(entries: &[Entry], path: &str) -> Option<String> {
    let tables = entries
        .iter()
        .map(|entry| entry.table_and_name().0)
        .filter(|table| !table.is_empty());
    nearest(path, tables.map(|table| (table, format!("[{table}]"))))
}

/// A key of the same name elsewhere, else the one whose path looks most alike.
fn suggest_key(entries: &[Entry], path: &str) -> Option<String> {
    let name = path.rsplit('.').next().unwrap_or(path);
    let elsewhere = entries
        .iter()
        .find(|entry| entry.table_and_name().1 == name);
    let paths = || {
        entries
            .iter()
            .map(|entry| (entry.path.to_owned(), entry.path.to_owned()))
    };
    elsewhere
        .map(|entry| entry.path.into())
        .or_else(|| nearest(path, paths()))
}

#[cfg(test)]
mod tests {
    use super::is_service_link;

    #[test]
    fn variables_that_an_orchestrator_sets_for_services_are_told_from_ours() {
        for (name, value) in [
            ("PRISM_WEBHOOKS_SERVICE_HOST", "10.0.0.1"),
            ("PRISM_WEBHOOKS_SERVICE_PORT", "8080"),
            ("PRISM_WEBHOOKS_SERVICE_PORT_HTTP", "8080"),
            ("PRISM_WEBHOOKS_PORT", "tcp://10.0.0.1:8080"),
            ("PRISM_WEBHOOKS_PORT_8080_TCP", "tcp://10.0.0.1:8080"),
            ("PRISM_WEBHOOKS_PORT_8080_TCP_ADDR", "10.0.0.1"),
        ] {
            assert!(is_service_link(name, value), "{name}");
        }
        for (name, value) in [
            ("PRISM_PORT", "8080"),
            ("PRISM_AMQP_URL", "amqp://x"),
            ("PRISM_PORT_X_TCP", ""),
        ] {
            assert!(!is_service_link(name, value), "{name}");
        }
    }
}
