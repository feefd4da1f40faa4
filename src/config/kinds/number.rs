//! Kinds that measure or count: whole numbers, factors, durations, sizes, and switches.

use std::{fmt::Display, ops::RangeInclusive, time::Duration};

use toml::Value;

use super::{ValueKind, text_of};
use crate::config::units::{parse_duration, parse_size, print_duration, print_size};

/// `value`, if the range has it.
fn within<T: PartialOrd>(value: T, range: &RangeInclusive<T>) -> Result<T, String> {
    // Which bound is broken can be seen beside the value, which the mistake shows.
    if range.contains(&value) {
        Ok(value)
    } else {
        Err(String::new())
    }
}

/// A count within a range.
pub(in crate::config) struct Whole<T>(pub RangeInclusive<T>);

impl<T> ValueKind for Whole<T>
where
    T: Copy + PartialOrd + Display + TryFrom<i64> + TryInto<i64>,
{
    type Value = T;

    fn parse(&self, given: &Value) -> Result<T, String> {
        let number = match given {
            Value::Integer(number) => Some(*number),
            Value::String(text) => text.trim().parse().ok(),
            _ => None,
        };
        let number = number.ok_or("")?;
        within(T::try_from(number).map_err(|_| "")?, &self.0)
    }

    fn print(&self, value: &T) -> Option<Value> {
        (*value).try_into().ok().map(Value::Integer)
    }

    fn allowed(&self) -> String {
        format!("a whole number from {} to {}", self.0.start(), self.0.end())
    }
}

/// A number, not necessarily whole, within a range.
pub(in crate::config) struct Factor(pub RangeInclusive<f64>);

impl ValueKind for Factor {
    type Value = f64;

    fn parse(&self, given: &Value) -> Result<f64, String> {
        let number = match given {
            Value::Float(number) => Some(*number),
            // Beyond 2^53 this rounds, far outside every range.
            Value::Integer(number) => Some(*number as f64),
            Value::String(text) => text.trim().parse().ok(),
            _ => None,
        };
        within(number.ok_or("")?, &self.0)
    }

    fn print(&self, value: &f64) -> Option<Value> {
        Some(Value::Float(*value))
    }

    fn allowed(&self) -> String {
        format!("a number from {} to {}", self.0.start(), self.0.end())
    }
}

/// A duration within a range.
pub(in crate::config) struct DurationIn(pub RangeInclusive<Duration>);

impl ValueKind for DurationIn {
    type Value = Duration;

    fn parse(&self, given: &Value) -> Result<Duration, String> {
        if given.is_integer() || given.is_float() {
            return Err("it has no unit: write it as text, as in \"10s\"".into());
        }
        within(parse_duration(text_of(given)?)?, &self.0)
    }

    fn print(&self, value: &Duration) -> Option<Value> {
        Some(Value::String(print_duration(*value)))
    }

    fn allowed(&self) -> String {
        format!(
            "a duration from {} to {}",
            print_duration(*self.0.start()),
            print_duration(*self.0.end())
        )
    }
}

/// A number of bytes within a range.
pub(in crate::config) struct Size(pub RangeInclusive<usize>);

impl ValueKind for Size {
    type Value = usize;

    fn parse(&self, given: &Value) -> Result<usize, String> {
        let bytes = match given {
            Value::Integer(bytes) => u64::try_from(*bytes).map_err(|_| "")?,
            given => parse_size(text_of(given)?)?,
        };
        within(usize::try_from(bytes).map_err(|_| "")?, &self.0)
    }

    fn print(&self, value: &usize) -> Option<Value> {
        Some(Value::String(print_size(*value as u64)))
    }

    fn allowed(&self) -> String {
        let (least, most) = (*self.0.start() as u64, *self.0.end() as u64);
        format!("a size from {} to {}", print_size(least), print_size(most))
    }
}

/// On or off.
pub(in crate::config) struct Switch;

impl ValueKind for Switch {
    type Value = bool;

    fn parse(&self, given: &Value) -> Result<bool, String> {
        match given {
            Value::Boolean(on) => Ok(*on),
            Value::String(text) => text.trim().parse().map_err(|_| String::new()),
            _ => Err(String::new()),
        }
    }

    fn print(&self, value: &bool) -> Option<Value> {
        Some(Value::Boolean(*value))
    }

    fn allowed(&self) -> String {
        "true or false".into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(text: &str) -> Value {
        Value::String(text.into())
    }

    #[test]
    fn a_whole_number_is_taken_typed_or_as_text_within_its_range() {
        let kind = Whole(1_u16..=100);
        assert_eq!(kind.parse(&Value::Integer(100)), Ok(100));
        assert_eq!(kind.parse(&text(" 7 ")), Ok(7));
        for wrong in [
            Value::Integer(0),
            Value::Integer(101),
            Value::Integer(70_000),
            text("1.0"),
            text(""),
            Value::Boolean(true),
        ] {
            assert!(kind.parse(&wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_factor_refuses_what_is_no_finite_number() {
        let kind = Factor(1.0..=10.0);
        assert_eq!(kind.parse(&Value::Integer(3)), Ok(3.0));
        assert_eq!(kind.parse(&text("2.5")), Ok(2.5));
        for wrong in ["nan", "inf", "-3", "0.99", "10.01", "three"] {
            assert!(kind.parse(&text(wrong)).is_err(), "{wrong}");
        }
        assert!(kind.parse(&Value::Float(f64::NAN)).is_err());
    }

    #[test]
    fn a_duration_needs_a_unit_and_keeps_its_bounds() {
        let kind = DurationIn(Duration::from_secs(1)..=Duration::from_secs(60));
        assert_eq!(kind.parse(&text("1m")), Ok(Duration::from_secs(60)));
        assert!(kind.parse(&text("61s")).is_err());
        assert!(kind.parse(&text("999ms")).is_err());
        assert!(
            kind.parse(&Value::Integer(10))
                .is_err_and(|reason| reason.contains("unit"))
        );
        assert_eq!(kind.allowed(), "a duration from 1s to 1m");
    }

    #[test]
    fn a_size_may_be_a_plain_number_of_bytes() {
        let kind = Size(1024..=65_536);
        assert_eq!(kind.parse(&Value::Integer(2048)), Ok(2048));
        assert_eq!(kind.parse(&text("64KiB")), Ok(65_536));
        for wrong in [
            Value::Integer(-1),
            Value::Integer(1023),
            text("64KB"),
            text("65KiB"),
            Value::Boolean(false),
        ] {
            assert!(kind.parse(&wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_switch_is_true_or_false_and_nothing_like_it() {
        assert_eq!(Switch.parse(&text("true")), Ok(true));
        assert_eq!(Switch.parse(&Value::Boolean(false)), Ok(false));
        for wrong in [text("yes"), text("1"), text("TRUE"), Value::Integer(1)] {
            assert!(Switch.parse(&wrong).is_err(), "{wrong}");
        }
    }
}
