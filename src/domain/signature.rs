//! How a request is signed: the gateway's own header, and the Standard Webhooks one beside it.
//!
//! <https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md>

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;

use super::secret::Secret;

/// The value of `X-Prism-Signature`: `sha256=` and the lower-case hex HMAC-SHA256 of the body,
/// keyed with the secret's bytes.
pub fn prism(secret: &Secret, body: &[u8]) -> String {
    format!("sha256={}", hex::encode(hmac(secret.key(), &[body])))
}

/// The value of `Webhook-Signature`: `v1,<base64>` for each of `secrets`, space-separated, over
/// the event id, the attempt's Unix second and the body.
pub fn standard<'a>(
    secrets: impl IntoIterator<Item = &'a Secret>,
    event_id: &str,
    timestamp: i64,
    body: &[u8],
) -> String {
    let head = format!("{event_id}.{timestamp}.");
    secrets
        .into_iter()
        .map(|secret| hmac(secret.standard_key(), &[head.as_bytes(), body]))
        .map(|mac| format!("v1,{}", STANDARD.encode(mac)))
        .collect::<Vec<_>>()
        .join(" ")
}

/// Whether `value` is the `X-Prism-Signature` of `body`, compared in constant time.
pub fn verify_prism(secret: &Secret, body: &[u8], value: &str) -> bool {
    let Some(Ok(claimed)) = value.strip_prefix("sha256=").map(hex::decode) else {
        return false;
    };
    start(secret.key(), &[body]).verify_slice(&claimed).is_ok()
}

/// Whether one of the signatures in `value` is that of `body` with `secret`, compared in constant
/// time. The age of `timestamp` is for the caller to judge.
pub fn verify_standard(
    secret: &Secret,
    event_id: &str,
    timestamp: i64,
    body: &[u8],
    value: &str,
) -> bool {
    let head = format!("{event_id}.{timestamp}.");
    value
        .split(' ')
        .filter_map(|signature| STANDARD.decode(signature.strip_prefix("v1,")?).ok())
        .any(|claimed| {
            start(secret.standard_key(), &[head.as_bytes(), body])
                .verify_slice(&claimed)
                .is_ok()
        })
}

fn hmac(key: &[u8], parts: &[&[u8]]) -> [u8; 32] {
    start(key, parts).finalize().into_bytes().into()
}

fn start(key: &[u8], parts: &[&[u8]]) -> Hmac<Sha256> {
    #[expect(clippy::expect_used, reason = "HMAC takes keys of any length")]
    let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("HMAC takes keys of any length");
    for part in parts {
        mac.update(part);
    }
    mac
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Made with the documented receiver: `hmac.new(secret, body, hashlib.sha256).hexdigest()`.
    #[test]
    fn the_documented_python_receivers_compute_the_same() {
        let body = br#"{"event": "request.completed", "request_id": "req_1", "cost": 0.0021}"#;
        let secret = Secret::new("my-webhook-secret").unwrap();
        let signature = prism(&secret, body);
        assert_eq!(signature, PYTHON);
        assert!(verify_prism(&secret, body, &signature));
        assert!(!verify_prism(&secret, b"{}", &signature));
    }

    const PYTHON: &str = "sha256=d3156bd9c9e74d6a3ae8a8098b45739613342d1dc56c17f4c33988343152e03a";

    /// RFC 4231, test case 2.
    #[test]
    fn the_published_hmac_vector_holds() {
        let secret = Secret::new("Jefe").unwrap();
        assert_eq!(
            prism(&secret, b"what do ya want for nothing?"),
            "sha256=5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"
        );
    }

    /// The example that the Standard Webhooks libraries are tested with.
    #[test]
    fn the_standard_webhooks_vector_holds() {
        let secret = Secret::new("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw").unwrap();
        let body = br#"{"test": 2432232314}"#;
        let value = standard(
            [&secret],
            "msg_p5jXN8AQM9LWM0D4loKWxJek",
            1_614_265_330,
            body,
        );
        assert_eq!(value, "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
    }

    #[test]
    fn while_a_secret_rotates_both_verify_and_only_the_newest_signs_the_own_header() {
        let new = Secret::new("new").unwrap();
        let old = Secret::new("old").unwrap();
        let value = standard([&new, &old], "ev", 7, b"body");
        for secret in [&new, &old] {
            assert!(verify_standard(secret, "ev", 7, b"body", &value));
        }
        assert!(!verify_standard(
            &Secret::new("other").unwrap(),
            "ev",
            7,
            b"body",
            &value
        ));
        assert!(!verify_standard(&new, "ev", 8, b"body", &value));
    }
}
