//! Changing a webhook's document without touching what this version does not know.
//!
//! The control plane may be newer than we are and keep fields of its own: what is not changed is
//! stored again byte for byte, numbers beyond our precision included.

use std::collections::{BTreeMap, BTreeSet};

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::value::{RawValue, to_raw_value};

/// The fields of a JSON object, each as it was written.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(super) struct Fields(BTreeMap<String, Box<RawValue>>);

impl Fields {
    /// Reads a JSON object.
    pub(super) fn read(json: &[u8]) -> Result<Self, serde_json::Error> {
        serde_json::from_slice(json).map(Self)
    }

    /// Sets a field, or removes it if `value` is null.
    pub(super) fn set<T: Serialize + ?Sized>(
        &mut self,
        name: &str,
        value: &T,
    ) -> Result<(), serde_json::Error> {
        let raw = to_raw_value(value)?;
        if raw.get() == "null" {
            self.0.remove(name);
        } else {
            self.0.insert(name.to_owned(), raw);
        }
        Ok(())
    }

    /// Reads one field; its default if there is none, or null.
    pub(super) fn get<T: DeserializeOwned + Default>(
        &self,
        name: &str,
    ) -> Result<T, serde_json::Error> {
        match self.0.get(name) {
            Some(raw) if raw.get() != "null" => serde_json::from_str(raw.get()),
            _ => Ok(T::default()),
        }
    }

    /// The names of the fields that are not written as in `other`, or are in one of both alone.
    pub(super) fn differing<'a>(&'a self, other: &'a Self) -> BTreeSet<&'a str> {
        let text = |fields: &Self, name: &str| fields.0.get(name).map(|raw| raw.get().to_owned());
        let names = self.0.keys().chain(other.0.keys()).map(String::as_str);
        names
            .filter(|name| text(self, name) != text(other, name))
            .collect()
    }

    /// The object as JSON.
    pub(super) fn to_json(&self) -> Result<String, serde_json::Error> {
        serde_json::to_string(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_changed_stays_byte_for_byte() {
        let json = br#"{"a":1,"big":123456789012345678901234567890,"z":{"x": [1.10, null]}}"#;
        let mut fields = Fields::read(json).unwrap();
        fields.set("a", &2).unwrap();
        fields.set("new", "n").unwrap();
        fields.set("z2", &None::<u32>).unwrap();
        assert_eq!(
            fields.to_json().unwrap(),
            r#"{"a":2,"big":123456789012345678901234567890,"new":"n","z":{"x": [1.10, null]}}"#
        );
        assert_eq!(fields.get::<u32>("a").unwrap(), 2);
        assert_eq!(fields.get::<u32>("absent").unwrap(), 0);
        let null = Fields::read(br#"{"a": null}"#).unwrap();
        assert!(null.get::<Vec<u32>>("a").unwrap().is_empty());
    }
}
