//! Encrypted connections: made with those who can prove who they are, refused to all others.

use std::sync::Arc;
use std::time::Duration;

use prism_webhooks::domain::outcome::FailureKind;
use prism_webhooks::engine::ports::Sender as _;
use prism_webhooks::http::{SenderSettings, install_crypto};
use rcgen::{
    BasicConstraints, CertificateParams, ExtendedKeyUsagePurpose, IsCa, KeyPair, date_time_ymd,
};
use rustls::ServerConfig;
use rustls::pki_types::PrivateKeyDer;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio_rustls::TlsAcceptor;

use super::raw::{Raw, closed};
use super::{answered, failed, in_time, patient, request, send, sender, settings};

/// A receiver with a certificate of its own making for `name`, and that certificate.
async fn receiver(name: &str) -> (Raw, reqwest::Certificate) {
    with_certificate(&CertificateParams::new([name.to_owned()]).unwrap()).await
}

/// The same with a certificate that is made so.
async fn with_certificate(made: &CertificateParams) -> (Raw, reqwest::Certificate) {
    install_crypto();
    let signing_key = KeyPair::generate().unwrap();
    let cert = made.self_signed(&signing_key).unwrap();
    let key = PrivateKeyDer::try_from(signing_key.serialize_der()).unwrap();
    let config = ServerConfig::builder()
        .with_no_client_auth()
        .with_single_cert(vec![cert.der().clone()], key)
        .unwrap();
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let raw = Raw::serve(move |stream| {
        let acceptor = acceptor.clone();
        async move {
            let Ok(mut stream) = acceptor.accept(stream).await else {
                return;
            };
            let mut request = Vec::new();
            while stream.read_buf(&mut request).await.unwrap_or(0) > 0 {
                if request.ends_with(b"}") {
                    request.clear();
                    let answer = b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n";
                    stream.write_all(answer).await.unwrap();
                }
            }
        }
    })
    .await;
    let certificate = reqwest::Certificate::from_der(cert.der()).unwrap();
    (raw, certificate)
}

fn url(raw: &Raw) -> String {
    format!("https://localhost:{}/?token=hunter2", raw.address.port())
}

fn trusting(authority: reqwest::Certificate) -> SenderSettings {
    SenderSettings {
        extra_authorities: vec![authority],
        ..patient()
    }
}

#[tokio::test]
async fn a_certificate_of_an_unknown_authority_is_a_tls_failure() {
    let (raw, _) = receiver("localhost").await;
    let message = failed(send(patient(), &url(&raw)).await, FailureKind::Tls);
    let said = "TLS failed: the receiver's certificate is signed by itself, or by an authority that is \
                not trusted here";
    assert!(message.starts_with(said), "{message}");
    assert!(!message.contains("hunter2"));
}

/// What is said of a receiver with a self-signed certificate that was made so, and is trusted or not.
async fn said_of(change: impl FnOnce(&mut CertificateParams), trusted: bool) -> String {
    let mut made = CertificateParams::new(["localhost".to_owned()]).unwrap();
    change(&mut made);
    let (raw, certificate) = with_certificate(&made).await;
    let settings = if trusted {
        trusting(certificate)
    } else {
        patient()
    };
    let message = failed(send(settings, &url(&raw)).await, FailureKind::Tls);
    assert!(!message.contains("hunter2"));
    message
}

#[tokio::test]
async fn a_certificate_of_an_authority_in_the_place_of_a_servers_is_told_so() {
    let authority = |made: &mut CertificateParams| {
        made.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    };
    let message = said_of(authority, false).await;
    let said = "TLS failed: the receiver shows a certificate of an authority (CA:TRUE), as self-signed \
                ones often are";
    assert!(message.starts_with(said), "{message}");
}

#[tokio::test]
async fn a_certificate_that_expired_or_is_not_valid_yet_is_told_with_its_time() {
    let expired = |made: &mut CertificateParams| made.not_after = date_time_ymd(2001, 2, 3);
    let message = said_of(expired, true).await;
    let said = "TLS failed: the receiver's certificate has expired; renew it; it was valid until \
                2001-02-03T00:00:00Z";
    assert_eq!(message, said);
    let early = |made: &mut CertificateParams| made.not_before = date_time_ymd(3001, 2, 3);
    let message = said_of(early, true).await;
    let said = "TLS failed: the receiver's certificate is not valid yet; look at the clocks; it is \
                valid from 3001-02-03T00:00:00Z";
    assert_eq!(message, said);
}

#[tokio::test]
async fn a_receiver_without_a_common_version_is_told_so() {
    // A fatal alert: handshake failure, as one that speaks only what is old answers.
    let old = Raw::serve(|mut stream| async move {
        let _ = stream.read(&mut [0; 16]).await;
        let _ = stream.write_all(&[21, 3, 1, 0, 2, 2, 40]).await;
        closed(&mut stream).await;
    })
    .await;
    let message = failed(send(patient(), &url(&old)).await, FailureKind::Tls);
    let said = "TLS failed: the receiver offers no version of TLS or no cipher that is spoken here";
    assert!(message.starts_with(said), "{message}");
}

#[tokio::test]
async fn what_is_wrong_with_a_certificate_is_told_in_words_with_what_mends_it() {
    let for_clients = |made: &mut CertificateParams| {
        made.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
    };
    let message = said_of(for_clients, true).await;
    let said = "TLS failed: the receiver's certificate is not meant for servers; use one that is \
                (serverAuth)";
    assert_eq!(message, said);
    let nameless = |made: &mut CertificateParams| made.subject_alt_names.clear();
    let message = said_of(nameless, true).await;
    let said = "the URL says localhost, the certificate none: its names belong into subjectAltName, \
                for the common name (CN) is not one";
    assert!(message.ends_with(said), "{message}");
}

#[tokio::test]
async fn a_receiver_that_breaks_the_handshake_off_or_its_rules_is_told_so() {
    for (answer, said) in [
        (
            // A fatal alert: internal error.
            &[21, 3, 3, 0, 2, 2, 80][..],
            "the receiver broke the handshake off and says only: internal error; look into its own log",
        ),
        (
            &[21, 3, 3, 0, 2, 2, 255],
            "the receiver broke the handshake off and says only: alert 255; look into its own log",
        ),
        (
            // The end of a hello that never began.
            &[22, 3, 3, 0, 4, 14, 0, 0, 0],
            "the receiver does not keep to the rules of TLS; look at what answers on this port, and \
             renew it",
        ),
    ] {
        let odd = Raw::serve(move |mut stream| async move {
            let _ = stream.read(&mut [0; 16]).await;
            let _ = stream.write_all(answer).await;
            closed(&mut stream).await;
        })
        .await;
        let message = failed(send(patient(), &url(&odd)).await, FailureKind::Tls);
        assert_eq!(message, format!("TLS failed: {said}"));
    }
}

#[tokio::test]
async fn a_certificate_of_a_trusted_authority_is_accepted_and_the_connection_kept() {
    let (raw, certificate) = receiver("localhost").await;
    let sender = sender(trusting(certificate));
    for _ in 0..5 {
        let reply = in_time(sender.send(request(&url(&raw)))).await.unwrap();
        assert_eq!(reply.remote_addr, Some(raw.address));
        assert_eq!(answered(reply).status, 200);
    }
    assert_eq!(raw.connections(), 1);
}

#[tokio::test]
async fn a_certificate_for_another_name_is_a_tls_failure() {
    let (raw, certificate) = receiver("elsewhere.example").await;
    let reply = send(trusting(certificate), &url(&raw)).await;
    let message = failed(reply, FailureKind::Tls);
    let said = "TLS failed: the receiver's certificate is for another name";
    assert!(message.starts_with(said), "{message}");
    let names = "the URL says localhost, the certificate elsewhere.example";
    assert!(message.ends_with(names), "{message}");
}

#[tokio::test]
async fn a_receiver_that_does_not_speak_tls_is_a_tls_failure() {
    let plain = Raw::serve(|mut stream| async move {
        let _ = stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").await;
        closed(&mut stream).await;
    })
    .await;
    let message = failed(send(patient(), &url(&plain)).await, FailureKind::Tls);
    let said = "TLS failed: the receiver does not speak TLS on this port";
    assert!(message.starts_with(said), "{message}");
}

#[tokio::test]
async fn a_connection_closed_in_the_handshake_is_a_tls_failure() {
    let closing = Raw::serve(|mut stream| async move {
        let _ = stream.read(&mut [0; 16]).await;
    })
    .await;
    let message = failed(send(patient(), &url(&closing)).await, FailureKind::Tls);
    let said = "TLS failed: the connection broke in the handshake: ";
    assert!(message.starts_with(said), "{message}");
    let mend = "; does the receiver speak TLS on this port?";
    assert!(message.ends_with(mend), "{message}");
}

#[tokio::test]
async fn a_handshake_that_hangs_is_a_timeout_of_the_connection() {
    let hanging = Raw::serve(|mut stream| async move { closed(&mut stream).await }).await;
    let short = SenderSettings {
        timeout: patient().timeout,
        connect_timeout: Duration::from_millis(200),
        ..settings()
    };
    let message = failed(send(short, &url(&hanging)).await, FailureKind::Timeout);
    let said = "no connection with TLS was made within 200ms; if something listens there, does it \
                speak TLS on this port?";
    assert_eq!(message, said);
}
