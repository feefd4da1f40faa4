//! What a `Retry-After` header asks for: seconds, or an HTTP date (RFC 9110, 10.2.3); and what
//! receivers write instead, by the nearest meaning that makes sense.

use std::time::Duration;

use jiff::fmt::rfc2822::DateTimeParser;
use jiff::{SignedDuration, Timestamp};

/// So far ahead of now, a number of seconds is no longer a wait but a time.
const EPOCH_REACH: Duration = Duration::from_secs(366 * 24 * 3600);

/// The longest of the waits that `values` ask for at `now`, so that none of them is disregarded; a
/// date in the past asks for none. `None` if there is no wait to be read in any of them.
pub fn parse<'a>(values: impl IntoIterator<Item = &'a str>, now: Timestamp) -> Option<Duration> {
    values
        .into_iter()
        .filter_map(|text| parse_one(text, now).or_else(|| parse_joined(text, now)))
        .max()
}

/// Several headers that a proxy on the way has made one of, with commas (RFC 9110, 5.3). A date has a
/// comma of its own.
fn parse_joined(text: &str, now: Timestamp) -> Option<Duration> {
    let parts: Vec<&str> = text.split(',').collect();
    let alone = parts.iter().filter_map(|part| parse_one(part, now));
    let dates = parts.windows(2).map(|pair| pair.join(","));
    let dates = dates.filter_map(|date| parse_one(&date, now));
    alone.chain(dates).max()
}

fn parse_one(text: &str, now: Timestamp) -> Option<Duration> {
    let text = text.trim().trim_matches('"').trim();
    if let Some(seconds) = seconds(text) {
        let time = since_epoch(seconds, now).or_else(|| since_epoch(seconds / 1000, now));
        return Some(time.unwrap_or(Duration::from_secs(seconds)));
    }
    // A date that is too far away to be told is still a wish for a very long wait.
    let date = match httpdate::parse_http_date(text) {
        Ok(date) => Timestamp::try_from(date).unwrap_or(Timestamp::MAX),
        Err(_) => match other_date(text) {
            Some(date) => date,
            None => return with_unit(text),
        },
    };
    Some(until(date, now))
}

/// A number with its unit, begun seconds counted whole: `30s`, `2 minutes`, `PT2M`.
fn with_unit(text: &str) -> Option<Duration> {
    let wait: SignedDuration = text.parse().ok()?;
    let wait = Duration::try_from(wait).unwrap_or(Duration::ZERO);
    let begun = u64::from(wait.subsec_nanos() > 0);
    Some(Duration::from_secs(wait.as_secs().saturating_add(begun)))
}

/// A number of seconds, begun ones counted whole: never sooner than it says.
fn seconds(text: &str) -> Option<u64> {
    let text = text.strip_prefix('+').unwrap_or(text);
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    let is_number = |part: &str| part.bytes().all(|b| b.is_ascii_digit());
    if whole.is_empty() && fraction.is_empty() || !is_number(whole) || !is_number(fraction) {
        return None;
    }
    // More digits than fit are still a wish for a very long wait.
    let whole: u64 = match whole {
        "" => 0,
        digits => digits.parse().unwrap_or(u64::from(u32::MAX)),
    };
    let begun = fraction.bytes().any(|b| b != b'0');
    Some(whole.saturating_add(u64::from(begun)))
}

/// The wait until a time that is told as seconds since 1970, as some do, or as milliseconds: `None` if
/// `seconds` are none near `now`.
fn since_epoch(seconds: u64, now: Timestamp) -> Option<Duration> {
    let date = Timestamp::from_second(i64::try_from(seconds).ok()?).ok()?;
    let apart = Duration::try_from(date.duration_since(now).abs()).ok()?;
    (apart <= EPOCH_REACH).then(|| until(date, now))
}

/// Dates of e-mail, which some send with a zone of their own, and those of the Internet (RFC 3339).
fn other_date(text: &str) -> Option<Timestamp> {
    let of_mail = DateTimeParser::new().parse_timestamp(text);
    of_mail.or_else(|_| text.parse()).ok()
}

fn until(date: Timestamp, now: Timestamp) -> Duration {
    Duration::try_from(date.duration_since(now)).unwrap_or(Duration::ZERO)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn now() -> Timestamp {
        "2026-11-23T12:00:00Z".parse().unwrap()
    }

    fn asked(text: &str) -> Option<u64> {
        parse([text], now()).map(|wait| wait.as_secs())
    }

    #[test]
    fn both_forms_are_read() {
        assert_eq!(asked("0"), Some(0));
        assert_eq!(asked(" 90 "), Some(90));
        assert_eq!(asked("Mon, 23 Nov 2026 12:02:00 GMT"), Some(120));
        assert_eq!(asked("Mon, 23 Nov 2026 11:00:00 GMT"), Some(0));
    }

    #[test]
    fn all_three_forms_of_an_http_date_are_read_and_what_else_is_a_date() {
        for date in [
            "Mon, 23 Nov 2026 12:02:00 GMT",
            "Monday, 23-Nov-26 12:02:00 GMT",
            "Mon Nov 23 12:02:00 2026",
            "Mon, 23 Nov 2026 13:02:00 +0100",
            "2026-11-23T12:02:00Z",
            "2026-11-23T13:02:00+01:00",
        ] {
            assert_eq!(asked(date), Some(120), "{date}");
        }
    }

    #[test]
    fn a_number_that_is_no_whole_one_is_the_next_and_never_sooner() {
        for (text, expected) in [
            ("600.5", 601),
            ("0.01", 1),
            (".5", 1),
            ("120.000", 120),
            ("7.", 7),
            ("+30", 30),
            ("\"60\"", 60),
        ] {
            assert_eq!(asked(text), Some(expected), "{text:?}");
        }
    }

    #[test]
    fn seconds_since_1970_are_a_time_if_that_is_near() {
        let at = |seconds: i64| (now().as_second() + seconds).to_string();
        assert_eq!(asked(&at(90)), Some(90));
        assert_eq!(asked(&at(-90)), Some(0));
        assert_eq!(asked("4000000000"), Some(4_000_000_000));
        assert_eq!(asked(&format!("{}250", at(90))), Some(90), "milliseconds");
    }

    #[test]
    fn a_number_may_have_a_unit() {
        for (text, expected) in [
            ("30s", 30),
            ("120 seconds", 120),
            ("2 minutes", 120),
            ("1h 30m", 5400),
            ("1500ms", 2),
            ("PT2M", 120),
            ("-5s", 0),
        ] {
            assert_eq!(asked(text), Some(expected), "{text:?}");
        }
    }

    #[test]
    fn headers_that_a_proxy_has_joined_are_several() {
        for (text, expected) in [
            ("10, 120", 120),
            ("120,120", 120),
            ("soon, 5", 5),
            ("10, Mon, 23 Nov 2026 12:02:00 GMT", 120),
            ("Monday, 23-Nov-26 12:02:00 GMT, 10", 120),
            (
                "Mon, 23 Nov 2026 12:02:00 GMT, Mon, 23 Nov 2026 12:03:00 GMT",
                180,
            ),
        ] {
            assert_eq!(asked(text), Some(expected), "{text:?}");
        }
    }

    #[test]
    fn of_several_none_is_disregarded() {
        let both = parse(["10", "soon", "120"], now());
        assert_eq!(both, Some(Duration::from_secs(120)));
        assert_eq!(parse(["soon", ""], now()), None);
        assert_eq!(parse([], now()), None);
    }

    #[test]
    fn an_absurd_number_is_a_long_wait() {
        for text in ["99999999999999999999999", "99999999999999999999999.9"] {
            assert!(asked(text) >= Some(u64::from(u32::MAX)), "{text}");
        }
    }

    #[test]
    fn the_last_date_there_is_is_a_long_wait() {
        assert!(asked("Fri, 31 Dec 9999 23:59:59 GMT") > Some(u64::from(u32::MAX)));
    }

    #[test]
    fn anything_else_asks_for_nothing() {
        for text in [
            "",
            "soon",
            "-5",
            ".",
            "1.2.3",
            "1e3",
            "2026-11-23",
            "\"\"",
            ",",
            "s",
        ] {
            assert_eq!(asked(text), None, "{text:?}");
        }
    }
}
