//! Dead letters: what they say, and what is sent round again or removed.

use std::time::Duration;

use jiff::Timestamp;
use prism_webhooks::domain::dead_letter::{Content, DeadLetter, Reason};
use prism_webhooks::domain::delivery::{Delivery, LastAttempt, Trigger};
use prism_webhooks::domain::delivery_state::DeliveryState;
use prism_webhooks::domain::event::{Header, RawEvent};
use prism_webhooks::engine::ports::{DeliveryRecord, Entry, FollowUp, Keep, Message};
use prism_webhooks::store::dead_letters::{Action, Filter, Options};

use super::adapter::Adapter;
use super::messages::{hand_over, next_delivered};
use crate::rabbitmq::world::{delivery, next_event, raw_event, unstamped};

/// A delivery to `webhook` that was given up at attempt 10.
fn given_up(event: &str, webhook: &str, reason: Reason) -> DeadLetter {
    let delivery = Delivery {
        attempt: 10,
        sequence: 12,
        last: Some(LastAttempt {
            outcome: "rejected".to_owned(),
            status: Some(500),
        }),
        ..delivery(event, webhook)
    };
    DeadLetter {
        reason,
        detail: format!("{event} was given up"),
        content: Content::Delivery(delivery),
    }
}

async fn bury(adapter: &impl Adapter, letter: DeadLetter) {
    hand_over(&adapter.handover(), FollowUp::DeadLetter(letter)).await;
}

fn message(id: &str, reason: Reason) -> DeadLetter {
    DeadLetter {
        reason,
        detail: format!("{id} makes no sense"),
        content: Content::Message(raw_event(id)),
    }
}

pub async fn a_dead_letter_says_why_and_keeps_its_content(adapter: &impl Adapter) {
    bury(adapter, given_up("e1", "w1", Reason::AttemptsExhausted)).await;
    bury(adapter, message("e2", Reason::InvalidEvent)).await;
    let found = adapter.dead_letters(&Filter::default()).await;
    assert!(found.is_complete());
    let [one, two] = &found.letters[..] else {
        panic!("{found:?}");
    };
    assert_eq!(one.reason, Some(Reason::AttemptsExhausted));
    assert_eq!(one.detail.as_deref(), Some("e1 was given up"));
    assert_eq!(one.organization.as_deref(), Some("acme"));
    assert_eq!(one.webhook.as_deref(), Some("w1"));
    assert_eq!(one.event.as_deref(), Some("e1"));
    assert_eq!(one.event_type.as_deref(), Some("request.completed"));
    let expected = delivery("e1", "w1").id.to_string();
    assert_eq!(one.delivery, Some(expected));
    assert_eq!((one.attempts, one.last_status), (Some(10), Some(500)));
    assert_eq!(one.last_outcome.as_deref(), Some("rejected"));
    assert_eq!(one.size, raw_event("e1").body.len());
    assert!(one.dead_at.is_some());

    assert_eq!(two.reason, Some(Reason::InvalidEvent));
    assert_eq!(two.organization.as_deref(), Some("acme"));
    assert_eq!(two.event.as_deref(), Some("e2"));
    assert_eq!((&two.webhook, &two.delivery), (&None, &None));
}

pub async fn a_requeue_starts_again_from_attempt_1_with_a_higher_sequence(adapter: &impl Adapter) {
    bury(adapter, given_up("e1", "w1", Reason::AttemptsExhausted)).await;
    bury(adapter, given_up("e2", "w2", Reason::AttemptsExhausted)).await;
    let (mut source, handle) = adapter.work().await;
    let filter = Filter {
        webhook: Some("w2".to_owned()),
        ..Filter::default()
    };
    let progress = adapter
        .process(Action::Requeue, &filter, &Options::default())
        .await;
    assert_eq!((progress.done, progress.kept), (1, 1));
    let (delivery, incoming) = next_delivered(&mut source).await;
    assert_eq!(delivery.event.id.as_str(), "e2");
    assert_eq!((delivery.attempt, delivery.sequence), (1, 13));
    assert_eq!(delivery.trigger, Trigger::Manual);
    assert_eq!(delivery.event.body, raw_event("e2").body);
    incoming.receipt.ack(None, None);
    adapter.close(handle).await;
    let left = adapter.dead_letters(&Filter::default()).await;
    assert_eq!(left.letters.len(), 1);
    assert_eq!(left.letters[0].webhook.as_deref(), Some("w1"));
}

pub async fn what_is_no_event_can_be_requeued_and_what_is_no_delivery_cannot(
    adapter: &impl Adapter,
) {
    bury(adapter, message("event", Reason::InvalidEvent)).await;
    bury(adapter, message("delivery", Reason::InvalidDelivery)).await;
    let (mut source, handle) = adapter.work().await;
    let progress = adapter
        .process(Action::Requeue, &Filter::default(), &Options::default())
        .await;
    assert_eq!((progress.done, progress.unusable), (1, 1));
    let incoming = next_event(&mut source).await;
    match &incoming.message {
        Message::Event(raw) => assert_eq!(unstamped(raw), raw_event("event")),
        other => panic!("{other:?}"),
    }
    incoming.receipt.ack(None, None);
    adapter.close(handle).await;
    let left = adapter.dead_letters(&Filter::default()).await;
    assert_eq!(left.letters[0].event.as_deref(), Some("delivery"));
}

pub async fn a_purge_and_a_dry_run_keep_to_their_filter(adapter: &impl Adapter) {
    for (event, reason) in [
        ("e1", Reason::AttemptsExhausted),
        ("e2", Reason::WebhookDisabled),
        ("e3", Reason::AttemptsExhausted),
        ("e4", Reason::AttemptsExhausted),
    ] {
        bury(adapter, given_up(event, "w1", reason)).await;
    }
    let filter = Filter {
        reason: Some(Reason::AttemptsExhausted),
        ..Filter::default()
    };
    let dry = Options {
        dry_run: true,
        ..Options::default()
    };
    let progress = adapter.process(Action::Purge, &filter, &dry).await;
    assert_eq!((progress.total, progress.done, progress.kept), (4, 3, 1));
    assert_eq!(progress.by_reason["attempts-exhausted"], 3);
    assert_eq!(progress.by_webhook["w1"], 3);
    let found = adapter.dead_letters(&Filter::default()).await;
    assert_eq!(found.letters.len(), 4);

    let limited = Options {
        limit: Some(2),
        ..Options::default()
    };
    let progress = adapter.process(Action::Purge, &filter, &limited).await;
    assert_eq!(progress.done, 2);
    let left = adapter.dead_letters(&Filter::default()).await;
    let mut left: Vec<_> = left
        .letters
        .iter()
        .filter_map(|one| one.event.as_deref())
        .collect();
    left.sort_unstable();
    assert_eq!(left, ["e2", "e4"]);
}

pub async fn a_requeue_takes_those_that_were_given_up_in_a_period(adapter: &impl Adapter) {
    bury(adapter, given_up("e1", "w1", Reason::AttemptsExhausted)).await;
    let found = adapter.dead_letters(&Filter::default()).await;
    let at = found.letters[0].dead_at.unwrap();
    let later = at + Duration::from_millis(1);
    let period = |since, until| Filter {
        since,
        until,
        ..Filter::default()
    };
    // A period has its beginning, and not its end.
    for (since, until, many) in [
        (Some(at), Some(later), 1),
        (Some(later), None, 0),
        (None, Some(at), 0),
        (Some(at), None, 1),
        (None, Some(later), 1),
    ] {
        let filter = period(since, until);
        let found = adapter.dead_letters(&filter).await;
        assert_eq!(found.letters.len(), many, "{since:?} to {until:?}");
    }
    let (action, all) = (Action::Purge, Options::default());
    // What was given up after somebody looked is none of those they saw.
    let seen = |then| Filter {
        seen: Some(then),
        ..Filter::default()
    };
    for (then, many) in [(at, 0), (later, 1)] {
        let found = adapter.dead_letters(&seen(then)).await;
        assert_eq!(found.letters.len(), many, "seen {then}");
    }
    let unseen = adapter.process(action, &seen(at), &all).await;
    assert_eq!((unseen.done, unseen.kept), (0, 1));
    let none = adapter.process(action, &period(None, Some(at)), &all).await;
    assert_eq!(none.done, 0);
    let one = adapter.process(action, &period(Some(at), None), &all).await;
    assert_eq!(one.done, 1);
}

pub async fn what_was_delivered_since_or_given_up_anew_is_no_longer_listed(adapter: &impl Adapter) {
    let reason = Reason::AttemptsExhausted;
    let mut letter = given_up("e1", "w1", reason);
    let Content::Delivery(given_up) = &mut letter.content else {
        unreachable!("a delivery is given up");
    };
    let first = given_up.clone();
    let again = Delivery {
        attempt: 1,
        ..first.requeued()
    };
    let recorded = async |delivery: &Delivery, state| {
        let record = DeliveryRecord {
            delivery: delivery.clone(),
            state,
            keep: Keep::Whole,
        };
        let entry = Entry {
            delivery: Some(record),
            ..Entry::default()
        };
        adapter.log().write(entry).await;
    };
    let attempts = async || {
        let found = adapter.dead_letters(&Filter::default()).await;
        let attempts = found.letters.iter().map(|one| one.attempts.unwrap());
        attempts.collect::<Vec<_>>()
    };
    bury(adapter, letter).await;
    recorded(&first, DeliveryState::Dead(reason)).await;
    assert_eq!(attempts().await, [10]);
    // While a retry by hand waits for its next attempt, it may still come to nothing.
    let later = Timestamp::now() + Duration::from_secs(60);
    recorded(&again, DeliveryState::Waiting(later)).await;
    assert_eq!(attempts().await, [10]);
    // One dead letter of a delivery, the newest.
    let anew = DeadLetter {
        reason,
        detail: "given up anew".to_owned(),
        content: Content::Delivery(again.clone()),
    };
    bury(adapter, anew).await;
    recorded(&again, DeliveryState::Dead(reason)).await;
    assert_eq!(attempts().await, [1]);
    let (all, how) = (Filter::default(), Options::default());
    recorded(&again.requeued(), DeliveryState::Delivered).await;
    assert!(attempts().await.is_empty());
    let progress = adapter.process(Action::Requeue, &all, &how).await;
    assert_eq!((progress.done, progress.kept), (0, 0));
}

pub async fn what_names_nobody_legibly_is_the_operators_and_nothing_of_others_is_told(
    adapter: &impl Adapter,
) {
    let named = |id: &str, organization, reason| DeadLetter {
        content: Content::Message(RawEvent {
            organization,
            ..raw_event(id)
        }),
        ..message(id, reason)
    };
    let (event, delivery) = (Reason::InvalidEvent, Reason::InvalidDelivery);
    bury(adapter, named("number", Header::Other("a number"), event)).await;
    bury(adapter, named("bytes", Header::Text(vec![0xff]), event)).await;
    bury(adapter, named("lost", Header::Absent, delivery)).await;
    bury(adapter, named("default", Header::Absent, event)).await;
    bury(adapter, given_up("acme", "w", Reason::AttemptsExhausted)).await;
    let all = adapter.dead_letters(&Filter::default()).await;
    assert_eq!(all.letters.len(), 5);
    let of_default = Filter {
        organization: Some("default".to_owned()),
        ..Filter::default()
    };
    let found = adapter.dead_letters(&of_default).await;
    let ids: Vec<_> = found.letters.iter().map(|one| one.id()).collect();
    assert_eq!(ids, [Some("default")]);
    assert_eq!(found.letters[0].organization.as_deref(), Some("default"));
    let purged = adapter
        .process(Action::Purge, &of_default, &Options::default())
        .await;
    assert_eq!((purged.done, purged.own), (1, 1));
    let left = adapter.dead_letters(&Filter::default()).await;
    assert_eq!(left.letters.len(), 4);
}

pub async fn a_list_looks_at_no_letters_of_others(adapter: &impl Adapter) {
    for event in ["e1", "e2", "e3"] {
        bury(adapter, given_up(event, "w", Reason::AttemptsExhausted)).await;
    }
    for (organization, own) in [("acme", 3), ("other", 0)] {
        let filter = Filter {
            organization: Some(organization.to_owned()),
            ..Filter::default()
        };
        let found = adapter.dead_letters(&filter).await;
        assert_eq!((found.letters.len(), found.looked_at), (own, own as u64));
    }
}

pub async fn of_two_jobs_at_once_each_counts_what_it_took_itself(adapter: &impl Adapter) {
    for number in 0..12 {
        let letter = given_up(&format!("e{number}"), "w", Reason::AttemptsExhausted);
        bury(adapter, letter).await;
    }
    let (all, quick) = (Filter::default(), Options::default());
    let slow = Options {
        rate: Some(50.0),
        ..Options::default()
    };
    let (requeued, purged) = tokio::join!(
        adapter.process(Action::Requeue, &all, &slow),
        adapter.process(Action::Purge, &all, &quick),
    );
    assert_eq!(requeued.done + purged.done, 12, "{requeued:?} {purged:?}");
    let found = adapter.dead_letters(&Filter::default()).await;
    assert!(found.letters.is_empty(), "{found:?}");
}
