//! Where there is no room, and where a message never settles.

use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt as _;
use futures::future::join_all;
use prism_webhooks::domain::dead_letter::Reason;
use prism_webhooks::domain::delivery::Delivery;
use prism_webhooks::domain::event::RawEvent;
use prism_webhooks::embedded::database::Database;
use prism_webhooks::embedded::writer::WriteError;
use prism_webhooks::engine::clock::Clock;
use prism_webhooks::engine::ports::{FollowUp, Handover as _, LogWriter as _, Message};
use prism_webhooks::store::dead_letters::Filter;

use super::world::{embedded, event};
use crate::rabbitmq::world::{DEADLINE, delivery, next_delivery, next_event, soon};
use crate::support::deadline::eventually;

fn large(id: &str) -> RawEvent {
    RawEvent {
        body: vec![b'x'; 100_000].into(),
        ..event(id, false)
    }
}

#[tokio::test]
async fn a_full_disk_refuses_new_events_and_keeps_what_the_engine_hands_over() {
    let directory = tempfile::tempdir().unwrap();
    let database = Arc::new(Database::open(directory.path()).unwrap());
    let embedded = embedded(database.clone(), Clock::system());
    let intake = embedded.intake();
    database.limit_size(1 << 20).unwrap();
    let mut accepted = 0;
    let refused = loop {
        match soon(intake.accept(vec![large(&format!("e{accepted}"))])).await {
            Ok(_) => accepted += 1,
            Err(error) => break error,
        }
    };
    assert!(matches!(refused, WriteError::Full), "{refused}");
    assert!(accepted > 0);
    // Whoever watches is told, though nothing of the engine waits.
    let why = embedded.store().writable().await;
    assert!(matches!(why, Err(WriteError::Full)), "{why:?}");
    let log = embedded.log();
    let available = log.available().now_or_never();
    assert!(
        available.is_some(),
        "the refused event is its sender's affair"
    );
    // A batch that does not fit is refused whole.
    let batch = (0..20).map(|n| large(&format!("batch{n}"))).collect();
    let refused = soon(intake.accept(batch)).await.unwrap_err();
    assert!(matches!(refused, WriteError::Full), "{refused}");
    assert_eq!(embedded.unsettled().await.unwrap(), accepted);

    // What the engine hands over waits, and the engine is told to take nothing more.
    let handed = delivery("d", "w");
    let mut big = (*handed.event).clone();
    big.body = vec![b'x'; 200_000].into();
    let handed = Delivery {
        event: Arc::new(big),
        ..handed
    };
    let handing = tokio::spawn({
        let intake = embedded.intake();
        async move { intake.hand_over(FollowUp::Enqueue(handed)).await }
    });
    eventually(DEADLINE, "writing is known to fail", async || {
        log.available().now_or_never().is_none().then_some(())
    })
    .await;
    let why = embedded.store().writable().await;
    assert!(matches!(why, Err(WriteError::Full)), "{why:?}");
    assert!(!handing.is_finished());
    // What it can do is done meanwhile: a settled event makes room for others.
    let (mut source, handle) = embedded.source();
    next_event(&mut source).await.receipt.ack(None, None);

    database.limit_size(1 << 30).unwrap();
    soon(handing).await.unwrap().unwrap();
    soon(log.available()).await;
    eventually(DEADLINE, "there is room", async || {
        embedded.store().writable().await.ok()
    })
    .await;
    assert!(matches!(
        next_delivery(&mut source).await.message,
        Message::Delivery(_)
    ));
    soon(intake.accept(vec![large("late")])).await.unwrap();
    drop(source);
    handle.close().await;
    // The events that were accepted but for the one settled, the delivery, and the late one.
    assert_eq!(embedded.unsettled().await.unwrap(), accepted + 1);
}

#[tokio::test]
async fn a_message_that_is_never_settled_becomes_a_dead_letter() {
    let database = Arc::new(Database::in_memory().unwrap());
    let embedded = embedded(database, Clock::system());
    let ids = embedded.intake().accept(vec![event("bad", false)]).await;
    assert_eq!(ids.unwrap(), ["bad"]);
    let (mut source, handle) = embedded.source();
    for _ in 0..100 {
        // As a panic does.
        drop(next_event(&mut source).await);
    }
    let letters = embedded.dead_letters();
    eventually(DEADLINE, "it is given up", async || {
        (letters.count().await.unwrap() == 1).then_some(())
    })
    .await;
    let found = letters.list(&Filter::default(), None, 10).await.unwrap();
    assert_eq!(found.letters[0].reason, Some(Reason::Poison));
    assert_eq!(found.letters[0].event.as_deref(), Some("bad"));
    assert_eq!(embedded.unsettled().await.unwrap(), 0);

    let intake = embedded.intake();
    let part = FollowUp::Part(delivery("part", "w"));
    intake.hand_over(part).await.unwrap();
    for _ in 0..100 {
        drop(soon(source.parts.recv()).await.unwrap());
    }
    eventually(DEADLINE, "it is given up", async || {
        (letters.count().await.unwrap() == 2).then_some(())
    })
    .await;
    let found = letters.list(&Filter::default(), None, 10).await.unwrap();
    let part = found
        .letters
        .iter()
        .find(|letter| letter.delivery.is_some());
    assert_eq!(part.unwrap().webhook.as_deref(), Some("w"));
    handle.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_writes_share_a_commit() {
    const EVENTS: u32 = 5_000;
    let directory = tempfile::tempdir().unwrap();
    let database = Arc::new(Database::open(directory.path()).unwrap());
    let embedded = embedded(database, Clock::system());
    let intake = embedded.intake();
    let began = std::time::Instant::now();
    let accepting = (0..EVENTS).map(|n| intake.accept(vec![event(&format!("e{n}"), false)]));
    for accepted in join_all(accepting).await {
        accepted.unwrap();
    }
    let each = began.elapsed() / EVENTS;
    println!("{each:?} an event accepted by itself, unoptimized");
    let (mut source, handle) = embedded.source();
    let began = std::time::Instant::now();
    for _ in 0..EVENTS {
        next_event(&mut source).await.receipt.ack(None, None);
    }
    handle.close().await;
    println!(
        "{:?} an event handed out and settled",
        began.elapsed() / EVENTS
    );
    assert_eq!(embedded.unsettled().await.unwrap(), 0);
    // A commit of its own takes a disk a millisecond or more.
    assert!(each < Duration::from_micros(500), "{each:?}: not batched");
}

#[tokio::test]
async fn a_closed_store_says_so_and_an_id_is_derived_where_none_is_given() {
    let database = Arc::new(Database::in_memory().unwrap());
    let embedded = embedded(database, Clock::system());
    let intake = embedded.intake();
    let nameless = RawEvent {
        message_id: None,
        ..event("e", false)
    };
    let one = intake.accept(vec![nameless.clone()]).await.unwrap();
    let again = intake.accept(vec![nameless]).await.unwrap();
    assert_eq!(one, again);
    assert_eq!(intake.accept(Vec::new()).await.unwrap().len(), 0);
    let (source, handle) = embedded.source();
    drop(source);
    embedded.close(handle).await;
    let refused = intake.accept(vec![event("late", false)]).await.unwrap_err();
    assert!(matches!(refused, WriteError::Stopped), "{refused}");
    let stopped = intake
        .hand_over(FollowUp::Enqueue(delivery("d", "w")))
        .await;
    assert!(stopped.is_err());
}
