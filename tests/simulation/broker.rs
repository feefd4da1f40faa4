//! A broker in memory: two queues with a prefetch each, and delays of exactly what is asked for.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use prism_webhooks::domain::dead_letter::{Content as Letter, Reason};
use prism_webhooks::domain::delivery::Delivery;
use prism_webhooks::domain::event::{Event, Header, RawEvent};
use prism_webhooks::engine::ports::{FollowUp, Incoming, Message, Receipt, Settlement};
use tokio::sync::mpsc;

/// A message in a queue.
#[derive(Debug, Clone)]
pub struct Stored {
    pub content: Content,
    pub redelivered: bool,
}

/// What it says.
#[derive(Debug, Clone)]
pub enum Content {
    Event(RawEvent),
    Delivery(Delivery),
}

/// What the engine wants of the broker. Every kind of hand-over is one of these.
pub enum Next {
    Later(Delivery, Duration),
    Now(Delivery),
    Dead(Option<Delivery>, Reason),
    Publish(Event),
}

impl From<FollowUp> for Next {
    fn from(follow_up: FollowUp) -> Self {
        match follow_up {
            FollowUp::Delay(delivery, wait) => Self::Later(delivery, wait),
            FollowUp::Defer(delivery, wait) | FollowUp::DeferInLine(delivery, wait) => {
                Self::Later(delivery, wait)
            }
            FollowUp::Enqueue(delivery) | FollowUp::Part(delivery) => Self::Now(delivery),
            FollowUp::DeadLetter(letter) => match letter.content {
                Letter::Delivery(delivery) => Self::Dead(Some(delivery), letter.reason),
                _ => Self::Dead(None, letter.reason),
            },
            FollowUp::Publish(event) => Self::Publish(event),
        }
    }
}

/// One queue.
#[derive(Debug, Default)]
struct Queue {
    waiting: VecDeque<Stored>,
    unacked: BTreeMap<u64, Stored>,
    consumer: Option<mpsc::Sender<Incoming>>,
}

/// The broker.
#[derive(Debug)]
pub struct Broker {
    events: Queue,
    deliveries: Queue,
    prefetch: usize,
    tags: u64,
    settlements: Option<mpsc::UnboundedSender<Settlement>>,
    /// Deliveries in the delay queues.
    pub delayed: usize,
}

impl Broker {
    pub fn new(prefetch: usize) -> Self {
        Self {
            events: Queue::default(),
            deliveries: Queue::default(),
            prefetch,
            tags: 0,
            settlements: None,
            delayed: 0,
        }
    }

    /// Whether there is nothing left in it.
    pub fn is_empty(&self) -> bool {
        let empty = |queue: &Queue| queue.waiting.is_empty() && queue.unacked.is_empty();
        self.delayed == 0 && empty(&self.events) && empty(&self.deliveries)
    }

    /// A worker begins to consume. Its channels hold a whole prefetch.
    pub fn consume(
        &mut self,
        settlements: mpsc::UnboundedSender<Settlement>,
    ) -> (mpsc::Receiver<Incoming>, mpsc::Receiver<Incoming>) {
        let (to_events, events) = mpsc::channel(self.prefetch);
        let (to_deliveries, deliveries) = mpsc::channel(self.prefetch);
        self.settlements = Some(settlements);
        self.events.consumer = Some(to_events);
        self.deliveries.consumer = Some(to_deliveries);
        (events, deliveries)
    }

    /// The worker takes no more: its channels end with what is in them.
    pub fn stop_consuming(&mut self) {
        self.events.consumer = None;
        self.deliveries.consumer = None;
        self.settlements = None;
    }

    /// The worker is gone: what it had not settled goes back to where it came from.
    pub fn lose_consumer(&mut self) {
        self.stop_consuming();
        for queue in [&mut self.events, &mut self.deliveries] {
            while let Some((_, stored)) = queue.unacked.pop_last() {
                queue.waiting.push_front(Stored {
                    redelivered: true,
                    ..stored
                });
            }
        }
    }

    pub fn put(&mut self, content: Content) {
        let queue = match content {
            Content::Event(_) => &mut self.events,
            Content::Delivery(_) => &mut self.deliveries,
        };
        queue.waiting.push_back(Stored {
            content,
            redelivered: false,
        });
    }

    /// The message with this tag is settled.
    pub fn acked(&mut self, tag: u64) -> Option<Content> {
        let queues = [&mut self.events, &mut self.deliveries];
        let stored = queues.into_iter().find_map(|q| q.unacked.remove(&tag))?;
        Some(stored.content)
    }

    /// The message with this tag goes back to the head of its queue.
    pub fn returned(&mut self, tag: u64) -> Option<Content> {
        let queues = [&mut self.events, &mut self.deliveries];
        let found = queues
            .into_iter()
            .find_map(|queue| queue.unacked.remove(&tag).map(|stored| (queue, stored)));
        let (queue, mut stored) = found?;
        stored.redelivered = true;
        let content = stored.content.clone();
        queue.waiting.push_front(stored);
        Some(content)
    }

    /// Hands out what may be handed out. Tells which deliveries were.
    pub fn hand_out(&mut self) -> Vec<Delivery> {
        let mut out = Vec::new();
        let Some(settlements) = &self.settlements else {
            return out;
        };
        for queue in [&mut self.events, &mut self.deliveries] {
            let Some(consumer) = &queue.consumer else {
                continue;
            };
            while queue.unacked.len() < self.prefetch {
                let Ok(permit) = consumer.try_reserve() else {
                    break;
                };
                let Some(stored) = queue.waiting.pop_front() else {
                    break;
                };
                self.tags += 1;
                let message = match stored.content.clone() {
                    Content::Event(raw) => Message::Event(raw),
                    Content::Delivery(delivery) => {
                        out.push(delivery.clone());
                        Message::Delivery(delivery)
                    }
                };
                permit.send(Incoming {
                    message,
                    redelivered: stored.redelivered,
                    receipt: Receipt::new(self.tags, settlements.clone()),
                });
                queue.unacked.insert(self.tags, stored);
            }
        }
        out
    }
}

/// An event of ours as a message of the events queue.
pub fn as_message(event: &Event) -> RawEvent {
    RawEvent {
        routing_key: event.event_type.to_string(),
        message_id: Some(event.id.to_string()),
        organization: Header::Text(event.organization.as_str().into()),
        traceparent: Header::Absent,
        stamp: None,
        body: event.body.clone(),
    }
}
