//! What the engine needs of the world: a source of messages, a hand-over for what comes next, the
//! webhooks, the log, and a sender.
//!
//! Adapters implement these for RabbitMQ and Redis, and again for an embedded store. None of these
//! calls fails for a passing reason: an adapter waits, reconnecting for as long as it takes, and
//! the engine leaves the message unsettled meanwhile.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use http::HeaderMap;
use jiff::Timestamp;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use url::Url;

use crate::domain::admission::{Heard, Pause};
use crate::domain::attempt::Attempt;
use crate::domain::dead_letter::DeadLetter;
use crate::domain::delivery::Delivery;
use crate::domain::delivery_state::DeliveryState;
use crate::domain::event::{Event, RawEvent};
use crate::domain::held_back::HeldBack;
use crate::domain::ids::{DeliveryId, MessageKey, Organization, WebhookId};
use crate::domain::organization::OrganizationWebhooks;
use crate::domain::outcome::Reply;
use crate::domain::own_fault::OwnFault;
use crate::domain::rate_limit::{RateLimit, Reserved};
use crate::domain::returns::InLine;
use crate::domain::streak::Streak;
use crate::domain::webhook::WebhookKey;

use super::admission::Place;

// ------------------------------------------------------------------------------------ the source

/// Where messages come from. The channels are bounded: not receiving is how the engine stops the
/// intake, and a closed channel means that the source has stopped for good.
#[derive(Debug)]
pub struct Source {
    /// The event as the gateway published it.
    pub events: mpsc::Receiver<Incoming>,
    /// Single deliveries: retries, deferrals, requeues.
    pub deliveries: mpsc::Receiver<Incoming>,
    /// Single deliveries that are parts of large fan-outs: apart, since one organization's may be so
    /// many that everybody else's retries would wait behind them.
    pub parts: mpsc::Receiver<Incoming>,
    /// Marks of settled messages whose acknowledgement did not reach the broker: they will be
    /// redelivered, here or elsewhere, and must not be sent again.
    pub lost_acks: mpsc::UnboundedReceiver<SettledMarker>,
    /// Marks of settled messages whose acknowledgement the broker has carried out: they will never
    /// come again, and what was marked of them has served.
    pub proven_acks: mpsc::UnboundedReceiver<SettledMarker>,
}

/// A message taken from a queue, to be settled exactly once.
#[derive(Debug)]
pub struct Incoming {
    /// What the message says.
    pub message: Message,
    /// Whether it was handed out before: something may have come of it already.
    pub redelivered: bool,
    /// The right to settle it.
    pub receipt: Receipt,
}

/// What a message says.
#[derive(Debug)]
pub enum Message {
    /// A message of the events queue, not yet checked.
    Event(RawEvent),
    /// A delivery that an engine handed over earlier.
    Delivery(Delivery),
    /// A message of the deliveries queue, or of the parts, that is no delivery, and why.
    Unreadable(RawEvent, String),
}

/// What is already settled of an event, so that a redelivery does not repeat it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SettledMarker {
    /// The event's organization.
    pub organization: Organization,
    /// The message that it came with.
    pub message: MessageKey,
    /// The webhooks for which it is settled.
    pub webhooks: Vec<WebhookId>,
}

/// The right to settle one message. Settling consumes it; dropping it unsettled, as a panic or a
/// shutdown does, returns the message to its queue.
#[derive(Debug)]
pub struct Receipt {
    tag: u64,
    settlements: Option<mpsc::UnboundedSender<Settlement>>,
    void: Option<CancellationToken>,
}

/// What became of a message, for the source to carry out.
#[derive(Debug)]
pub enum Settlement {
    /// Everything that had to come of it is confirmed and on record: acknowledge it.
    Done {
        /// The source's tag for the message.
        tag: u64,
        /// Settled markers to remember should the acknowledgement be lost.
        mark: Option<SettledMarker>,
        /// Given back once the acknowledgement is sent, so that the requests that a crash could
        /// repeat are never more than the worker may have open.
        place: Option<Place>,
    },
    /// The message was not settled: return it to its queue.
    Returned {
        /// The source's tag for the message.
        tag: u64,
    },
}

impl Receipt {
    /// A receipt for the message that the source knows by `tag`.
    pub fn new(tag: u64, settlements: mpsc::UnboundedSender<Settlement>) -> Self {
        Self {
            tag,
            settlements: Some(settlements),
            void: None,
        }
    }

    /// The same, until `void` is cancelled: then the message can no longer be settled, for the
    /// source has lost it, and it will be handed out again.
    pub fn until(mut self, void: CancellationToken) -> Self {
        self.void = Some(void);
        self
    }

    /// Whether the message will be handed out again whatever comes of it here, so that nothing new
    /// is to be begun for it.
    pub fn is_void(&self) -> bool {
        self.void
            .as_ref()
            .is_some_and(CancellationToken::is_cancelled)
    }

    /// Acknowledges the message.
    pub fn ack(mut self, mark: Option<SettledMarker>, place: Option<Place>) {
        self.settle(Settlement::Done {
            tag: self.tag,
            mark,
            place,
        });
    }

    /// Returns once the receipt [is void](Self::is_void).
    pub async fn voided(&self) {
        match &self.void {
            Some(void) => void.cancelled().await,
            None => std::future::pending().await,
        }
    }

    fn settle(&mut self, settlement: Settlement) {
        if let Some(settlements) = self.settlements.take() {
            // Nobody listens only once the source is gone, and then the broker has taken the
            // message back by itself.
            let _ = settlements.send(settlement);
        }
    }
}

impl Drop for Receipt {
    fn drop(&mut self) {
        self.settle(Settlement::Returned { tag: self.tag });
    }
}

// --------------------------------------------------------------------------------- the hand-over

/// What is to happen next, handed to the broker.
#[derive(Debug)]
pub enum FollowUp {
    /// The delivery comes back after a stay in the delay queue of this step.
    Delay(Delivery, Duration),
    /// The delivery, which is put off, comes back after this long. If it comes sooner, it says in
    /// [`remaining_wait`](Delivery::remaining_wait) what is left; it comes later by about a tenth
    /// or a second at most.
    Defer(Delivery, Duration),
    /// The same for one of a line, each of which comes back after the one before, and for what is
    /// left of a wait. It takes one message where another would be needed to keep it out of the way
    /// of other workers' deliveries, and may come later by half of its time because of these.
    DeferInLine(Delivery, Duration),
    /// The delivery comes back at once, as a message of its own.
    Enqueue(Delivery),
    /// The same for one of the many that a large fan-out is split into.
    Part(Delivery),
    /// Something is given up.
    DeadLetter(DeadLetter),
    /// An event of ours is published like the gateway's.
    Publish(Event),
}

/// The engine is going down before the hand-over was confirmed: what depended on it must stay
/// unsettled.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("stopped before the hand-over was confirmed")]
pub struct Stopped;

/// Hands over what is to happen next.
#[async_trait]
pub trait Handover: Send + Sync {
    /// Returns once the broker has confirmed that it keeps `follow_up`. Waits for as long as the
    /// broker is away or refuses, until the adapter is told to stop.
    async fn hand_over(&self, follow_up: FollowUp) -> Result<(), Stopped>;
}

// ---------------------------------------------------------------------------------- the webhooks

/// The registered webhooks.
#[async_trait]
pub trait Subscriptions: Send + Sync {
    /// The webhooks of `organization` as they are now, give or take a second. Waits while they
    /// cannot be known.
    async fn webhooks(&self, organization: &Organization) -> Arc<OrganizationWebhooks>;

    /// Disables a webhook, saying why. `true` if it was this call that did it: of many that find
    /// the same endpoint gone, one tells the others.
    async fn disable(&self, webhook: &WebhookKey, reason: &str, now: Timestamp) -> bool;
}

// --------------------------------------------------------------------------------------- the log

/// What is put on record together when something is settled.
#[derive(Debug, Default)]
pub struct Entry {
    /// The attempt made.
    pub attempt: Option<Attempt>,
    /// The settled marker to write, if other deliveries of the event are still open.
    pub mark: Option<SettledMarker>,
    /// The delivery's new state.
    pub delivery: Option<DeliveryRecord>,
    /// Marks that have served, for their event is acknowledged, and need not be kept for long.
    pub unmark: Option<(Organization, MessageKey)>,
}

/// The state of a delivery, kept under its id.
#[derive(Debug, Clone)]
pub struct DeliveryRecord {
    /// The delivery as it was when this attempt or deferral began, with the highest sequence that
    /// is settled now: its own after an attempt, the one before after a deferral.
    pub delivery: Delivery,
    /// The delivery's new state.
    pub state: DeliveryState,
    /// How much of it is kept.
    pub keep: Keep,
}

/// How much of a delivery is kept on record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Keep {
    /// State and body, for as long as the deployment keeps deliveries: it failed at least once, or
    /// the deployment keeps them all.
    Whole,
    /// The settled sequence alone, for an hour: enough to recognise a message published twice.
    Sequence,
}

/// The record of what was done.
#[async_trait]
pub trait LogWriter: Send + Sync {
    /// Returns once the store can be written to; at once if the last write went well.
    async fn available(&self);

    /// Returns once `entry` is on record. Waits for as long as the store is away.
    async fn write(&self, entry: Entry);

    /// The webhooks for which the event of `message`, which came again, is already settled.
    async fn settled(
        &self,
        organization: &Organization,
        message: &MessageKey,
    ) -> HashSet<WebhookId>;

    /// Claims the id of a delivery for what follows from the message of this hand-out. `true` for
    /// one, of any number that ask at the same time or later, and for that one again; for none if
    /// something is on record under the id.
    async fn claim(
        &self,
        organization: &Organization,
        delivery: &DeliveryId,
        hand_out: u64,
    ) -> bool;

    /// The highest settled sequence of a delivery; 0 if none is known.
    async fn settled_sequence(&self, organization: &Organization, delivery: &DeliveryId) -> u32;

    /// Notes a failed attempt at `now` and tells the webhook's streak of failures, over all workers:
    /// the one before if it [goes on](Streak::after_failure) after at most so much silence.
    async fn failed(&self, webhook: &WebhookKey, now: Timestamp, silence: Duration) -> Streak;

    /// Notes that the webhook answered well at `now`. Cheap: it need not be on record at once.
    fn succeeded(&self, webhook: &WebhookKey, now: Timestamp);
}

// ----------------------------------------------------------------------------------- rate limits

/// How often workers [tell](Calendars::tell) each other what they get done.
pub const TOLD_EVERY: Duration = Duration::from_secs(5);

/// The calendars that all workers share: when webhooks with a rate limit may be sent a request, and
/// when what is put off comes back.
#[async_trait]
pub trait Calendars: Send + Sync {
    /// Reserves up to `count` times for a webhook, by the rule of
    /// [`Calendar`](crate::domain::rate_limit::Calendar). Waits for as long as the store is away.
    async fn reserve(&self, webhook: &WebhookKey, limit: RateLimit, count: u32) -> Reserved;

    /// For how long this worker puts one more delivery to a webhook off, by the rule of
    /// [`Returns`](crate::domain::returns::Returns): for `soonest` at least. Waits for as long as the
    /// store is away.
    async fn put_off(&self, webhook: &WebhookKey, in_line: InLine, soonest: Duration) -> Duration;

    /// Tells that this worker works, and how far apart it gets deliveries to these webhooks done. To be
    /// called every [`TOLD_EVERY`]; does not wait for a store that is away.
    async fn tell(&self, progress: Vec<(WebhookKey, Duration)>);
}

// ---------------------------------------------------------------- who asked to be left alone

/// Called with each pause that is heard of. It returns at once.
pub type Heed = Box<dyn Fn(Heard) + Send + Sync>;

/// Tells the other workers which receivers asked to be left alone, and hears it from them.
#[async_trait]
pub trait Pauses: Send + Sync {
    /// From now on `heed` is called with each one that another worker tells of; and with those on
    /// record of an organization's webhooks before [`Subscriptions`] hands these out for the first
    /// time. To be called once.
    fn listen(&self, heed: Heed);

    /// Tells them, and puts it on record. Waits for as long as the store is away.
    async fn tell(&self, pause: Pause);
}

// ----------------------------------------------------------------------------- who is held back

/// Where everybody can read whose deliveries are held back.
#[async_trait]
pub trait Board: Send + Sync {
    /// Puts what this worker says of webhooks in the place of what it said before of the same: that
    /// their deliveries are held back, or nothing, if they are not any more. It
    /// [stands](crate::domain::held_back::STANDS) for a while. Waits for as long as the store is away.
    async fn put_up(&self, said: Vec<(WebhookKey, Option<HeldBack>)>);
}

// ------------------------------------------------------------------------------------ the sender

/// One HTTP request, ready to be sent: always a `POST`.
#[derive(Debug, Clone)]
pub struct Request {
    /// The endpoint.
    pub url: Url,
    /// Every header that the contract asks for, and the webhook's own.
    pub headers: HeaderMap,
    /// The event's bytes.
    pub body: Bytes,
}

/// Makes HTTP requests.
#[async_trait]
pub trait Sender: Send + Sync {
    /// Makes one request and reports what came of it, within the time that one attempt may take. A
    /// fault of our own is no reply: there is nothing to hold against the endpoint.
    async fn send(&self, request: Request) -> Result<Reply, OwnFault>;
}
