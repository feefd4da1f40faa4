//! How receivers verify a request: computed here from the published documents, by nothing that the
//! program uses for signing but the HMAC itself.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;

use crate::support::receiver::Received;

/// What a receiver written after our documentation computes for `X-Prism-Signature`:
/// `"sha256=" + hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()`.
pub fn documented_signature(secret: &str, body: &[u8]) -> String {
    format!("sha256={}", hex::encode(hmac(secret.as_bytes(), body)))
}

/// What the Standard Webhooks libraries compute: the key is the Base64 after `whsec_`, or the
/// secret's bytes; the content is `id.timestamp.body`.
pub fn standard_signature(secret: &str, id: &str, timestamp: &str, body: &[u8]) -> String {
    let key = match secret.strip_prefix("whsec_") {
        Some(encoded) => STANDARD.decode(encoded).expect("a secret of the standard"),
        None => secret.as_bytes().to_vec(),
    };
    let content = [id.as_bytes(), b".", timestamp.as_bytes(), b".", body].concat();
    format!("v1,{}", STANDARD.encode(hmac(&key, &content)))
}

/// The value of `webhook-signature` that a request must carry for these secrets, in their order.
pub fn standard_signatures(request: &Received, secrets: &[&str]) -> String {
    let header = |name| request.header(name).expect("the header is always there");
    let (id, timestamp) = (header("webhook-id"), header("webhook-timestamp"));
    let signatures: Vec<_> = secrets
        .iter()
        .map(|secret| standard_signature(secret, &id, &timestamp, &request.body))
        .collect();
    signatures.join(" ")
}

fn hmac(key: &[u8], content: &[u8]) -> Vec<u8> {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("HMAC takes keys of any length");
    mac.update(content);
    mac.finalize().into_bytes().to_vec()
}

/// The example that the Standard Webhooks libraries are tested with.
#[test]
fn the_verification_here_agrees_with_the_published_vector() {
    let signature = standard_signature(
        "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
        "msg_p5jXN8AQM9LWM0D4loKWxJek",
        "1614265330",
        br#"{"test": 2432232314}"#,
    );
    assert_eq!(signature, "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
}
