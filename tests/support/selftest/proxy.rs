//! Cutting, refusing and stalling connections.

use super::{QUIET, SOON};
use crate::support::deadline::eventually;
use crate::support::proxy::Proxy;
use crate::support::receiver::Receiver;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

const REQUEST: &[u8] = b"POST / HTTP/1.1\r\nhost: here\r\ncontent-length: 0\r\n\r\n";

/// A client's connection through the proxy.
async fn connect(proxy: &Proxy) -> TcpStream {
    TcpStream::connect(("127.0.0.1", proxy.port()))
        .await
        .expect("the proxy listens")
}

/// Whether the connection ended, in either way, instead of bringing bytes.
async fn ended(client: &mut TcpStream) -> bool {
    let mut byte = [0];
    match timeout(SOON, client.read(&mut byte))
        .await
        .expect("an end or a byte")
    {
        Ok(read) => read == 0,
        Err(_) => true,
    }
}

async fn answered(client: &mut TcpStream) -> bool {
    client.write_all(REQUEST).await.expect("sent");
    !ended(client).await
}

#[tokio::test]
async fn passes_bytes_both_ways_and_counts_them() {
    let receiver = Receiver::ok();
    let proxy = Proxy::start(&receiver.url());
    let response = reqwest_client()
        .post(proxy.url())
        .body("abc")
        .send()
        .await
        .expect("an answer");
    assert_eq!(response.status(), 200);
    assert_eq!(receiver.requests()[0].body, "abc");
    assert_eq!(proxy.connections(), 1);
    eventually(SOON, "both directions are counted", async || {
        (proxy.bytes_to_server() > 10 && proxy.bytes_to_client() > 10).then_some(())
    })
    .await;
}

#[test]
fn the_url_keeps_everything_but_the_address() {
    let proxy = Proxy::start("amqp://guest:guest@127.0.0.1:1/%2f");
    let url = format!("amqp://guest:guest@127.0.0.1:{}/%2f", proxy.port());
    assert_eq!(proxy.url(), url);
}

#[tokio::test]
async fn a_cut_ends_what_is_open_and_lets_new_connections_in() {
    let receiver = Receiver::ok();
    let proxy = Proxy::start(&receiver.url());
    let (mut one, mut other) = (connect(&proxy).await, connect(&proxy).await);
    assert!(answered(&mut one).await && answered(&mut other).await);
    proxy.cut();
    // What was answered but not read still comes; then the end.
    let mut rest = Vec::new();
    for client in [&mut one, &mut other] {
        let _reset = timeout(SOON, client.read_to_end(&mut rest))
            .await
            .expect("an end");
    }
    assert!(answered(&mut connect(&proxy).await).await);
}

#[tokio::test]
async fn refused_connections_end_at_once_and_others_go_on() {
    let receiver = Receiver::ok();
    let proxy = Proxy::start(&receiver.url());
    let mut before = connect(&proxy).await;
    assert!(answered(&mut before).await);
    proxy.refuse(true);
    assert!(ended(&mut connect(&proxy).await).await);
    before.write_all(REQUEST).await.expect("sent");
    receiver.wait_for(2, SOON).await;
    proxy.refuse(false);
    assert!(answered(&mut connect(&proxy).await).await);
}

#[tokio::test]
async fn a_stall_withholds_the_servers_words_and_not_the_clients() {
    let receiver = Receiver::ok();
    let proxy = Proxy::start(&receiver.url());
    let mut client = connect(&proxy).await;
    assert!(answered(&mut client).await);
    let mut rest = [0; 4096];
    // The remainder of the first answer, which may come in pieces.
    while let Ok(read) = timeout(QUIET, client.read(&mut rest)).await {
        assert_ne!(read.expect("readable"), 0);
    }
    proxy.stall();
    client.write_all(REQUEST).await.expect("sent");
    receiver.wait_for(2, SOON).await;
    assert!(
        timeout(QUIET, client.read(&mut rest)).await.is_err(),
        "withheld"
    );
    proxy.resume();
    let read = timeout(SOON, client.read(&mut rest))
        .await
        .expect("in time")
        .expect("readable");
    assert!(rest[..read].starts_with(b"HTTP/1.1 200"));
}

fn reqwest_client() -> reqwest::Client {
    super::receiver::client()
}
