//! A receiver that misbehaves does so as its answer says.

use super::receiver::client;
use super::{QUIET, SOON};
use crate::support::deadline::eventually;
use crate::support::receiver::{Answer, Receiver};
use std::time::{Duration, Instant};
use tokio::time::timeout;

/// A receiver that gives everyone this answer, and a client's first answer.
async fn ask(answer: Answer) -> (Receiver, reqwest::Result<reqwest::Response>) {
    let receiver = Receiver::start(move |_| answer.clone());
    let response = timeout(SOON, client().post(receiver.url()).body("x").send()).await;
    (receiver, response.expect("an answer or an error in time"))
}

#[tokio::test]
async fn a_hang_never_answers_and_ends_when_the_client_gives_up() {
    let receiver = Receiver::start(|_| Answer::hang());
    let client = client();
    let mut request = Box::pin(client.post(receiver.url()).send());
    assert!(timeout(QUIET, &mut request).await.is_err(), "no answer");
    receiver.wait_for(1, SOON).await;
    assert_eq!(receiver.open(), 1);
    drop(request);
    let what = "the receiver notices that the client has left";
    eventually(SOON, what, async || (receiver.open() == 0).then_some(())).await;
}

#[tokio::test]
async fn a_drip_sends_one_byte_a_second_and_no_end() {
    let (_receiver, response) = ask(Answer::drip()).await;
    let mut response = response.expect("a head");
    let start = Instant::now();
    for _ in 0..3 {
        let piece = timeout(SOON, response.chunk())
            .await
            .expect("in time")
            .expect("a body");
        assert_eq!(piece.expect("more to come"), "x");
    }
    // The first comes at once, so three take two intervals.
    let taken = start.elapsed();
    assert!(taken >= Duration::from_millis(1900), "{taken:?}");
}

#[tokio::test]
async fn a_drip_can_be_faster() {
    let (_receiver, response) = ask(Answer::drip_every(Duration::from_millis(1))).await;
    let mut response = response.expect("a head");
    let start = Instant::now();
    let mut bytes = 0;
    while bytes < 20 {
        bytes += response
            .chunk()
            .await
            .expect("a body")
            .expect("more to come")
            .len();
    }
    assert!(start.elapsed() >= Duration::from_millis(15));
}

#[tokio::test]
async fn a_declared_length_is_never_reached() {
    let (_receiver, response) = ask(Answer::declares_ten_gigabytes()).await;
    let mut response = response.expect("a head");
    assert_eq!(response.content_length(), Some(10_000_000_000));
    let mut bytes = 0;
    while let Ok(piece) = timeout(QUIET, response.chunk()).await {
        bytes += piece.expect("a body").expect("more to come").len();
    }
    assert_eq!(bytes, 1024);
}

#[tokio::test]
async fn endless_headers_are_more_than_a_client_takes() {
    let (receiver, response) = ask(Answer::endless_headers()).await;
    response.expect_err("too many headers");
    let what = "the receiver stops when the client has left";
    eventually(SOON, what, async || (receiver.open() == 0).then_some(())).await;
}

#[tokio::test]
async fn half_a_body_is_an_error_of_the_body() {
    let (_receiver, response) = ask(Answer::closes_mid_body()).await;
    let response = response.expect("a head");
    assert_eq!(response.status(), 200);
    response.bytes().await.expect_err("half a body");
}

#[tokio::test]
async fn a_connection_closed_without_an_answer_is_an_error() {
    let (receiver, response) = ask(Answer::closes()).await;
    response.expect_err("no answer");
    assert_eq!(receiver.requests()[0].body, "x", "the request was read");
}
