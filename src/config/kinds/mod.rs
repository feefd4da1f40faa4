//! The kinds of values that keys have: how each is read, printed, and described to people.
//!
//! A kind knows its allowed range, so that the default file states exactly what is enforced.

mod address;
mod number;
mod text;
mod token;

pub(super) use address::{ConnectionUrl, ListenAddress, Networks};
pub(super) use number::{DurationIn, Factor, Size, Switch, Whole};
pub(super) use text::{
    Choice, Directory, EventTypes, LogFilter, Namespace, SecretKeys, WorkerName,
};
pub(super) use token::ApiTokens;

use toml::Value;

/// How the values of a key are read and shown.
pub(super) trait ValueKind {
    /// The type that the program gets.
    type Value;

    /// Reads a value as it was given: typed from the file, text from elsewhere.
    ///
    /// The error says what is wrong beyond "must be [`allowed`](ValueKind::allowed)", or nothing. It
    /// never has a secret in it.
    fn parse(&self, given: &Value) -> Result<Self::Value, String>;

    /// The value as the file would have it, without secrets; `None` when it is not set.
    fn print(&self, value: &Self::Value) -> Option<Value>;

    /// Returns what is allowed, to follow "must be ".
    fn allowed(&self) -> String;

    /// A value as it was given, right or wrong, for an error: without secrets.
    fn show_given(&self, given: &Value) -> String {
        match given {
            Value::String(text) if text.chars().count() > SHOWN => {
                format!("{:?}…", text.chars().take(SHOWN).collect::<String>())
            }
            Value::String(text) => format!("{text:?}"),
            Value::Table(_) => "{…}".into(),
            other => other.to_string(),
        }
    }

    /// Returns what stands in the default file for a key without a default.
    fn example(&self) -> &'static str {
        ""
    }
}

/// At most this many characters of a wrong value are shown: enough to recognise it.
const SHOWN: usize = 80;

/// A key that may be left unset.
pub(super) struct Optional<K>(pub K);

impl<K: ValueKind> ValueKind for Optional<K> {
    type Value = Option<K::Value>;

    fn parse(&self, given: &Value) -> Result<Self::Value, String> {
        self.0.parse(given).map(Some)
    }

    fn print(&self, value: &Self::Value) -> Option<Value> {
        value.as_ref().and_then(|value| self.0.print(value))
    }

    fn allowed(&self) -> String {
        self.0.allowed()
    }

    fn show_given(&self, given: &Value) -> String {
        self.0.show_given(given)
    }

    fn example(&self) -> &'static str {
        self.0.example()
    }
}

/// The text of a value that must be one.
fn text_of(given: &Value) -> Result<&str, String> {
    given
        .as_str()
        .map(str::trim)
        .ok_or_else(|| "it is not text: put it in quotes".into())
}

/// The items of a list: an array of texts, or one text with commas.
fn items_of(given: &Value) -> Result<Vec<&str>, String> {
    match given {
        Value::String(text) if text.trim().is_empty() => Ok(Vec::new()),
        Value::String(text) => Ok(text.split(',').map(str::trim).collect()),
        Value::Array(items) => items.iter().map(text_of).collect(),
        _ => Err("it is not a list: write [\"…\", \"…\"]".into()),
    }
}

/// Reads every item of a list and tells of all that are wrong.
fn each_of<T>(items: &[&str], read: impl Fn(&str) -> Result<T, String>) -> Result<Vec<T>, String> {
    let (mut values, mut wrong) = (Vec::new(), Vec::new());
    for item in items {
        match read(item) {
            Ok(value) => values.push(value),
            Err(reason) => wrong.push(reason),
        }
    }
    if wrong.is_empty() {
        Ok(values)
    } else {
        Err(wrong.join("; "))
    }
}

/// A list of texts as the file would have it.
fn list<T: ToString>(items: &[T]) -> Option<Value> {
    Some(Value::Array(
        items
            .iter()
            .map(|item| Value::String(item.to_string()))
            .collect(),
    ))
}
