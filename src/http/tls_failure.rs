//! Why a TLS connection did not come about, in words for whoever runs the receiver: what is wrong with
//! it, and what mends it.

use jiff::Timestamp;
use rustls::pki_types::UnixTime;
use rustls::{AlertDescription, CertificateError, Error, OtherError};

/// What is meant by errors that are not in rustls' interface, as they print themselves for debugging: a
/// certificate of an authority that is shown as that of a server, and one that is not for servers. Tests
/// on real connections hold them.
const CA_AS_SERVER: &str = "CaUsedAsEndEntity";
const NOT_FOR_SERVERS: &str = "EkuError";

/// How many of the names in a certificate are told, and how much of each: the receiver chose them.
const NAMES: usize = 3;
const LONGEST_NAME: usize = 100;

/// Says what is wrong.
pub(super) fn words(error: &Error) -> String {
    match error {
        Error::InvalidCertificate(error) => of_certificate(error),
        Error::NoCertificatesPresented => {
            "the receiver shows no certificate; give it one".to_owned()
        }
        Error::PeerIncompatible(_) => NOTHING_IN_COMMON.to_owned(),
        Error::InvalidMessage(_) => {
            "the receiver does not speak TLS on this port; is its URL https, with the right port?"
                .to_owned()
        }
        Error::AlertReceived(alert) => of_alert(*alert),
        Error::General(why) => format!("the handshake did not come about: {why}"),
        _ => "the receiver does not keep to the rules of TLS; look at what answers on this port, and \
              renew it"
            .to_owned(),
    }
}

const NOTHING_IN_COMMON: &str = "the receiver offers no version of TLS or no cipher that is spoken \
                                 here; let it offer TLS 1.2 or 1.3 with today's ciphers";

fn of_certificate(error: &CertificateError) -> String {
    match error {
        CertificateError::UnknownIssuer => {
            "the receiver's certificate is signed by itself, or by an authority that is not trusted \
             here; use one of a public authority, and send its intermediate certificates with it"
                .to_owned()
        }
        CertificateError::Other(other) if means(other, CA_AS_SERVER) => {
            "the receiver shows a certificate of an authority (CA:TRUE), as self-signed ones often \
             are, where that of a server belongs; use one of a public authority"
                .to_owned()
        }
        CertificateError::Expired => EXPIRED.to_owned(),
        CertificateError::ExpiredContext { not_after, .. } => {
            format!("{EXPIRED}; it was valid until {}", time(*not_after))
        }
        CertificateError::NotValidYet => NOT_YET.to_owned(),
        CertificateError::NotValidYetContext { not_before, .. } => {
            format!("{NOT_YET}; it is valid from {}", time(*not_before))
        }
        CertificateError::NotValidForName => ANOTHER_NAME.to_owned(),
        CertificateError::NotValidForNameContext {
            expected,
            presented,
        } => format!(
            "{ANOTHER_NAME}; the URL says {}, the certificate {}",
            expected.to_str(),
            names(presented)
        ),
        error if is_of_another_key(error) => {
            "the receiver's certificate is not signed by whom it names; send the intermediate \
             certificates that belong to it, or use one of a public authority"
                .to_owned()
        }
        error if is_signed_oddly(error) => {
            "the receiver's certificate, or one that comes with it, is signed in a way that is not \
             trusted, as with SHA-1; have it issued anew"
                .to_owned()
        }
        CertificateError::Revoked => {
            "the receiver's certificate was revoked; give it a new one".to_owned()
        }
        CertificateError::InvalidPurpose | CertificateError::InvalidPurposeContext { .. } => {
            FOR_OTHERS.to_owned()
        }
        CertificateError::Other(other) if means(other, NOT_FOR_SERVERS) => FOR_OTHERS.to_owned(),
        CertificateError::BadEncoding => {
            "the receiver's certificate cannot be read; give it another".to_owned()
        }
        CertificateError::Other(other) => breaks_a_rule(&format!("{:?}", other.0)),
        other => breaks_a_rule(&format!("{other:?}")),
    }
}

fn means(error: &OtherError, name: &str) -> bool {
    format!("{:?}", error.0) == name
}

/// Whether the key of whom a certificate names is none that can have signed it.
fn is_of_another_key(error: &CertificateError) -> bool {
    matches!(
        error,
        CertificateError::BadSignature
            | CertificateError::UnsupportedSignatureAlgorithmForPublicKeyContext { .. }
    )
}

#[expect(
    deprecated,
    reason = "what is deprecated may still be what a verifier says"
)]
fn is_signed_oddly(error: &CertificateError) -> bool {
    matches!(
        error,
        CertificateError::UnsupportedSignatureAlgorithm
            | CertificateError::UnsupportedSignatureAlgorithmContext { .. }
    )
}

/// `name` begins with what the library calls the rule, by which its meaning can be looked up.
fn breaks_a_rule(name: &str) -> String {
    let rule: String = name
        .chars()
        .take_while(char::is_ascii_alphanumeric)
        .collect();
    format!(
        "the receiver's certificate, or one that comes with it, breaks a rule for certificates \
         ({rule}); use one of a public authority"
    )
}

const FOR_OTHERS: &str =
    "the receiver's certificate is not meant for servers; use one that is (serverAuth)";
const EXPIRED: &str = "the receiver's certificate has expired; renew it";
const NOT_YET: &str = "the receiver's certificate is not valid yet; look at the clocks";
const ANOTHER_NAME: &str = "the receiver's certificate is for another name; use one for the host in \
                            the URL, or the URL of the certificate";

fn of_alert(alert: AlertDescription) -> String {
    match alert {
        AlertDescription::ProtocolVersion | AlertDescription::InsufficientSecurity => {
            NOTHING_IN_COMMON.to_owned()
        }
        // Up to TLS 1.2 it is also how a receiver says that it misses a certificate of ours.
        AlertDescription::HandshakeFailure => format!(
            "{NOTHING_IN_COMMON}; or, if it asks its callers for a certificate, let it know them \
             otherwise, for none is sent"
        ),
        AlertDescription::CertificateRequired => {
            "the receiver asks for a certificate of ours, and none is sent; let it know its callers \
             by the signature or by a header of the webhook's own"
                .to_owned()
        }
        AlertDescription::UnrecognisedName => {
            "the receiver does not know the host in the URL; set it up there".to_owned()
        }
        other => {
            let said = other.as_str().map(in_words);
            let said = said.unwrap_or_else(|| format!("alert {}", u8::from(other)));
            format!(
                "the receiver broke the handshake off and says only: {said}; look into its own log"
            )
        }
    }
}

/// `InternalError` as `internal error`.
fn in_words(name: &str) -> String {
    let mut words = String::new();
    for c in name.chars() {
        if c.is_ascii_uppercase() && !words.is_empty() {
            words.push(' ');
        }
        words.push(c.to_ascii_lowercase());
    }
    words
}

fn time(at: UnixTime) -> String {
    let seconds = i64::try_from(at.as_secs()).unwrap_or(i64::MAX);
    let at = Timestamp::from_second(seconds).unwrap_or(Timestamp::MAX);
    at.to_string()
}

/// Certificates that are made by hand often have their name in the place where nobody looks any more.
const NO_NAMES: &str =
    "none: its names belong into subjectAltName, for the common name (CN) is not one";

/// The names in a certificate, without the kind that each stands in: `DnsName("a.example")`.
fn names(presented: &[String]) -> String {
    let plain = |name: &String| {
        let inner = name.split('"').nth(1).unwrap_or(name);
        inner.chars().take(LONGEST_NAME).collect::<String>()
    };
    let told: Vec<_> = presented.iter().take(NAMES).map(plain).collect();
    match (told.is_empty(), presented.len() > NAMES) {
        (true, _) => NO_NAMES.to_owned(),
        (false, more) => told.join(", ") + if more { " and others" } else { "" },
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use rustls::{ContentType, PeerMisbehaved};

    use super::*;

    #[test]
    fn the_names_of_a_certificate_are_told_bounded() {
        let one = |name: &str| format!("DnsName({name:?})");
        assert_eq!(names(&[]), NO_NAMES);
        assert_eq!(names(&[one("a.example")]), "a.example");
        let many = ["a", "b", "c", "d"].map(one);
        assert_eq!(names(&many), "a, b, c and others");
        assert_eq!(names(&[one(&"x".repeat(1000))]).len(), LONGEST_NAME);
    }

    #[test]
    fn nothing_is_said_in_the_words_of_the_library() {
        for error in [
            Error::NoCertificatesPresented,
            Error::AlertReceived(AlertDescription::HandshakeFailure),
            Error::AlertReceived(AlertDescription::CertificateRequired),
            Error::InvalidCertificate(CertificateError::Revoked),
            Error::InvalidCertificate(CertificateError::BadSignature),
            Error::InvalidCertificate(CertificateError::InvalidPurpose),
            Error::InvalidCertificate(CertificateError::NotValidYet),
            Error::InvalidCertificate(CertificateError::UnhandledCriticalExtension),
            Error::InvalidCertificate(
                CertificateError::UnsupportedSignatureAlgorithmForPublicKeyContext {
                    signature_algorithm_id: vec![6, 8],
                    public_key_algorithm_id: vec![6, 9],
                },
            ),
            Error::InvalidCertificate(CertificateError::UnsupportedSignatureAlgorithmContext {
                signature_algorithm_id: vec![6, 8],
                supported_algorithms: Vec::new(),
            }),
            Error::InvalidCertificate(CertificateError::Other(OtherError(Arc::new(
                std::io::Error::other("a rule"),
            )))),
            Error::AlertReceived(AlertDescription::InternalError),
            Error::AlertReceived(AlertDescription::from(0xff)),
            Error::PeerMisbehaved(PeerMisbehaved::IllegalMiddleboxChangeCipherSpec),
            Error::InappropriateMessage {
                expect_types: Vec::new(),
                got_type: ContentType::Handshake,
            },
            Error::DecryptError,
        ] {
            let said = words(&error);
            assert!(said.starts_with("the receiver"), "{said}");
            assert!(!said.contains("peer") && !said.contains("::"), "{said}");
            assert!(!said.contains(['{', '[']), "{said}");
            assert!(said.contains("; "), "without what mends it: {said}");
        }
    }
}
