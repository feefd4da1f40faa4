//! Why a TLS connection did not come about, in words for whoever runs the receiver: what is wrong with
//! it, and what mends it.

use jiff::Timestamp;
use rustls::pki_types::UnixTime;
use rustls::{AlertDescription, CertificateError, Error};

/// What webpki calls a certificate of an authority that is shown as that of a server. The type is not
/// in rustls' interface; the text is, and a test on a real connection holds it.
const CA_AS_SERVER: &str = "CaUsedAsEndEntity";

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
        other => other.to_string(),
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
        CertificateError::Other(other) if other.0.to_string() == CA_AS_SERVER => {
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
        CertificateError::Revoked => {
            "the receiver's certificate was revoked; give it a new one".to_owned()
        }
        CertificateError::BadSignature => {
            "the receiver's certificate is not signed by whom it names; send the intermediate \
             certificates that belong to it"
                .to_owned()
        }
        CertificateError::InvalidPurpose | CertificateError::InvalidPurposeContext { .. } => {
            "the receiver's certificate is not meant for servers; use one that is (serverAuth)"
                .to_owned()
        }
        CertificateError::BadEncoding => {
            "the receiver's certificate cannot be read; give it another".to_owned()
        }
        other => format!("the receiver's certificate is not valid: {other}"),
    }
}

const EXPIRED: &str = "the receiver's certificate has expired; renew it";
const NOT_YET: &str = "the receiver's certificate is not valid yet; look at the clocks";
const ANOTHER_NAME: &str = "the receiver's certificate is for another name; use one for the host in \
                            the URL, or the URL of the certificate";

fn of_alert(alert: AlertDescription) -> String {
    match alert {
        AlertDescription::ProtocolVersion
        | AlertDescription::HandshakeFailure
        | AlertDescription::InsufficientSecurity => NOTHING_IN_COMMON.to_owned(),
        AlertDescription::CertificateRequired => {
            "the receiver asks for a certificate of ours, and none is sent: let it know its callers \
             by the signature or by a header of the webhook's own"
                .to_owned()
        }
        AlertDescription::UnrecognisedName => {
            "the receiver does not know the host in the URL; set it up there".to_owned()
        }
        other => format!("the receiver refused the connection: it says {other:?}"),
    }
}

fn time(at: UnixTime) -> String {
    let seconds = i64::try_from(at.as_secs()).unwrap_or(i64::MAX);
    let at = Timestamp::from_second(seconds).unwrap_or(Timestamp::MAX);
    at.to_string()
}

/// The names in a certificate, without the kind that each stands in: `DnsName("a.example")`.
fn names(presented: &[String]) -> String {
    let plain = |name: &String| {
        let inner = name.split('"').nth(1).unwrap_or(name);
        inner.chars().take(LONGEST_NAME).collect::<String>()
    };
    let told: Vec<_> = presented.iter().take(NAMES).map(plain).collect();
    match (told.is_empty(), presented.len() > NAMES) {
        (true, _) => "none".to_owned(),
        (false, more) => told.join(", ") + if more { " and others" } else { "" },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_names_of_a_certificate_are_told_bounded() {
        let one = |name: &str| format!("DnsName({name:?})");
        assert_eq!(names(&[]), "none");
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
        ] {
            let said = words(&error);
            assert!(said.starts_with("the receiver"), "{said}");
            assert!(!said.contains("peer") && !said.contains("::"), "{said}");
        }
    }
}
