//! Looking through them leaves everything as it was.

use prism_webhooks::domain::dead_letter::{Content, DeadLetter, Reason};
use prism_webhooks::engine::ports::FollowUp;
use prism_webhooks::store::dead_letters::Filter;

use super::{give_up, ids, of, open};
use crate::rabbitmq::world::{World, delivery, hand_over, raw_event};

#[tokio::test]
async fn listing_shows_what_is_known_in_order_and_leaves_everything_as_it_was() {
    let world = World::declared().await;
    let publisher = world.publisher();
    for id in 0..20 {
        let webhook = if id % 2 == 0 { "even" } else { "odd" };
        give_up(
            &publisher,
            &format!("e{id}"),
            webhook,
            Reason::AttemptsExhausted,
        )
        .await;
    }
    let letter = DeadLetter {
        reason: Reason::InvalidEvent,
        detail: "the body is not UTF-8".to_owned(),
        content: Content::Message(raw_event("bad")),
    };
    hand_over(&publisher, FollowUp::DeadLetter(letter)).await;

    let dead_letters = open(&world);
    // More often than any delivery limit that a broker sets by itself.
    for _ in 0..30 {
        let found = dead_letters.list(&Filter::default(), 100).await;
        assert!(found.is_complete());
        assert_eq!(found.looked_at, 21);
        let expected: Vec<String> = (0..20)
            .map(|id| format!("e{id}"))
            .chain(["bad".to_owned()])
            .collect();
        assert_eq!(ids(&found), expected);
    }
    assert_eq!(
        world.messages_in(world.topology.dead_letters_queue()).await,
        21
    );

    let found = dead_letters.list(&of("odd"), 3).await;
    assert_eq!(ids(&found), ["e1", "e3", "e5"]);
    assert!(!found.is_complete());
    let letter = &found.letters[0];
    assert_eq!(letter.reason, Some(Reason::AttemptsExhausted));
    assert_eq!(letter.detail.as_deref(), Some("e1 was given up"));
    assert_eq!(letter.organization.as_deref(), Some("acme"));
    assert_eq!(letter.event_type.as_deref(), Some("request.completed"));
    assert_eq!(
        letter.delivery.as_deref(),
        Some(delivery("e1", "odd").id.as_str())
    );
    assert_eq!(letter.attempts, Some(10));
    assert_eq!(letter.last_outcome.as_deref(), Some("http-error"));
    assert_eq!(letter.last_status, Some(500));
    assert_eq!(letter.size, delivery("e1", "odd").event.body.len());
    assert!(letter.dead_at.is_some());

    let invalid = Filter {
        reason: Some(Reason::InvalidEvent),
        ..Filter::default()
    };
    let found = dead_letters.list(&invalid, 100).await;
    assert_eq!(ids(&found), ["bad"]);
    assert!(found.is_complete());
}
