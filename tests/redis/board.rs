//! What several workers say of one webhook, some of which are gone.

use std::time::Duration;

use jiff::Timestamp;
use prism_webhooks::domain::admission::Why;
use prism_webhooks::domain::held_back::{HeldBack, Phase, STANDS};
use prism_webhooks::engine::ports::Board as _;
use prism_webhooks::redis::board::RedisBoard;

use super::kit::{Space, document, organization, webhook_key};

const HOUR: Duration = Duration::from_secs(3600);

#[tokio::test]
async fn what_a_worker_that_is_gone_said_stands_no_more() {
    let space = Space::new();
    let webhook = webhook_key("w");
    let key = space.keys.webhooks(&organization());
    space.ask::<()>(&["HSET", &key, "w", &document("w")]).await;
    let board = RedisBoard::new(space.connection.clone(), space.keys.clone());
    let now = Timestamp::now();
    let held = |why, hours| HeldBack {
        why,
        since: now - HOUR,
        until: now + hours * HOUR,
        phase: Phase::Held,
    };
    let shown = async |at: Timestamp| {
        let ids = std::slice::from_ref(&webhook.id);
        let shown = board.read(&organization(), ids, at).await.unwrap();
        shown.get(&webhook.id).map(|held| held.why)
    };
    for (worker, said) in [("a", held(Why::Line, 1)), ("b", held(Why::Asked, 2))] {
        let writer = board.clone().written_by(worker);
        writer.put_up(vec![(webhook.clone(), Some(said))]).await;
    }
    assert_eq!(shown(now).await, Some(Why::Asked));
    let b = board.clone().written_by("b");
    b.put_up(vec![(webhook.clone(), None)]).await;
    assert_eq!(
        shown(now).await,
        Some(Why::Line),
        "one takes down its own alone"
    );
    assert_eq!(shown(now + STANDS + Duration::from_secs(5)).await, None);
    let key = space.keys.held_back(&organization(), &webhook.id);
    let left: u64 = space.ask(&["PTTL", &key]).await;
    assert!(
        (1..=60_000).contains(&left),
        "{left} ms until nothing is left"
    );
}
