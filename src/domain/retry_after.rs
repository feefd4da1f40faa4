//! What a `Retry-After` header asks for: seconds, or an HTTP date (RFC 9110, 10.2.3).

use std::time::Duration;

use jiff::Timestamp;
use jiff::fmt::rfc2822::DateTimeParser;

/// The wait that `text` asks for at `now`; a date in the past asks for none. `None` if it is
/// neither form.
pub fn parse(text: &str, now: Timestamp) -> Option<Duration> {
    let text = text.trim();
    if !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit()) {
        // More digits than fit are still a wish for a very long wait.
        return Some(Duration::from_secs(
            text.parse().unwrap_or(u64::from(u32::MAX)),
        ));
    }
    // The three forms of HTTP; and dates of e-mail, which some send with a zone of their own.
    let date = match httpdate::parse_http_date(text) {
        // A date that is too far away to be told is still a wish for a very long wait.
        Ok(date) => Timestamp::try_from(date).unwrap_or(Timestamp::MAX),
        Err(_) => DateTimeParser::new().parse_timestamp(text).ok()?,
    };
    let wait = date.duration_since(now);
    Some(Duration::try_from(wait).unwrap_or(Duration::ZERO))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(text: &str) -> Option<u64> {
        let now = "2026-11-23T12:00:00Z".parse().unwrap();
        parse(text, now).map(|wait| wait.as_secs())
    }

    #[test]
    fn both_forms_are_read() {
        assert_eq!(asked("0"), Some(0));
        assert_eq!(asked(" 90 "), Some(90));
        assert_eq!(asked("Mon, 23 Nov 2026 12:02:00 GMT"), Some(120));
        assert_eq!(asked("Mon, 23 Nov 2026 11:00:00 GMT"), Some(0));
    }

    #[test]
    fn all_three_forms_of_an_http_date_are_read() {
        for date in [
            "Mon, 23 Nov 2026 12:02:00 GMT",
            "Monday, 23-Nov-26 12:02:00 GMT",
            "Mon Nov 23 12:02:00 2026",
        ] {
            assert_eq!(asked(date), Some(120), "{date}");
        }
    }

    #[test]
    fn an_absurd_number_is_a_long_wait() {
        assert_eq!(asked("99999999999999999999999"), Some(u64::from(u32::MAX)));
    }

    #[test]
    fn the_last_date_there_is_is_a_long_wait() {
        assert!(asked("Fri, 31 Dec 9999 23:59:59 GMT") > Some(u64::from(u32::MAX)));
    }

    #[test]
    fn anything_else_asks_for_nothing() {
        for text in ["", "soon", "-5", "1.5", "2026-11-23"] {
            assert_eq!(asked(text), None, "{text:?}");
        }
    }
}
