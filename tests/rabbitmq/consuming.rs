//! The source: taking, settling, surviving.

use std::sync::Arc;
use std::time::Instant;

use futures::future::join_all;
use lapin::BasicProperties;
use lapin::options::{BasicPublishOptions, QueueDeleteOptions};
use lapin::types::{AMQPValue, FieldTable};
use prism_webhooks::engine::faults::Faults;
use prism_webhooks::engine::ports::{FollowUp, Incoming, Message, Source};
use prism_webhooks::rabbitmq::consumer::ConsumerSettings;
use rand::seq::SliceRandom;

use super::one_place::OnePlace;
use super::world::{
    DEADLINE, World, acknowledgements, answers, delivery, hand_over, mark, next_delivery,
    next_event, proxy, publish_events, raw_event, soon, through, unstamped,
};
use crate::support::deadline::{eventually, eventually_ok};

fn id(incoming: &Incoming) -> String {
    match &incoming.message {
        Message::Event(raw) => raw.message_id.clone().unwrap(),
        Message::Delivery(delivery) => delivery.event.id.to_string(),
        Message::Unreadable(..) => panic!("{incoming:?}"),
    }
}

#[tokio::test]
async fn what_is_acknowledged_is_gone() {
    let world = World::declared().await;
    publish_events(&world.publisher(), 10).await;
    hand_over(&world.publisher(), FollowUp::Enqueue(delivery("d", "w"))).await;
    let (mut source, handle) = world.source().await;
    for expected in 0..10 {
        let incoming = next_event(&mut source).await;
        assert_eq!(id(&incoming), format!("e{expected}"));
        assert!(!incoming.redelivered);
        match &incoming.message {
            Message::Event(raw) => assert_eq!(unstamped(raw), raw_event(&format!("e{expected}"))),
            other => panic!("{other:?}"),
        }
        incoming.receipt.ack(Some(mark("e")), None);
    }
    let incoming = next_delivery(&mut source).await;
    assert_eq!(id(&incoming), "d");
    incoming.receipt.ack(None, None);
    handle.close().await;
    assert_eq!(world.messages_in(world.topology.events_queue()).await, 0);
    assert_eq!(
        world.messages_in(world.topology.deliveries_queue()).await,
        0
    );
    assert!(source.lost_acks.try_recv().is_err());
}

#[tokio::test]
async fn a_dropped_receipt_returns_the_message_and_says_so() {
    let world = World::declared().await;
    publish_events(&world.publisher(), 1).await;
    let (mut source, handle) = world.source().await;
    let incoming = next_event(&mut source).await;
    assert!(!incoming.redelivered);
    drop(incoming);
    let incoming = next_event(&mut source).await;
    assert!(incoming.redelivered);
    assert_eq!(id(&incoming), "e0");
    incoming.receipt.ack(None, None);
    handle.close().await;
    assert_eq!(world.messages_in(world.topology.events_queue()).await, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn settled_in_any_order_everything_acknowledged_goes_and_everything_returned_comes_back() {
    const COUNT: usize = 600;
    let world = World::declared().await;
    let publisher = world.publisher();
    let all = (0..COUNT)
        .map(|id| raw_event(&format!("e{id}")))
        .collect::<Vec<_>>();
    join_all(all.iter().map(|event| publisher.publish_event(event)))
        .await
        .into_iter()
        .collect::<Result<Vec<_>, _>>()
        .unwrap();
    let (mut source, handle) = world.source().await;
    let mut taken = Vec::new();
    for _ in 0..COUNT {
        taken.push(next_event(&mut source).await);
    }
    taken.shuffle(&mut rand::rng());
    let mut returned = Vec::new();
    for (index, incoming) in taken.into_iter().enumerate() {
        if index % 7 == 0 {
            returned.push(id(&incoming));
            drop(incoming);
        } else {
            incoming.receipt.ack(None, None);
        }
        if index % 50 == 0 {
            tokio::task::yield_now().await;
        }
    }
    let mut again = Vec::new();
    for _ in 0..returned.len() {
        let incoming = next_event(&mut source).await;
        assert!(incoming.redelivered);
        again.push(id(&incoming));
        incoming.receipt.ack(None, None);
    }
    again.sort();
    returned.sort();
    assert_eq!(again, returned);
    handle.close().await;
    assert_eq!(world.messages_in(world.topology.events_queue()).await, 0);
}

#[tokio::test]
async fn a_place_is_given_back_although_an_earlier_message_stays_open() {
    let world = World::declared().await;
    publish_events(&world.publisher(), 2).await;
    let (mut source, handle) = world.source().await;
    let slow = next_event(&mut source).await;
    let fast = next_event(&mut source).await;
    let places = OnePlace::new();
    let place = places.take().await;
    fast.receipt.ack(None, Some(place));
    drop(soon(places.take()).await);
    drop(slow);
    handle.close().await;
    world.queue_has(world.topology.events_queue(), 1).await;
}

#[tokio::test]
async fn stopping_returns_what_was_not_handed_out_and_still_settles_what_was() {
    let world = World::declared().await;
    publish_events(&world.publisher(), 100).await;
    let (mut source, handle) = world.source().await;
    let taken = next_event(&mut source).await;
    handle.stop_taking();
    // What had been offered already may still come; then the channel ends.
    let mut rest = 0;
    while let Some(incoming) = soon(source.events.recv()).await {
        drop(incoming);
        rest += 1;
    }
    assert!(rest <= 33, "{rest}");
    world.queue_has(world.topology.events_queue(), 99).await;
    taken.receipt.ack(None, None);
    soon(handle.close()).await;
    world.queue_has(world.topology.events_queue(), 99).await;
}

#[tokio::test]
async fn a_garbled_delivery_comes_as_unreadable_with_a_sentence() {
    let world = World::declared().await;
    let connection = world.connection().await;
    let channel = connection.create_channel().await.unwrap();
    let queue = world.topology.deliveries_queue();
    let properties = BasicProperties::default();
    channel
        .basic_publish(
            "".into(),
            queue.into(),
            BasicPublishOptions::default(),
            b"?",
            properties,
        )
        .await
        .unwrap();
    let (mut source, handle) = world.source().await;
    let incoming = next_delivery(&mut source).await;
    match &incoming.message {
        Message::Unreadable(raw, problem) => {
            assert_eq!(raw.body, "?");
            assert!(problem.contains("missing"), "{problem}");
        }
        other => panic!("{other:?}"),
    }
    incoming.receipt.ack(None, None);
    handle.close().await;
}

#[tokio::test]
async fn a_message_with_enormous_headers_is_taken_like_any_other() {
    let world = World::declared().await;
    let connection = world.connection().await;
    let channel = connection.create_channel().await.unwrap();
    let mut headers = FieldTable::default();
    headers.insert(
        "baggage".into(),
        AMQPValue::LongString(vec![b'x'; 100_000].into()),
    );
    let properties = BasicProperties::default().with_headers(headers);
    let (exchange, options) = (world.topology.exchange(), BasicPublishOptions::default());
    channel
        .basic_publish(
            exchange.into(),
            "request.completed".into(),
            options,
            b"{}",
            properties,
        )
        .await
        .unwrap();
    let (mut source, handle) = world.source().await;
    let incoming = next_event(&mut source).await;
    assert!(!incoming.redelivered);
    incoming.receipt.ack(None, None);
    handle.close().await;
    assert_eq!(world.messages_in(world.topology.events_queue()).await, 0);
}

// -------------------------------------------------------------------------------------- surviving

async fn take_two(source: &mut Source) -> (Incoming, Incoming) {
    (next_event(source).await, next_event(source).await)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cut_connection_is_replaced_and_what_was_settled_meanwhile_is_reported() {
    let world = World::declared().await;
    let proxy = proxy();
    publish_events(&world.publisher(), 2).await;
    let faults = Arc::new(Faults::default());
    let told = faults.clone();
    let through_it = |settings: &mut ConsumerSettings| {
        settings.server = through(&proxy);
        settings.faults = told;
    };
    let (mut source, handle) = world.source_with(through_it).await;
    let (first, second) = take_two(&mut source).await;
    assert_eq!(faults.standstill(), None);
    proxy.down();
    // The broker has them back: this connection is gone for it as well.
    world.queue_has(world.topology.events_queue(), 2).await;
    let places = OnePlace::new();
    let place = places.take().await;
    first.receipt.ack(Some(mark("e0")), Some(place));
    assert_eq!(soon(source.lost_acks.recv()).await, Some(mark("e0")));
    drop(soon(places.take()).await);
    let why = faults.standstill().expect("that it gets none is said");
    assert!(why.starts_with("no messages can be taken"), "{why}");
    proxy.up();
    let (first_again, second_again) = take_two(&mut source).await;
    eventually(DEADLINE, "that it gets some is said", async || {
        faults.standstill().is_none().then_some(())
    })
    .await;
    assert!(first_again.redelivered && second_again.redelivered);
    // Tags start anew with a connection: an old receipt must not settle a new message.
    second.receipt.ack(Some(mark("e1")), None);
    assert_eq!(soon(source.lost_acks.recv()).await, Some(mark("e1")));
    let dropped = id(&second_again).to_owned();
    drop(second_again);
    first_again.receipt.ack(None, None);
    handle.close().await;
    // The one that was dropped, and no other: what the broker does with it takes its time.
    world.queue_has(world.topology.events_queue(), 1).await;
    let (mut source, handle) = world.source().await;
    let left = next_event(&mut source).await;
    assert_eq!(id(&left), dropped);
    left.receipt.ack(None, None);
    handle.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_acknowledgement_that_was_written_and_never_arrived_is_reported() {
    let world = World::declared().await;
    let proxy = proxy();
    publish_events(&world.publisher(), 1).await;
    let (mut source, handle) = world.source_with(|s| s.server = through(&proxy)).await;
    let incoming = next_event(&mut source).await;
    proxy.swallow();
    let places = OnePlace::new();
    let place = places.take().await;
    incoming.receipt.ack(Some(mark("e0")), Some(place));
    // The place comes back with the write, which is all that this end can see.
    drop(soon(places.take()).await);
    assert!(source.lost_acks.try_recv().is_err());
    proxy.cut();
    assert_eq!(soon(source.lost_acks.recv()).await, Some(mark("e0")));
    let again = next_event(&mut source).await;
    assert!(again.redelivered);
    again.receipt.ack(None, None);
    handle.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_acknowledgement_that_arrived_is_not_reported_when_the_connection_dies_later() {
    let world = World::declared().await;
    let proxy = proxy();
    publish_events(&world.publisher(), 2).await;
    let (mut source, handle) = world.source_with(|s| s.server = through(&proxy)).await;
    let (first, second) = take_two(&mut source).await;
    first.receipt.ack(Some(mark("e0")), None);
    // Two answers prove it. What comes behind them on the channel shows that they were read.
    let answers = answers(&proxy);
    eventually(DEADLINE, "two answers", async || {
        (answers.count() >= 2).then_some(())
    })
    .await;
    publish_events(&world.publisher(), 1).await;
    next_event(&mut source).await.receipt.ack(None, None);
    proxy.cut();
    let again = next_event(&mut source).await;
    assert_eq!(id(&again), "e1");
    second.receipt.ack(Some(mark("e1")), None);
    assert_eq!(soon(source.lost_acks.recv()).await, Some(mark("e1")));
    again.receipt.ack(None, None);
    handle.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_deleted_queue_is_declared_again_and_consumed() {
    let world = World::declared().await;
    let (mut source, handle) = world.source_with(|s| s.declare = true).await;
    let connection = world.connection().await;
    let channel = connection.create_channel().await.unwrap();
    let queue = world.topology.events_queue();
    channel
        .queue_delete(queue.into(), QueueDeleteOptions::default())
        .await
        .unwrap();
    let publisher = world.publisher();
    eventually_ok(DEADLINE, "the queue and its binding are back", async || {
        publisher.publish_event(&raw_event("e")).await
    })
    .await;
    next_event(&mut source).await.receipt.ack(None, None);
    handle.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ten_thousand_messages_take_few_acknowledgements() {
    const COUNT: usize = 10_000;
    let world = World::declared().await;
    let publisher = world.publisher();
    let all = (0..COUNT)
        .map(|id| raw_event(&format!("e{id}")))
        .collect::<Vec<_>>();
    let start = Instant::now();
    let published = soon(join_all(
        all.iter().map(|event| publisher.publish_event(event)),
    ))
    .await;
    published
        .into_iter()
        .collect::<Result<Vec<_>, _>>()
        .unwrap();
    println!("publishing {COUNT} took {:?}", start.elapsed());
    let proxy = proxy();
    let acknowledgements = acknowledgements(&proxy);
    let (mut source, handle) = world.source_with(|s| s.server = through(&proxy)).await;
    let start = Instant::now();
    // Engines settle in any order: here, in hundreds, each in reverse.
    for _ in 0..COUNT / 100 {
        let mut taken = Vec::new();
        for _ in 0..100 {
            taken.push(next_event(&mut source).await);
        }
        while let Some(incoming) = taken.pop() {
            incoming.receipt.ack(Some(mark("e")), None);
        }
    }
    println!("consuming {COUNT} took {:?}", start.elapsed());
    soon(handle.close()).await;
    assert_eq!(world.messages_in(world.topology.events_queue()).await, 0);
    let acknowledgements = acknowledgements.count();
    println!("{COUNT} messages took {acknowledgements} acknowledgements");
    assert!(acknowledgements < COUNT / 20, "{acknowledgements}");
}
