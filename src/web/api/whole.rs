//! Whole numbers in bodies. To JSON `71` and `71.0` are one number, and some programs write only the
//! second.

use std::marker::PhantomData;

use serde::de::{Deserializer, Error, Unexpected, Visitor};

/// Reads a whole number, however it is written.
pub(super) fn number<'de, D: Deserializer<'de>, N: TryFrom<u64>>(
    deserializer: D,
) -> Result<N, D::Error> {
    deserializer.deserialize_any(Whole(PhantomData))
}

/// The same, or null.
pub(super) fn optional<'de, D: Deserializer<'de>, N: TryFrom<u64>>(
    deserializer: D,
) -> Result<Option<N>, D::Error> {
    deserializer.deserialize_any(OrNull(Whole(PhantomData)))
}

/// From here on not every whole number has a floating point number of its own.
const EXACT: f64 = 9_007_199_254_740_992.0;

struct Whole<N>(PhantomData<N>);

impl<N: TryFrom<u64>> Visitor<'_> for Whole<N> {
    type Value = N;

    fn expecting(&self, to: &mut std::fmt::Formatter) -> std::fmt::Result {
        to.write_str("a whole number that is not too large")
    }

    fn visit_u64<E: Error>(self, number: u64) -> Result<N, E> {
        let wrong = |_| E::invalid_value(Unexpected::Unsigned(number), &self);
        N::try_from(number).map_err(wrong)
    }

    fn visit_f64<E: Error>(self, number: f64) -> Result<N, E> {
        if number.fract() != 0.0 || !(0.0..EXACT).contains(&number) {
            return Err(E::invalid_value(Unexpected::Float(number), &self));
        }
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "it is whole, not below 0, and small enough"
        )]
        self.visit_u64(number as u64)
    }
}

struct OrNull<N>(Whole<N>);

impl<N: TryFrom<u64>> Visitor<'_> for OrNull<N> {
    type Value = Option<N>;

    fn expecting(&self, to: &mut std::fmt::Formatter) -> std::fmt::Result {
        self.0.expecting(to)?;
        to.write_str(", or null")
    }

    fn visit_unit<E: Error>(self) -> Result<Option<N>, E> {
        Ok(None)
    }

    fn visit_u64<E: Error>(self, number: u64) -> Result<Option<N>, E> {
        self.0.visit_u64(number).map(Some)
    }

    fn visit_f64<E: Error>(self, number: f64) -> Result<Option<N>, E> {
        self.0.visit_f64(number).map(Some)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Option<u32> {
        number(&mut serde_json::Deserializer::from_str(text)).ok()
    }

    #[test]
    fn a_whole_number_is_taken_however_it_is_written_and_nothing_else_is() {
        for (text, meant) in [
            ("71", Some(71)),
            ("71.0", Some(71)),
            ("7.1e1", Some(71)),
            ("-0.0", Some(0)),
            ("4294967295.0", Some(u32::MAX)),
            ("4294967296.0", None),
            ("4294967296", None),
            ("71.5", None),
            ("-1", None),
            ("-1.0", None),
            ("1e300", None),
            ("\"71\"", None),
            ("true", None),
            ("null", None),
        ] {
            assert_eq!(read(text), meant, "{text}");
        }
    }

    #[test]
    fn null_is_none_where_none_is_meant() {
        let read = |text: &str| {
            let mut json = serde_json::Deserializer::from_str(text);
            optional::<_, u64>(&mut json).ok()
        };
        assert_eq!(read("null"), Some(None));
        assert_eq!(read("5.0"), Some(Some(5)));
        assert_eq!(read("[]"), None);
    }
}
