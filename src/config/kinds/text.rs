//! Kinds that are text with a rule: names, choices, directories, event types, the log filter, secret
//! keys.

use std::path::PathBuf;

use base64::Engine as _;
use base64::alphabet::{self, Alphabet};
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use toml::Value;
use tracing_subscriber::filter::{EnvFilter, LevelFilter};

use super::{ValueKind, each_of, items_of, list, text_of};
use crate::domain::ids::EventType;
use crate::domain::secret::SecretKey;

/// The prefix of everything on the servers.
pub(in crate::config) struct Namespace;

impl ValueKind for Namespace {
    type Value = String;

    fn parse(&self, given: &Value) -> Result<String, String> {
        let text = text_of(given)?;
        let good = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || "._-".contains(c);
        let starts_well = text.starts_with(|c: char| c.is_ascii_lowercase() || c.is_ascii_digit());
        if starts_well && text.len() <= 64 && text.chars().all(good) {
            Ok(text.into())
        } else {
            Err(String::new())
        }
    }

    fn print(&self, value: &String) -> Option<Value> {
        Some(Value::String(value.clone()))
    }

    fn allowed(&self) -> String {
        "1 to 64 of a-z, 0-9, '.', '_' and '-', a letter or digit first".into()
    }
}

/// The name that a worker goes by in the record of attempts.
pub(in crate::config) struct WorkerName;

impl ValueKind for WorkerName {
    type Value = String;

    fn parse(&self, given: &Value) -> Result<String, String> {
        let text = text_of(given)?;
        let good = (1..=128).contains(&text.len()) && text.chars().all(|c| c.is_ascii_graphic());
        if good {
            Ok(text.into())
        } else {
            Err(String::new())
        }
    }

    fn print(&self, value: &String) -> Option<Value> {
        Some(Value::String(value.clone()))
    }

    fn allowed(&self) -> String {
        "1 to 128 printable ASCII characters without spaces".into()
    }

    fn example(&self) -> &'static str {
        "worker-1"
    }
}

/// One of a few words.
pub(in crate::config) struct Choice<T: 'static>(pub &'static [(&'static str, T)]);

impl<T: Copy + PartialEq> ValueKind for Choice<T> {
    type Value = T;

    fn parse(&self, given: &Value) -> Result<T, String> {
        let text = text_of(given)?;
        let chosen = self.0.iter().find(|(word, _)| *word == text);
        chosen.map(|(_, value)| *value).ok_or_else(String::new)
    }

    fn print(&self, value: &T) -> Option<Value> {
        let (word, _) = self.0.iter().find(|(_, choice)| choice == value)?;
        Some(Value::String((*word).into()))
    }

    fn allowed(&self) -> String {
        let words: Vec<_> = self.0.iter().map(|(word, _)| *word).collect();
        format!("one of {}", words.join(", "))
    }
}

/// The event types that the gateway may publish.
pub(in crate::config) struct EventTypes;

impl ValueKind for EventTypes {
    type Value = Vec<EventType>;

    fn parse(&self, given: &Value) -> Result<Vec<EventType>, String> {
        let items = items_of(given)?;
        if items.is_empty() {
            return Err("it is empty: no event would be delivered".into());
        }
        if let Some(twice) = items
            .iter()
            .enumerate()
            .find_map(|(i, item)| items[..i].contains(item).then_some(item))
        {
            return Err(format!("{twice:?} is there twice: leave one out"));
        }
        each_of(&items, |item| {
            EventType::new(item).map_err(|_| format!("{item:?} is none"))
        })
    }

    fn print(&self, value: &Vec<EventType>) -> Option<Value> {
        list(value)
    }

    fn allowed(&self) -> String {
        "a list of event types: words of a-z, 0-9, '_' and '-' with dots between, at most 128 \
         characters each"
            .into()
    }
}

/// A log filter: the directives of `tracing`'s `EnvFilter`.
pub(in crate::config) struct LogFilter;

impl ValueKind for LogFilter {
    type Value = String;

    fn parse(&self, given: &Value) -> Result<String, String> {
        let text = text_of(given)?;
        if text.is_empty() {
            return Err("it is empty".into());
        }
        EnvFilter::builder()
            .parse(text)
            .map_err(|error| error.to_string())?;
        // A bare word is a target to `EnvFilter`, logged at trace: a misspelt level would turn
        // everything off but a target that does not exist.
        let bare =
            |part: &&str| !part.contains(['=', '[', '{']) && part.parse::<LevelFilter>().is_err();
        match text.split(',').map(str::trim).find(bare) {
            Some(word) => Err(format!(
                "{word:?} is no level: for a target write target=level"
            )),
            None => Ok(text.into()),
        }
    }

    fn print(&self, value: &String) -> Option<Value> {
        Some(Value::String(value.clone()))
    }

    fn allowed(&self) -> String {
        "off, error, warn, info, debug or trace, or such with targets, as in info,lapin=warn".into()
    }
}

/// A directory, which need not exist yet.
pub(in crate::config) struct Directory;

impl ValueKind for Directory {
    type Value = PathBuf;

    fn parse(&self, given: &Value) -> Result<PathBuf, String> {
        match text_of(given)? {
            "" => Err("it is empty".into()),
            text => Ok(text.into()),
        }
    }

    fn print(&self, value: &PathBuf) -> Option<Value> {
        Some(Value::String(value.display().to_string()))
    }

    fn allowed(&self) -> String {
        "a directory; it is created if it does not exist".into()
    }
}

/// Keys of 32 bytes, each as text.
pub(in crate::config) struct SecretKeys;

impl SecretKeys {
    /// Reads one. The decoders' own errors quote characters of the key, so they are not passed on.
    fn read(text: &str) -> Result<SecretKey, String> {
        let bytes = match text.len() {
            64 => hex::decode(text).ok(),
            _ => Self::from_base64(text),
        };
        let key = bytes
            .and_then(|bytes| bytes.try_into().ok())
            .map(SecretKey::new);
        key.ok_or_else(|| "make one with: openssl rand -hex 32".into())
    }

    /// Reads either alphabet of Base64, with or without its padding.
    fn from_base64(text: &str) -> Option<Vec<u8>> {
        let decode = |alphabet: &Alphabet| {
            let lenient = GeneralPurposeConfig::new()
                .with_decode_padding_mode(DecodePaddingMode::Indifferent);
            GeneralPurpose::new(alphabet, lenient).decode(text).ok()
        };
        decode(&alphabet::STANDARD).or_else(|| decode(&alphabet::URL_SAFE))
    }
}

impl ValueKind for SecretKeys {
    type Value = Vec<SecretKey>;

    fn parse(&self, given: &Value) -> Result<Vec<SecretKey>, String> {
        let keys = each_of(&items_of(given)?, Self::read)?;
        match keys
            .iter()
            .enumerate()
            .find(|(index, key)| keys[..*index].contains(key))
        {
            Some((_, twice)) => Err(format!("key {} is there twice: leave one out", twice.id())),
            None => Ok(keys),
        }
    }

    /// Each by its id, which says nothing of it.
    fn print(&self, keys: &Vec<SecretKey>) -> Option<Value> {
        let shown: Vec<_> = keys.iter().map(|key| format!("{}:***", key.id())).collect();
        list(&shown)
    }

    fn allowed(&self) -> String {
        "a list of keys, each 32 bytes as 64 hex digits or as Base64".into()
    }

    fn show_given(&self, _: &Value) -> String {
        "***".into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(text: &str) -> Value {
        Value::String(text.into())
    }

    #[test]
    fn a_namespace_is_lower_case_and_starts_with_a_letter_or_digit() {
        for good in ["prism", "p", "0", "eu-1.prism_2", &"a".repeat(64)] {
            assert_eq!(Namespace.parse(&text(good)), Ok(good.into()));
        }
        for wrong in ["", "-a", ".a", "Prism", "a b", "ü", &"a".repeat(65)] {
            assert!(Namespace.parse(&text(wrong)).is_err(), "{wrong}");
        }
        assert!(Namespace.parse(&Value::Integer(5)).is_err());
    }

    #[test]
    fn event_types_are_dotted_words_each_once_and_at_least_one() {
        assert_eq!(
            EventTypes.parse(&text("a.b, c-d_9")),
            Ok(["a.b", "c-d_9"].map(|name| name.parse().unwrap()).into())
        );
        for wrong in [
            "",
            "A",
            "a..b",
            ".a",
            "a.",
            "a,,b",
            "a b",
            "a,a",
            "a.*",
            &"a".repeat(129),
        ] {
            assert!(EventTypes.parse(&text(wrong)).is_err(), "{wrong}");
        }
        let both = EventTypes
            .parse(&text("Good,fine,b!"))
            .expect_err("two are wrong");
        assert!(
            both.contains("\"Good\"") && both.contains("\"b!\"") && !both.contains("fine"),
            "{both}"
        );
        assert!(
            EventTypes
                .parse(&Value::Array(vec![Value::Integer(1)]))
                .is_err()
        );
    }

    #[test]
    fn a_misspelt_log_level_is_not_taken_for_a_target() {
        for good in [
            "info",
            "WARN",
            "off",
            "info,lapin=warn",
            "[attempt{webhook=1}]=debug,info",
        ] {
            assert_eq!(LogFilter.parse(&text(good)), Ok(good.into()));
        }
        for wrong in ["", "inof", "info,lapin", "lapin=inof", "a=b=c"] {
            assert!(LogFilter.parse(&text(wrong)).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_secret_key_is_32_bytes_in_hex_or_either_base64() {
        let key = SecretKey::new([0xfb; 32]);
        let standard = "+/v7+/v7+/v7+/v7+/v7+/v7+/v7+/v7+/v7+/v7+/s=";
        let url_safe = standard.replace('+', "-").replace('/', "_");
        for good in [
            &"fb".repeat(32),
            &"FB".repeat(32),
            standard,
            standard.trim_end_matches('='),
            &url_safe,
        ] {
            assert_eq!(
                SecretKeys.parse(&text(good)).as_deref(),
                Ok(&[key.clone()][..]),
                "{good}"
            );
        }
        let (first, second) = ("fb".repeat(32), "0a".repeat(32));
        let both = SecretKeys.parse(&text(&format!("{first}, {second}")));
        assert_eq!(both, Ok(vec![key.clone(), SecretKey::new([0x0a; 32])]));
        let shown = format!("{:?}", SecretKeys.print(&both.unwrap()));
        assert!(shown.contains(&format!("{}:***", key.id())), "{shown}");
        assert!(!shown.contains("fbfb"), "{shown}");
        let twice = SecretKeys.parse(&text(&format!("{first},{standard}")));
        assert!(twice.unwrap_err().contains("twice"));
        assert_eq!(SecretKeys.parse(&text("")), Ok(Vec::new()));
        for wrong in [
            &format!("{first},"),
            &"fb".repeat(31),
            &"zz".repeat(32),
            "hunter2hunter2",
            &"A".repeat(48),
        ] {
            let reason = SecretKeys.parse(&text(wrong)).expect_err(wrong);
            assert!(wrong.is_empty() || !reason.contains(wrong), "{reason}");
        }
    }
}
