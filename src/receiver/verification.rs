//! Says whether a request is signed as it should be.

use http::HeaderMap;
use jiff::{SignedDuration, Timestamp};

use crate::domain::secret::Secret;
use crate::domain::signature;

/// How far the clocks of sender and receiver may be apart, either way. The libraries of Standard
/// Webhooks allow as much.
const TOLERANCE: SignedDuration = SignedDuration::from_mins(5);

/// What the signatures of a request say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verification {
    /// Every signature that the request carries is right.
    Valid,
    /// One of them is not, for this reason.
    Invalid(String),
    /// The request carries none, though there is a secret to verify with.
    Unsigned,
    /// There is no secret to verify with.
    NoSecret,
}

/// Verifies a request that came at `now`. While a secret rotates, both are given: what one of them
/// signed is valid.
pub fn verify(
    secrets: &[Secret],
    headers: &HeaderMap,
    body: &[u8],
    now: Timestamp,
) -> Verification {
    if secrets.is_empty() {
        return Verification::NoSecret;
    }
    let prism = headers.get("x-prism-signature");
    let standard = headers.get("webhook-signature");
    if prism.is_none() && standard.is_none() {
        return Verification::Unsigned;
    }
    let verified = prism
        .map_or(Ok(()), |value| {
            let value = value.to_str().unwrap_or_default();
            let one_signed = |secret| signature::verify_prism(secret, body, value);
            if secrets.iter().any(one_signed) {
                Ok(())
            } else {
                Err("X-Prism-Signature is not of this body and secret".to_owned())
            }
        })
        .and_then(|()| {
            standard.map_or(Ok(()), |value| {
                let value = value.to_str().unwrap_or_default();
                verify_standard(secrets, headers, body, now, value)
            })
        });
    match verified {
        Ok(()) => Verification::Valid,
        Err(why) => Verification::Invalid(why),
    }
}

fn verify_standard(
    secrets: &[Secret],
    headers: &HeaderMap,
    body: &[u8],
    now: Timestamp,
    value: &str,
) -> Result<(), String> {
    let text = |name| headers.get(name).and_then(|value| value.to_str().ok());
    let id = text("webhook-id").ok_or("Webhook-Signature comes without a Webhook-Id")?;
    let second: i64 = text("webhook-timestamp")
        .and_then(|text| text.parse().ok())
        .ok_or("Webhook-Signature comes without a Webhook-Timestamp in seconds")?;
    let sent = Timestamp::from_second(second)
        .map_err(|_| "Webhook-Timestamp is no time at all".to_owned())?;
    let age = now.duration_since(sent);
    if age.abs() > TOLERANCE {
        let minutes = TOLERANCE.as_mins();
        return Err(format!(
            "Webhook-Timestamp is {age:#} before now, more than {minutes} minutes apart"
        ));
    }
    secrets
        .iter()
        .any(|secret| signature::verify_standard(secret, id, second, body, value))
        .then_some(())
        .ok_or_else(|| "Webhook-Signature is not of this id, time, body and secret".to_owned())
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    const BODY: &[u8] = b"{}";
    const SECOND: i64 = 1_700_000_000;

    fn secret(text: &str) -> Secret {
        Secret::new(text).unwrap()
    }

    fn now() -> Timestamp {
        Timestamp::from_second(SECOND).unwrap()
    }

    fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
        let pairs = pairs.iter().map(|(name, value)| {
            let name = http::HeaderName::from_static(name);
            (name, HeaderValue::from_str(value).unwrap())
        });
        pairs.collect()
    }

    /// Both headers, the own one signed by `newest`, the standard one by it and `older`.
    fn signed(newest: &str, older: &str, at: i64) -> HeaderMap {
        let (newest, older) = (secret(newest), secret(older));
        headers(&[
            ("x-prism-signature", &signature::prism(&newest, BODY)),
            ("webhook-id", "ev_1"),
            ("webhook-timestamp", &at.to_string()),
            (
                "webhook-signature",
                &signature::standard([&newest, &older], "ev_1", at, BODY),
            ),
        ])
    }

    #[track_caller]
    fn why(verification: Verification) -> String {
        match verification {
            Verification::Invalid(why) => why,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn what_the_secret_signed_is_valid() {
        let headers = signed("a", "old", SECOND);
        assert_eq!(
            verify(&[secret("a")], &headers, BODY, now()),
            Verification::Valid
        );
    }

    #[test]
    fn each_header_alone_suffices() {
        let mut own = signed("a", "old", SECOND);
        let mut standard = own.clone();
        own.remove("webhook-signature");
        standard.remove("x-prism-signature");
        for headers in [own, standard] {
            assert_eq!(
                verify(&[secret("a")], &headers, BODY, now()),
                Verification::Valid
            );
        }
    }

    #[test]
    fn while_a_secret_rotates_a_receiver_that_knows_both_sees_no_difference() {
        let both = [secret("old"), secret("new")];
        for newest in ["old", "new"] {
            let headers = signed(newest, "old", SECOND);
            assert_eq!(verify(&both, &headers, BODY, now()), Verification::Valid);
        }
        let mut standard = signed("new", "old", SECOND);
        standard.remove("x-prism-signature");
        let only_old = verify(&[secret("old")], &standard, BODY, now());
        assert_eq!(only_old, Verification::Valid);
    }

    #[test]
    fn another_secret_or_body_is_invalid_and_says_which_header() {
        let headers = signed("a", "old", SECOND);
        let other = why(verify(&[secret("b")], &headers, BODY, now()));
        assert_eq!(other, "X-Prism-Signature is not of this body and secret");
        why(verify(&[secret("a")], &headers, b"{ }", now()));
        let mut standard = headers;
        standard.remove("x-prism-signature");
        let other = why(verify(&[secret("b")], &standard, BODY, now()));
        assert!(other.starts_with("Webhook-Signature is not"), "{other}");
    }

    #[test]
    fn one_wrong_header_is_not_made_up_for_by_the_other() {
        let mut headers = signed("a", "old", SECOND);
        headers.insert("x-prism-signature", HeaderValue::from_static("sha256=00"));
        why(verify(&[secret("a")], &headers, BODY, now()));
        let mut headers = signed("a", "old", SECOND);
        headers.insert("webhook-signature", HeaderValue::from_static("v1,AA=="));
        why(verify(&[secret("a")], &headers, BODY, now()));
    }

    #[test]
    fn a_timestamp_is_taken_within_five_minutes_either_way() {
        for (offset, valid) in [(300, true), (-300, true), (301, false), (-301, false)] {
            let headers = signed("a", "old", SECOND + offset);
            let verified = verify(&[secret("a")], &headers, BODY, now());
            assert_eq!(
                verified == Verification::Valid,
                valid,
                "{offset}: {verified:?}"
            );
        }
    }

    #[test]
    fn a_standard_signature_without_its_fellows_is_invalid() {
        for name in ["Webhook-Id", "Webhook-Timestamp"] {
            let mut headers = signed("a", "old", SECOND);
            headers.remove(name);
            let why = why(verify(&[secret("a")], &headers, BODY, now()));
            assert!(why.contains(name), "{why}");
        }
        for text in ["soon", "99999999999999999", ""] {
            let mut headers = signed("a", "old", SECOND);
            headers.insert("webhook-timestamp", HeaderValue::from_str(text).unwrap());
            why(verify(&[secret("a")], &headers, BODY, now()));
        }
    }

    #[test]
    fn nothing_to_verify_is_told_apart() {
        let none = HeaderMap::new();
        assert_eq!(
            verify(&[secret("a")], &none, BODY, now()),
            Verification::Unsigned
        );
        let headers = signed("a", "old", SECOND);
        assert_eq!(verify(&[], &headers, BODY, now()), Verification::NoSecret);
    }
}
