//! The hand-over, and publishing once.

use std::time::{Duration, Instant};

use bytes::Bytes;
use futures::future::join_all;
use lapin::options::QueueDeleteOptions;
use prism_webhooks::engine::ports::{FollowUp, Handover, Message, Stopped};
use prism_webhooks::rabbitmq::confirm::Unconfirmed;
use prism_webhooks::rabbitmq::publisher::{PublishError, Publisher};
use std::sync::Arc;
use tokio_util::sync::CancellationToken;

use super::world::{World, delivery, hand_over, next_delivery, proxy, raw_event, soon, through};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_thousand_concurrent_hand_overs_are_confirmed_and_all_arrive() {
    let world = World::declared().await;
    let publisher = world.publisher();
    let start = Instant::now();
    let all = join_all(
        (0..1_000)
            .map(|id| publisher.hand_over(FollowUp::Enqueue(delivery(&format!("e{id}"), "w")))),
    );
    assert!(
        soon(all)
            .await
            .into_iter()
            .all(|handed_over| handed_over == Ok(()))
    );
    println!("1,000 hand-overs took {:?}", start.elapsed());
    world
        .queue_has(world.topology.deliveries_queue(), 1_000)
        .await;
    publisher.close().await;
}

#[tokio::test]
async fn a_delayed_delivery_comes_when_its_step_is_over_and_unchanged() {
    let world = World::declared().await;
    let publisher = world.publisher();
    let (mut source, handle) = world.source().await;
    hand_over(&publisher, FollowUp::Enqueue(delivery("first", "w"))).await;
    next_delivery(&mut source).await.receipt.ack(None, None);
    let start = Instant::now();
    let steps = [2, 1];
    for step in steps {
        let delayed = FollowUp::Delay(
            delivery(&format!("e{step}"), "w"),
            Duration::from_secs(step),
        );
        hand_over(&publisher, delayed).await;
    }
    for step in [1, 2] {
        let incoming = next_delivery(&mut source).await;
        let took = start.elapsed();
        let step_time = Duration::from_secs(step);
        assert!(took >= step_time, "{took:?} for {step_time:?}");
        assert!(
            took < step_time + Duration::from_millis(500),
            "{took:?} for {step_time:?}"
        );
        match incoming.message {
            Message::Delivery(read) => assert_eq!(read, delivery(&format!("e{step}"), "w")),
            other => panic!("{other:?}"),
        }
        assert!(!incoming.redelivered);
        incoming.receipt.ack(None, None);
    }
    handle.close().await;
}

#[tokio::test]
async fn an_unroutable_event_is_a_typed_error_that_names_exchange_and_key() {
    let world = World::declared().await;
    let publisher = world.publisher();
    let mut event = raw_event("e");
    event.routing_key = "nobody.wants".to_owned();
    let error = soon(publisher.publish_event(&event)).await.unwrap_err();
    assert!(
        matches!(
            &error,
            PublishError::Unconfirmed(Unconfirmed::Unroutable { .. })
        ),
        "{error:?}"
    );
    assert!(
        error.to_string().contains(world.topology.exchange()),
        "{error}"
    );
    assert!(error.to_string().contains("nobody.wants"), "{error}");
    // And the next one is none the worse for it.
    soon(publisher.publish_event(&raw_event("e")))
        .await
        .unwrap();
}

#[tokio::test]
async fn a_missing_exchange_is_a_typed_error_that_hurts_no_other_message() {
    let world = World::empty();
    let publisher = world.publisher();
    let error = soon(publisher.publish_event(&raw_event("e")))
        .await
        .unwrap_err();
    assert!(
        matches!(
            &error,
            PublishError::Unconfirmed(Unconfirmed::NoExchange { .. })
        ),
        "{error:?}"
    );
    assert!(
        error.to_string().contains(world.topology.exchange()),
        "{error}"
    );
    world.apply().await;
    soon(publisher.publish_event(&raw_event("e")))
        .await
        .unwrap();
}

#[tokio::test]
async fn names_that_amqp_cannot_carry_are_refused() {
    let world = World::empty();
    let publisher = world.publisher();
    let event = prism_webhooks::domain::event::RawEvent {
        message_id: Some("x".repeat(256)),
        ..raw_event("e")
    };
    let error = publisher.publish_event(&event).await.unwrap_err();
    assert!(
        matches!(
            error,
            PublishError::TooLong {
                what: "message id",
                size: 256
            }
        ),
        "{error:?}"
    );
}

#[tokio::test]
async fn a_body_of_a_mebibyte_arrives_whole() {
    let world = World::declared().await;
    let publisher = world.publisher();
    let (mut source, handle) = world.source().await;
    let body: Bytes = (0..1 << 20)
        .map(|i: u32| (i % 251) as u8)
        .collect::<Vec<_>>()
        .into();
    let event = prism_webhooks::domain::event::RawEvent {
        body: body.clone(),
        ..raw_event("e")
    };
    soon(publisher.publish_event(&event)).await.unwrap();
    let incoming = super::world::next_event(&mut source).await;
    match incoming.message {
        Message::Event(raw) => assert!(raw.body == body),
        other => panic!("{other:?}"),
    }
    incoming.receipt.ack(None, None);
    handle.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hand_over_to_a_missing_queue_waits_until_it_is_there_and_holds_up_no_other() {
    let world = World::declared().await;
    let publisher = world.publisher();
    let connection = world.connection().await;
    let channel = connection.create_channel().await.unwrap();
    let dead_letters = world.topology.delay_queue(Duration::from_secs(1));
    channel
        .queue_delete(dead_letters.as_str().into(), QueueDeleteOptions::default())
        .await
        .unwrap();
    // Missing for all of these: none may pass for confirmed because of another's confirm.
    let waiting: Vec<_> = (0..50)
        .map(|id| {
            let publisher = publisher.clone();
            tokio::spawn(async move {
                let follow_up =
                    FollowUp::Delay(delivery(&format!("w{id}"), "w"), Duration::from_secs(1));
                publisher.hand_over(follow_up).await
            })
        })
        .collect();
    let others = join_all(
        (0..500).map(|id| publisher.hand_over(FollowUp::Enqueue(delivery(&format!("e{id}"), "w")))),
    );
    soon(others).await;
    world
        .queue_has(world.topology.deliveries_queue(), 500)
        .await;
    assert!(waiting.iter().all(|task| !task.is_finished()));
    world.apply().await;
    for task in waiting {
        soon(task).await.unwrap().unwrap();
    }
    world
        .queue_has(world.topology.deliveries_queue(), 550)
        .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hand_over_outlives_a_broker_that_is_away() {
    let world = World::declared().await;
    let proxy = proxy();
    let publisher = Publisher::start(
        through(&proxy),
        Arc::clone(&world.topology),
        CancellationToken::new(),
    );
    hand_over(&publisher, FollowUp::Enqueue(delivery("before", "w"))).await;
    proxy.down();
    let handing_over = tokio::spawn({
        let publisher = publisher.clone();
        async move {
            publisher
                .hand_over(FollowUp::Enqueue(delivery("away", "w")))
                .await
        }
    });
    let once = soon(async {
        loop {
            match publisher.publish_event(&raw_event("once")).await {
                Err(error @ PublishError::Connect(_)) => return error,
                // The loss has not been noticed yet, or the retry has not failed yet.
                _ => tokio::task::yield_now().await,
            }
        }
    });
    assert!(once.await.to_string().contains("cannot connect"));
    assert!(!handing_over.is_finished());
    proxy.up();
    soon(handing_over).await.unwrap().unwrap();
    world.queue_has(world.topology.deliveries_queue(), 2).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_connection_cut_before_the_confirm_leads_to_another_try() {
    let world = World::declared().await;
    let proxy = proxy();
    let publisher = Publisher::start(
        through(&proxy),
        Arc::clone(&world.topology),
        CancellationToken::new(),
    );
    hand_over(&publisher, FollowUp::Enqueue(delivery("before", "w"))).await;
    proxy.swallow();
    let handing_over = tokio::spawn({
        let publisher = publisher.clone();
        async move {
            publisher
                .hand_over(FollowUp::Enqueue(delivery("swallowed", "w")))
                .await
        }
    });
    assert!(
        tokio::time::timeout(Duration::from_millis(200), async {
            while !handing_over.is_finished() {
                tokio::task::yield_now().await;
            }
        })
        .await
        .is_err(),
        "nothing can have been confirmed"
    );
    proxy.cut();
    soon(handing_over).await.unwrap().unwrap();
    world.queue_has(world.topology.deliveries_queue(), 2).await;
}

#[tokio::test]
async fn stopping_ends_a_hand_over_that_cannot_succeed() {
    let world = World::empty();
    let stop = CancellationToken::new();
    let publisher = Publisher::start(
        world.server.clone(),
        Arc::clone(&world.topology),
        stop.clone(),
    );
    let handing_over = tokio::spawn({
        let publisher = publisher.clone();
        async move {
            publisher
                .hand_over(FollowUp::Enqueue(delivery("e", "w")))
                .await
        }
    });
    // The connection is up once something else was answered.
    let _ = soon(publisher.publish_event(&raw_event("e"))).await;
    assert!(!handing_over.is_finished());
    stop.cancel();
    assert_eq!(soon(handing_over).await.unwrap(), Err(Stopped));
    assert_eq!(
        soon(publisher.hand_over(FollowUp::Enqueue(delivery("late", "w")))).await,
        Err(Stopped)
    );
}
