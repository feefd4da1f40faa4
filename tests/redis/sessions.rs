//! Sessions of the page, kept in Redis.

use std::time::Duration;

use prism_webhooks::redis::sessions::RedisSessions;
use prism_webhooks::store::sessions::{MOST_OF_ONE, Sessions as _};

use super::kit::Space;

#[tokio::test]
async fn a_session_that_is_over_takes_no_place_of_those_that_go_on() {
    let space = Space::new();
    let sessions = RedisSessions::new(space.connection.clone(), space.keys.clone());
    let keep = Duration::from_secs(600);
    let begin = async |id: &str| sessions.begin("token", id, "kept", keep).await.unwrap();
    let goes_on = async |id: &str| sessions.find(id, None).await.unwrap().is_some();
    begin("colleague").await;
    for number in 1..MOST_OF_ONE {
        begin(&format!("monitor {number}")).await;
    }
    sessions.end("monitor 7").await.unwrap();
    begin("another").await;
    assert!(goes_on("colleague").await, "one had ended");
    begin("one too many").await;
    assert!(
        !goes_on("colleague").await,
        "now it is the oldest of too many"
    );
    assert!(goes_on("monitor 1").await);
}
