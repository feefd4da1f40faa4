//! Servers behind TLS: `amqps` and `rediss`, with a certificate that must be trusted to be spoken to.

use std::fs;

use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use url::Url;

use crate::support::namespace::Namespace;
use crate::support::process::{json, run};
use crate::support::receiver::tls::Identity;
use crate::support::servers::{amqp_url, redis_url};

/// Listens with TLS in front of a server that speaks without; gives the URL to use instead.
async fn with_tls(plain: &str, scheme: &str, identity: &Identity) -> String {
    let mut url = Url::parse(plain).unwrap();
    let port = url
        .port()
        .unwrap_or(if scheme == "amqps" { 5672 } else { 6379 });
    let upstream = format!("{}:{port}", url.host_str().unwrap());
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let acceptor = identity.acceptor();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let (acceptor, upstream) = (acceptor.clone(), upstream.clone());
            tokio::spawn(async move {
                let mut client = acceptor.accept(stream).await?;
                let mut server = TcpStream::connect(upstream).await?;
                copy_bidirectional(&mut client, &mut server).await
            });
        }
    });
    url.set_host(Some("localhost")).unwrap();
    url.set_port(Some(port)).unwrap();
    url.to_string().replacen(url.scheme(), scheme, 1)
}

#[tokio::test(flavor = "multi_thread")]
async fn amqps_and_rediss_are_spoken_with_trusted_servers_and_no_others() {
    let identity = Identity::generate();
    let amqps = with_tls(amqp_url(), "amqps", &identity).await;
    let rediss = with_tls(redis_url(), "rediss", &identity).await;
    let namespace = Namespace::unique("tls");
    let directory = tempfile::tempdir().unwrap();
    let empty = tempfile::tempdir().unwrap();
    let authority = directory.path().join("authority.pem");
    fs::write(&authority, identity.pem()).unwrap();
    let authority = authority.to_str().unwrap();
    let call = |arguments: &[&str], trusted: &str| {
        let environment = [
            ("PRISM_AMQP_URL", &*amqps),
            ("PRISM_REDIS_URL", &*rediss),
            ("PRISM_NAMESPACE", namespace.as_str()),
            ("SSL_CERT_DIR", empty.path().to_str().unwrap()),
            ("SSL_CERT_FILE", trusted),
        ];
        // The proxies run on this runtime's other threads meanwhile.
        tokio::task::block_in_place(|| run(arguments, &environment))
    };

    let listed = call(&["webhooks", "list", "--json"], authority);
    assert_eq!(json(&listed), serde_json::json!([]));
    let applied = call(
        &["--set", "delay.longest=6h", "topology", "apply"],
        authority,
    );
    assert!(
        applied.status.success(),
        "{}",
        String::from_utf8_lossy(&applied.stderr)
    );

    for arguments in [["webhooks", "list"].as_slice(), &["topology", "check"]] {
        let refused = call(arguments, "/dev/null");
        let said = String::from_utf8_lossy(&refused.stderr).into_owned();
        assert_eq!(refused.status.code(), Some(4), "{arguments:?}: {said}");
        assert!(
            said.to_lowercase().contains("certificate"),
            "{arguments:?}: {said}"
        );
    }
}
