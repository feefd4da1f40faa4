//! Polling up to a deadline.

use crate::support::deadline::{eventually, eventually_ok};
use std::future::pending;
use std::time::Duration;

#[tokio::test]
async fn gives_the_first_value_that_is_there() {
    let mut asked = 0;
    let value = eventually(Duration::from_secs(20), "the third answer", async || {
        asked += 1;
        (asked == 3).then_some("here")
    })
    .await;
    assert_eq!((value, asked), ("here", 3));
}

#[tokio::test]
#[should_panic(expected = "not within 30ms: the sea is dry; last state: still wet")]
async fn says_what_was_missing_and_what_was_seen_last() {
    let limit = Duration::from_millis(30);
    eventually_ok(limit, "the sea is dry", async || Err::<(), _>("still wet")).await;
}

#[tokio::test]
#[should_panic(expected = "the last question was not answered")]
async fn a_question_that_hangs_ends_at_the_deadline() {
    eventually(Duration::from_millis(30), "an answer", async || {
        pending::<Option<()>>().await
    })
    .await;
}
