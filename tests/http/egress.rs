//! Where requests may not go, they do not go: not by name, not by any way of writing an address.

use prism_webhooks::domain::egress::Egress;
use prism_webhooks::domain::outcome::FailureKind;
use prism_webhooks::http::SenderSettings;

use super::raw::Raw;
use super::{answered, failed, loopback, patient, send};

const OK: &str = "HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n";

fn strict() -> SenderSettings {
    SenderSettings {
        egress: Egress::default(),
        ..patient()
    }
}

#[tokio::test]
async fn a_name_that_resolves_to_loopback_is_refused() {
    let raw = Raw::answering(OK).await;
    for host in ["localhost", "LOCALHOST"] {
        let url = format!("http://{host}:{}/?token=hunter2", raw.address.port());
        let message = failed(send(strict(), &url).await, FailureKind::AddressRefused);
        assert!(message.contains("is loopback (RFC 1122)"), "{message}");
        assert!(message.contains("allow_networks"), "{message}");
        assert!(!message.contains("hunter2"));
    }
    assert_eq!(raw.connections(), 0);
}

#[tokio::test]
async fn a_name_whose_network_is_allowed_is_posted_to() {
    let raw = Raw::answering(OK).await;
    let allowing = SenderSettings {
        egress: loopback(),
        ..patient()
    };
    let url = format!("http://localhost:{}/", raw.address.port());
    let reply = send(allowing, &url).await;
    assert_eq!(reply.remote_addr, Some(raw.address));
    assert_eq!(answered(reply).status, 200);
}

#[tokio::test]
async fn every_literal_form_of_a_refused_address_is_refused_without_connecting() {
    let raw = Raw::answering(OK).await;
    for host in [
        "127.0.0.1",
        "127.0.0.1.",
        "127.1",
        "0x7f.1",
        "0x7f000001",
        "2130706433",
        "017700000001",
        "0177.0.0.1",
        "%31%32%37.0.0.1",
        "１２７.0.0.1",
        "0",
        "0.0.0.0",
        "[::1]",
        "[::]",
        "[::127.0.0.1]",
        "[::ffff:127.0.0.1]",
        "[::ffff:7f00:1]",
        "[::ffff:10.0.0.1]",
        "[64:ff9b::127.0.0.1]",
        "[2002:7f00:1::]",
    ] {
        let url = format!("http://{host}:{}/", raw.address.port());
        let reply = send(strict(), &url).await;
        assert_eq!(reply.remote_addr, None);
        failed(reply, FailureKind::AddressRefused);
    }
    assert_eq!(raw.connections(), 0);
}
