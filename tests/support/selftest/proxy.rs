//! Cutting, refusing, stalling and freezing connections, and counting what passes.

use super::{QUIET, SOON};
use crate::support::deadline::eventually;
use crate::support::proxy::{Proxy, To};
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

/// Reads the remainder of an answer, which may come in pieces.
async fn read_the_rest(client: &mut TcpStream) {
    let mut rest = [0; 4096];
    while let Ok(read) = timeout(QUIET, client.read(&mut rest)).await {
        assert_ne!(read.expect("readable"), 0);
    }
}

/// Whether neither bytes nor an end come.
async fn hears_nothing(client: &mut TcpStream) -> bool {
    timeout(QUIET, client.read_u8()).await.is_err()
}

/// Whether the next bytes are the beginning of an answer.
async fn is_answered_after_all(client: &mut TcpStream) -> bool {
    let mut begin = [0; 12];
    timeout(SOON, client.read_exact(&mut begin))
        .await
        .expect("in time")
        .expect("an answer");
    &begin == b"HTTP/1.1 200"
}

#[tokio::test]
async fn passes_bytes_both_ways() {
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
}

#[tokio::test]
async fn counts_a_pattern_in_one_direction_however_it_comes_in_pieces() {
    let receiver = Receiver::ok();
    let proxy = Proxy::start(&receiver.url());
    let mut client = connect(&proxy).await;
    let asked = proxy.tally(To::Server, b"POST / HTTP/1.1");
    let never_said = proxy.tally(To::Client, b"POST / HTTP/1.1");
    let answers = proxy.tally(To::Client, b"HTTP/1.1 200");
    let begun = proxy.tally(To::Server, b"PO");
    client.set_nodelay(true).expect("pieces");
    client.write_all(&REQUEST[..2]).await.expect("sent");
    eventually(SOON, "the first piece came alone", async || {
        (begun.count() == 1).then_some(())
    })
    .await;
    assert_eq!(asked.count(), 0);
    client.write_all(&REQUEST[2..]).await.expect("sent");
    client.write_all(REQUEST).await.expect("sent");
    eventually(SOON, "both answers passed", async || {
        (answers.count() == 2).then_some(())
    })
    .await;
    assert_eq!((asked.count(), never_said.count()), (2, 0));
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
    proxy.refuse();
    assert!(ended(&mut connect(&proxy).await).await);
    before.write_all(REQUEST).await.expect("sent");
    receiver.wait_for(2, SOON).await;
    proxy.up();
    assert!(answered(&mut connect(&proxy).await).await);
}

#[tokio::test]
async fn a_stall_withholds_the_servers_words_and_not_the_clients() {
    let receiver = Receiver::ok();
    let proxy = Proxy::start(&receiver.url());
    let mut client = connect(&proxy).await;
    assert!(answered(&mut client).await);
    read_the_rest(&mut client).await;
    proxy.stall();
    client.write_all(REQUEST).await.expect("sent");
    receiver.wait_for(2, SOON).await;
    assert!(hears_nothing(&mut client).await, "withheld");
    proxy.resume();
    assert!(is_answered_after_all(&mut client).await);
}

#[tokio::test]
async fn answers_to_a_request_are_withheld_from_whoever_made_it_and_it_tells_when() {
    let receiver = Receiver::ok();
    let proxy = Proxy::start(&receiver.url());
    let (mut one, mut other) = (connect(&proxy).await, connect(&proxy).await);
    for client in [&mut one, &mut other] {
        assert!(answered(client).await);
        read_the_rest(client).await;
    }
    proxy.withhold_answers_to(b"x-hold: 1");
    // Any other request is answered.
    assert!(answered(&mut one).await);
    read_the_rest(&mut one).await;
    assert!(timeout(QUIET, proxy.withholds()).await.is_err());
    let held = b"POST / HTTP/1.1\r\nhost: here\r\nx-hold: 1\r\ncontent-length: 0\r\n\r\n";
    one.write_all(held).await.expect("sent");
    timeout(SOON, proxy.withholds()).await.expect("it tells");
    receiver.wait_for(4, SOON).await;
    assert!(hears_nothing(&mut one).await, "withheld");
    assert!(answered(&mut other).await);
    proxy.resume();
    assert!(is_answered_after_all(&mut one).await);
    read_the_rest(&mut one).await;
    // What was asked earlier is forgotten when they are withheld again.
    proxy.withhold_answers_to(b"x-hold: 1");
    assert!(answered(&mut one).await);
}

#[tokio::test]
async fn what_is_down_lets_nobody_in_and_nobody_stay_until_it_is_up() {
    let receiver = Receiver::ok();
    let proxy = Proxy::start(&receiver.url());
    let mut before = connect(&proxy).await;
    assert!(answered(&mut before).await);
    read_the_rest(&mut before).await;
    proxy.down();
    assert!(ended(&mut before).await);
    assert!(ended(&mut connect(&proxy).await).await);
    proxy.up();
    assert!(answered(&mut connect(&proxy).await).await);
}

#[tokio::test]
async fn what_is_frozen_neither_carries_nor_ends_until_it_is_cut() {
    let receiver = Receiver::ok();
    let proxy = Proxy::start(&receiver.url());
    let mut frozen = connect(&proxy).await;
    assert!(answered(&mut frozen).await);
    read_the_rest(&mut frozen).await;
    proxy.freeze();
    frozen.write_all(REQUEST).await.expect("sent");
    assert!(hears_nothing(&mut frozen).await);
    assert_eq!(receiver.count(), 1);
    let mut new = connect(&proxy).await;
    assert!(answered(&mut new).await);
    read_the_rest(&mut new).await;
    proxy.cut();
    for client in [&mut frozen, &mut new] {
        assert!(ended(client).await);
    }
    assert_eq!(receiver.count(), 2);
}

#[tokio::test]
async fn what_clients_say_is_swallowed_until_a_cut_and_never_comes() {
    let receiver = Receiver::ok();
    let proxy = Proxy::start(&receiver.url());
    let mut client = connect(&proxy).await;
    assert!(answered(&mut client).await);
    read_the_rest(&mut client).await;
    proxy.swallow();
    let asked = proxy.tally(To::Server, b"POST");
    let mut new = connect(&proxy).await;
    for client in [&mut client, &mut new] {
        client.write_all(REQUEST).await.expect("sent");
        assert!(hears_nothing(client).await);
    }
    eventually(SOON, "both came as far as here", async || {
        (asked.count() == 2).then_some(())
    })
    .await;
    assert_eq!(receiver.count(), 1);
    proxy.cut();
    assert!(ended(&mut client).await && ended(&mut new).await);
    assert!(answered(&mut connect(&proxy).await).await);
    assert_eq!(receiver.count(), 2);
}

fn reqwest_client() -> reqwest::Client {
    super::receiver::client()
}
