//! Encrypted connections: made with those who can prove who they are, refused to all others.

use std::sync::Arc;
use std::time::Duration;

use prism_webhooks::domain::outcome::FailureKind;
use prism_webhooks::engine::ports::Sender as _;
use prism_webhooks::http::{SenderSettings, install_crypto};
use rcgen::{CertifiedKey, generate_simple_self_signed};
use rustls::ServerConfig;
use rustls::pki_types::PrivateKeyDer;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio_rustls::TlsAcceptor;

use super::raw::{Raw, closed};
use super::{answered, failed, in_time, patient, request, send, sender, settings};

/// A receiver with a certificate of its own making for `name`, and that certificate.
async fn receiver(name: &str) -> (Raw, reqwest::Certificate) {
    install_crypto();
    let CertifiedKey { cert, signing_key } =
        generate_simple_self_signed([name.to_owned()]).unwrap();
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
    assert!(
        message.starts_with("TLS failed: invalid peer certificate"),
        "{message}"
    );
    assert!(!message.contains("hunter2"));
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
    failed(
        send(trusting(certificate), &url(&raw)).await,
        FailureKind::Tls,
    );
}

#[tokio::test]
async fn a_receiver_that_does_not_speak_tls_is_a_tls_failure() {
    let plain = Raw::serve(|mut stream| async move {
        let _ = stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").await;
        closed(&mut stream).await;
    })
    .await;
    failed(send(patient(), &url(&plain)).await, FailureKind::Tls);
}

#[tokio::test]
async fn a_connection_closed_in_the_handshake_is_a_tls_failure() {
    let closing = Raw::serve(|mut stream| async move {
        let _ = stream.read(&mut [0; 16]).await;
    })
    .await;
    failed(send(patient(), &url(&closing)).await, FailureKind::Tls);
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
    assert_eq!(message, "no connection was made within 200ms");
}
