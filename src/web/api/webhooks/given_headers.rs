//! A webhook's own headers as a body gives them. JSON does not forbid a name twice, and of two only one
//! would be sent.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::fmt;

use serde::de::{Deserialize, Deserializer, Error, MapAccess, Visitor};

/// Headers by their names, none of them given twice.
#[derive(Debug, Default)]
pub(super) struct GivenHeaders(pub BTreeMap<String, String>);

impl<'de> Deserialize<'de> for GivenHeaders {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(Once)
    }
}

struct Once;

impl<'de> Visitor<'de> for Once {
    type Value = GivenHeaders;

    fn expecting(&self, to: &mut fmt::Formatter) -> fmt::Result {
        to.write_str("a map")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<GivenHeaders, A::Error> {
        let mut headers = BTreeMap::new();
        while let Some((name, value)) = map.next_entry::<String, String>()? {
            match headers.entry(name) {
                Entry::Vacant(place) => place.insert(value),
                Entry::Occupied(one) => {
                    let problem = format!("the header {:?} is given twice", one.key());
                    return Err(A::Error::custom(problem));
                }
            };
        }
        Ok(GivenHeaders(headers))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_two_headers_with_one_name_none_is_dropped_unheard() {
        let read = |text: &str| serde_json::from_str::<GivenHeaders>(text);
        assert_eq!(read(r#"{"A":"1","a":"2"}"#).unwrap().0.len(), 2);
        let said = read(r#"{"A":"1","A":"2"}"#).unwrap_err().to_string();
        assert!(said.contains("\"A\" is given twice"), "{said}");
    }
}
