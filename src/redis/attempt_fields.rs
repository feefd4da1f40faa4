//! An attempt as the fields of a stream's entry, both ways.

use std::str::FromStr;
use std::time::Duration;

use redis::Cmd;

use super::texts::{Texts, Unreadable};
use crate::domain::attempt::Attempt;
use crate::domain::endpoint::shown;

/// How many fields there are. All of them are always written, in the same order, empty if there is
/// no value: a stream stores the names once for all entries that have the same.
pub(super) const COUNT: usize = 23;

/// Appends the fields of `attempt`, each with its value, to a command.
pub(super) fn write(attempt: &Attempt, command: &mut Cmd) {
    let mut field = |name: &str, value: &str| {
        command.arg(name).arg(value);
    };
    let optional = |value: Option<String>| value.unwrap_or_default();
    let micros = attempt.duration.as_micros();
    field("delivery_id", attempt.delivery_id.as_str());
    field("event_id", attempt.event_id.as_str());
    field("event_type", attempt.event_type.as_str());
    field("organization", attempt.organization.as_str());
    field("webhook_id", attempt.webhook_id.as_str());
    field("url", &attempt.url);
    field("attempt", &attempt.attempt.to_string());
    field("trigger", attempt.trigger.name());
    field("outcome", &attempt.outcome);
    field(
        "status_code",
        &optional(attempt.status_code.map(|code| code.to_string())),
    );
    field("location", attempt.location.as_deref().unwrap_or_default());
    field("error", attempt.error.as_deref().unwrap_or_default());
    field("response_body", &attempt.response_body);
    field(
        "response_truncated",
        if attempt.response_truncated {
            "true"
        } else {
            "false"
        },
    );
    field("started_at", &attempt.started_at.to_string());
    field(
        "duration_ms",
        &format!("{}.{:03}", micros / 1000, micros % 1000),
    );
    field(
        "remote_addr",
        &optional(attempt.remote_addr.map(|address| address.to_string())),
    );
    field(
        "next_attempt_at",
        &optional(attempt.next_attempt_at.map(|time| time.to_string())),
    );
    field("worker", &attempt.worker);
    field("version", attempt.version.as_deref().unwrap_or_default());
    field("own_headers", &joined(attempt.own_headers.as_deref()));
    field("signed_by", &joined(attempt.signed_by.as_deref()));
    field(
        "traceparent",
        &optional(attempt.traceparent.map(|parent| parent.to_string())),
    );
}

/// What is known to be none is not empty, as what is not known is.
const NONE: &str = ",";

/// Names and ids have no commas.
fn joined<T: ToString>(all: Option<&[T]>) -> String {
    match all {
        None => String::new(),
        Some([]) => NONE.to_owned(),
        Some(all) => all.iter().map(T::to_string).collect::<Vec<_>>().join(","),
    }
}

fn parted<T: FromStr>(texts: &Texts, field: &'static str) -> Result<Option<Vec<T>>, Unreadable> {
    match texts.text(field)? {
        "" => Ok(None),
        NONE => Ok(Some(Vec::new())),
        all => {
            let parts: Result<Vec<T>, _> = all.split(',').map(str::parse).collect();
            parts.map(Some).map_err(|_| Unreadable { field })
        }
    }
}

/// About how many bytes the values take.
pub(super) fn size(attempt: &Attempt) -> usize {
    let texts = attempt.url.len() + attempt.response_body.len() + attempt.worker.len();
    let optional = [&attempt.error, &attempt.location];
    let optional = optional.into_iter().flatten().map(String::len);
    texts + optional.sum::<usize>() + 512
}

/// Reads an attempt back.
pub(super) fn read(texts: &Texts) -> Result<Attempt, Unreadable> {
    let filled = |text: &str| (!text.is_empty()).then(|| text.to_owned());
    let milliseconds: f64 = texts.required("duration_ms")?;
    let seconds = Duration::try_from_secs_f64(milliseconds / 1e3).unwrap_or_default();
    Ok(Attempt {
        delivery_id: texts.required("delivery_id")?,
        event_id: texts.required("event_id")?,
        event_type: texts.required("event_type")?,
        organization: texts.required("organization")?,
        webhook_id: texts.required("webhook_id")?,
        // Earlier versions recorded the query.
        url: shown(texts.text("url")?),
        attempt: texts.required("attempt")?,
        trigger: texts.required("trigger")?,
        outcome: texts.text("outcome")?.to_owned(),
        status_code: texts.optional("status_code")?,
        location: filled(texts.text("location")?),
        error: filled(texts.text("error")?),
        response_body: texts.text("response_body")?.to_owned(),
        response_truncated: texts.required("response_truncated")?,
        started_at: texts.required("started_at")?,
        // Written to the microsecond; the division leaves crumbs below.
        duration: round_to_micros(seconds),
        remote_addr: texts.optional("remote_addr")?,
        next_attempt_at: texts.optional("next_attempt_at")?,
        worker: texts.text("worker")?.to_owned(),
        version: filled(texts.text("version")?),
        own_headers: parted(texts, "own_headers")?,
        signed_by: parted(texts, "signed_by")?,
        traceparent: texts.optional("traceparent")?,
    })
}

fn round_to_micros(duration: Duration) -> Duration {
    let nanos = duration.subsec_nanos();
    Duration::from_secs(duration.as_secs()) + Duration::from_micros(u64::from((nanos + 500) / 1000))
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use super::*;
    use crate::domain::delivery::Trigger;

    fn attempt() -> Attempt {
        Attempt {
            delivery_id: "d1".parse().unwrap(),
            event_id: "e1".parse().unwrap(),
            event_type: "request.completed".parse().unwrap(),
            organization: "acme".parse().unwrap(),
            webhook_id: "w1".parse().unwrap(),
            url: "https://example.com/hook".to_owned(),
            attempt: 3,
            trigger: Trigger::Retry,
            outcome: "rejected".to_owned(),
            status_code: Some(500),
            location: Some("https://example.com/new".to_owned()),
            error: Some("reset".to_owned()),
            response_body: "näh\r\n\0".to_owned(),
            response_truncated: true,
            started_at: "2026-01-02T03:04:05.123456789Z".parse().unwrap(),
            duration: Duration::from_micros(12_345_007),
            remote_addr: Some("[::1]:443".parse().unwrap()),
            next_attempt_at: Some("2026-01-02T03:05:05Z".parse().unwrap()),
            worker: "worker-1".to_owned(),
            version: Some("0.1.0".to_owned()),
            own_headers: Some(vec!["X-Team".to_owned(), "Authorization".to_owned()]),
            signed_by: Some(vec![
                "0123abcd".parse().unwrap(),
                "cafe0000".parse().unwrap(),
            ]),
            traceparent: "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
                .parse()
                .ok(),
        }
    }

    fn read_back(attempt: &Attempt) -> Result<Attempt, Unreadable> {
        read(&Texts::from_hash(fields(attempt)))
    }

    fn fields(attempt: &Attempt) -> HashMap<String, Vec<u8>> {
        let mut command = Cmd::new();
        write(attempt, &mut command);
        let arguments: Vec<Vec<u8>> = command
            .args_iter()
            .map(|argument| match argument {
                redis::Arg::Simple(bytes) => bytes.to_vec(),
                _ => unreachable!("only texts are written"),
            })
            .collect();
        let pairs = arguments.chunks(2);
        pairs
            .map(|pair| (String::from_utf8(pair[0].clone()).unwrap(), pair[1].clone()))
            .collect()
    }

    #[test]
    fn an_attempt_is_read_back_exactly() {
        assert_eq!(read_back(&attempt()), Ok(attempt()));
        let bare = Attempt {
            status_code: None,
            location: None,
            error: None,
            response_body: String::new(),
            remote_addr: None,
            next_attempt_at: None,
            duration: Duration::ZERO,
            version: None,
            own_headers: None,
            signed_by: None,
            traceparent: None,
            ..attempt()
        };
        assert_eq!(read_back(&bare), Ok(bare.clone()));
        let unsigned = Attempt {
            own_headers: Some(Vec::new()),
            signed_by: Some(Vec::new()),
            ..bare
        };
        assert_eq!(read_back(&unsigned), Ok(unsigned));
    }

    #[test]
    fn the_query_of_an_endpoint_that_an_earlier_version_recorded_is_not_shown() {
        let url = "https://example.com/hook?token=hunter2".to_owned();
        let read = read_back(&Attempt { url, ..attempt() }).unwrap();
        assert_eq!(read.url, "https://example.com/hook?***");
    }

    #[test]
    fn the_field_names_are_those_of_the_attempt() {
        let json = serde_json::to_value(attempt()).unwrap();
        let mut expected: Vec<&String> = json.as_object().unwrap().keys().collect();
        let written = fields(&attempt());
        let mut names: Vec<&String> = written.keys().collect();
        expected.sort();
        names.sort();
        assert_eq!(names, expected);
        assert_eq!(names.len(), COUNT);
    }

    #[test]
    fn an_entry_without_a_field_that_must_be_there_is_unreadable() {
        let mut written = fields(&attempt());
        written.remove("started_at");
        let error = read(&Texts::from_hash(written)).unwrap_err();
        assert!(error.to_string().contains("started_at"), "{error}");
    }
}
