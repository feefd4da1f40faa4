//! A time in a form.

use axum::http::StatusCode;
use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use maud::{Markup, html};

use super::error::PageError;

/// The fields for a range of times.
pub fn range(since: &str, until: &str) -> Markup {
    html! {
        @for (name, label, value) in [("since", "Since (UTC)", since), ("until", "Until (UTC)", until)] {
            div {
                label for=(name) { (label) }
                input id=(name) type="datetime-local" name=(name) value=(value);
            }
        }
    }
}

/// Reads a time as a browser's field has it, without a zone, which is UTC; or a whole one.
pub fn moment(text: &str) -> Result<Option<Timestamp>, PageError> {
    let text = text.trim();
    if text.is_empty() {
        return Ok(None);
    }
    let whole = text.parse::<Timestamp>().ok();
    let local = || text.parse::<DateTime>().ok();
    let utc = || TimeZone::UTC.to_timestamp(local()?).ok();
    let moment = whole.or_else(utc);
    let wrong = "A time is a date and a time of day, as in 2026-11-24T08:30, in UTC.";
    let wrong = || PageError::new(StatusCode::UNPROCESSABLE_ENTITY, wrong);
    moment.map(Some).ok_or_else(wrong)
}
