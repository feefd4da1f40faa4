//! Durations (`1m30s`) and sizes (`64KiB`) as text, there and back.
//!
//! Stricter than the usual libraries on purpose: a unit is always written, no month or year (they
//! have no fixed length), no `MB` (nobody knows which), no fractions. What is read back prints as
//! the same value.

use std::time::Duration;

/// The units of a duration, longest first, with their length in milliseconds.
const DURATION_UNITS: [(&str, u64); 5] = [
    ("d", 86_400_000),
    ("h", 3_600_000),
    ("m", 60_000),
    ("s", 1_000),
    ("ms", 1),
];

/// The units of a size, largest first, with their length in bytes.
const SIZE_UNITS: [(&str, u64); 4] = [
    ("GiB", 1 << 30),
    ("MiB", 1 << 20),
    ("KiB", 1 << 10),
    ("B", 1),
];

/// Reads `250ms`, `10s`, `1m30s`, `6h`, `3d`: whole numbers with a unit each, longest unit first.
///
/// The error says what is wrong, to follow "must be a duration; ".
pub(super) fn parse_duration(text: &str) -> Result<Duration, String> {
    let mut rest = text.trim();
    if rest.is_empty() {
        return Err("it is empty".into());
    }
    let mut total: u64 = 0;
    let mut units = DURATION_UNITS.iter();
    while !rest.is_empty() {
        let (number, unit, after) = split_number(rest);
        let Some(number) = number else {
            return Err("it is not whole numbers with a unit each, as in 90s or 1h30m".into());
        };
        if unit.is_empty() {
            return Err(format!(
                "{number} has no unit: write ms, s, m, h or d behind it"
            ));
        }
        if !DURATION_UNITS.iter().any(|(name, _)| *name == unit) {
            return Err(format!("{unit:?} is not a unit: use ms, s, m, h or d"));
        }
        // The iterator goes on from the last unit used, so that each unit comes once and in order.
        let Some((_, length)) = units.find(|(name, _)| *name == unit) else {
            return Err("its units must come once each, the longest first, as in 1h30m".into());
        };
        total = number
            .parse::<u64>()
            .ok()
            .and_then(|number| number.checked_mul(*length))
            .and_then(|part| total.checked_add(part))
            .ok_or("it is too long")?;
        rest = after;
    }
    Ok(Duration::from_millis(total))
}

/// Prints a duration as [`parse_duration`] reads it; what is below a millisecond is cut off.
pub(super) fn print_duration(duration: Duration) -> String {
    let mut rest = u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
    if rest == 0 {
        return "0s".into();
    }
    let mut text = String::new();
    for (unit, length) in DURATION_UNITS {
        if rest >= length {
            text.push_str(&format!("{}{unit}", rest / length));
            rest %= length;
        }
    }
    text
}

/// Reads `64KiB`, `1MiB`, `512B` or a plain number of bytes.
///
/// The error says what is wrong, to follow "must be a size; ".
pub(super) fn parse_size(text: &str) -> Result<u64, String> {
    let text = text.trim();
    let (Some(number), unit, "") = split_number(text) else {
        return Err("it is not a whole number with a unit, as in 64KiB".into());
    };
    let length = match unit {
        "" => 1,
        _ => SIZE_UNITS
            .iter()
            .find(|(name, _)| *name == unit)
            .map(|(_, length)| *length)
            .ok_or_else(|| {
                format!("{unit:?} is not a unit: use B, KiB, MiB or GiB (1KiB is 1024B)")
            })?,
    };
    let bytes = number
        .parse::<u64>()
        .ok()
        .and_then(|number| number.checked_mul(length));
    bytes.ok_or_else(|| "it is too large".into())
}

/// Prints a size in the largest unit that it is a whole number of.
pub(super) fn print_size(bytes: u64) -> String {
    let fits = |length: u64| bytes >= length && bytes.is_multiple_of(length);
    match SIZE_UNITS.into_iter().find(|(_, length)| fits(*length)) {
        Some((unit, length)) => format!("{}{unit}", bytes / length),
        None => "0B".into(),
    }
}

/// Splits `12ab34` into the number's digits, the unit behind them and the rest.
fn split_number(text: &str) -> (Option<&str>, &str, &str) {
    let end = text
        .find(|c: char| !c.is_ascii_digit())
        .unwrap_or(text.len());
    let (number, rest) = text.split_at(end);
    let end = rest
        .find(|c: char| !c.is_alphabetic())
        .unwrap_or(rest.len());
    let (unit, rest) = rest.split_at(end);
    ((!number.is_empty()).then_some(number), unit, rest)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn durations_are_read() {
        let cases = [
            ("0s", 0),
            ("250ms", 250),
            ("10s", 10_000),
            ("90s", 90_000),
            ("1m30s", 90_000),
            ("6h", 21_600_000),
            ("3d", 259_200_000),
            ("1d2h3m4s5ms", 93_784_005),
            (" 5s ", 5_000),
        ];
        for (text, millis) in cases {
            assert_eq!(
                parse_duration(text),
                Ok(Duration::from_millis(millis)),
                "{text}"
            );
        }
    }

    #[test]
    fn what_is_no_plain_duration_is_refused_with_the_cause() {
        let cases = [
            ("", "empty"),
            ("10", "no unit"),
            ("1h30", "no unit"),
            ("s", "whole numbers"),
            ("-5s", "whole numbers"),
            ("1.5h", "no unit"),
            ("3 d", "no unit"),
            ("1M", "\"M\" is not a unit"),
            ("1month", "\"month\" is not a unit"),
            ("2y", "\"y\" is not a unit"),
            ("1w", "\"w\" is not a unit"),
            ("10µs", "\"µs\" is not a unit"),
            ("30s1m", "longest first"),
            ("1s1s", "longest first"),
            ("99999999999999999999s", "too long"),
            ("18446744073709551615d", "too long"),
        ];
        for (text, cause) in cases {
            let error = parse_duration(text).expect_err(text);
            assert!(error.contains(cause), "{text}: {error}");
        }
    }

    #[test]
    fn sizes_are_read() {
        let cases = [
            ("0", 0),
            ("1000", 1000),
            ("512B", 512),
            ("64KiB", 65_536),
            ("1MiB", 1 << 20),
            ("2GiB", 2 << 30),
        ];
        for (text, bytes) in cases {
            assert_eq!(parse_size(text), Ok(bytes), "{text}");
        }
    }

    #[test]
    fn what_is_no_plain_size_is_refused_with_the_cause() {
        let cases = [
            ("", "whole number"),
            ("KiB", "whole number"),
            ("1.5MiB", "whole number"),
            ("1MiB2KiB", "whole number"),
            ("1MB", "\"MB\" is not a unit"),
            ("1kib", "\"kib\" is not a unit"),
            ("18446744073709551615KiB", "too large"),
        ];
        for (text, cause) in cases {
            let error = parse_size(text).expect_err(text);
            assert!(error.contains(cause), "{text}: {error}");
        }
    }

    proptest! {
        #[test]
        fn a_printed_duration_reads_back_as_the_same(millis in any::<u64>()) {
            let duration = Duration::from_millis(millis);
            prop_assert_eq!(parse_duration(&print_duration(duration)), Ok(duration));
        }

        #[test]
        fn a_printed_size_reads_back_as_the_same(bytes in any::<u64>(), shift in 0_u32..40) {
            let bytes = bytes >> shift << shift;
            prop_assert_eq!(parse_size(&print_size(bytes)), Ok(bytes));
        }

        #[test]
        fn no_text_makes_the_parsers_panic(text in ".*") {
            let _ = (parse_duration(&text), parse_size(&text));
        }
    }
}
