//! What goes wrong in a simulation: receivers that fail, and a process that dies.

use std::collections::{BTreeMap, HashSet};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use jiff::Timestamp;
use prism_webhooks::domain::ids::{DeliveryId, MessageKey, Organization, WebhookId};
use prism_webhooks::domain::organization::OrganizationWebhooks;
use prism_webhooks::domain::outcome::{FailureKind, Reply, Response, SendFailure};
use prism_webhooks::domain::own_fault::OwnFault;
use prism_webhooks::domain::streak::Streak;
use prism_webhooks::domain::webhook::WebhookKey;
use prism_webhooks::engine::Ports;
use prism_webhooks::engine::ports::{
    Entry, FollowUp, Handover, LogWriter, Request, Sender, Stopped, Subscriptions,
};
use tokio_util::sync::CancellationToken;

use super::simulation::mixed;

/// Burns down by one with every step; the process dies with it.
pub struct Fuse {
    left: AtomicU32,
    burnt: CancellationToken,
}

impl Fuse {
    pub fn of(steps: u32) -> Arc<Self> {
        Arc::new(Self {
            left: AtomicU32::new(steps),
            burnt: CancellationToken::new(),
        })
    }

    pub async fn burnt(&self) {
        self.burnt.cancelled().await;
    }

    /// Returns unless the process dies here.
    async fn step(&self) {
        let burn = |left: u32| match left {
            u32::MAX => Some(left),
            left => left.checked_sub(1),
        };
        let before = self
            .left
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, burn);
        if before.is_ok_and(|before| before > 1) {
            return;
        }
        self.burnt.cancel();
        std::future::pending::<()>().await;
    }

    /// Does something, and may die just before or just after it.
    async fn round<T>(&self, done: impl Future<Output = T>) -> T {
        self.step().await;
        let result = done.await;
        self.step().await;
        result
    }
}

/// Ports that the process may die at.
pub struct Chaotic {
    inner: Ports,
    fuse: Arc<Fuse>,
}

impl Chaotic {
    pub fn wrap(inner: Ports, fuse: &Arc<Fuse>) -> Ports {
        let (faults, calendars) = (inner.faults.clone(), inner.calendars.clone());
        let (board, pauses) = (inner.board.clone(), inner.pauses.clone());
        let chaotic = Arc::new(Self {
            inner,
            fuse: fuse.clone(),
        });
        Ports {
            handover: chaotic.clone(),
            subscriptions: chaotic.clone(),
            log: chaotic.clone(),
            calendars,
            board,
            pauses,
            sender: chaotic,
            faults,
        }
    }
}

#[async_trait]
impl Handover for Chaotic {
    async fn hand_over(&self, follow_up: FollowUp) -> Result<(), Stopped> {
        let handing = self.inner.handover.hand_over(follow_up);
        self.fuse.round(handing).await
    }
}

#[async_trait]
impl Subscriptions for Chaotic {
    async fn webhooks(&self, organization: &Organization) -> Arc<OrganizationWebhooks> {
        self.inner.subscriptions.webhooks(organization).await
    }

    async fn disable(&self, webhook: &WebhookKey, reason: &str, now: Timestamp) -> bool {
        let disabling = self.inner.subscriptions.disable(webhook, reason, now);
        self.fuse.round(disabling).await
    }
}

#[async_trait]
impl LogWriter for Chaotic {
    async fn available(&self) {
        self.inner.log.available().await;
    }

    async fn write(&self, entry: Entry) {
        self.fuse.round(self.inner.log.write(entry)).await;
    }

    async fn settled(
        &self,
        organization: &Organization,
        message: &MessageKey,
    ) -> HashSet<WebhookId> {
        let asking = self.inner.log.settled(organization, message);
        self.fuse.round(asking).await
    }

    async fn claim(
        &self,
        organization: &Organization,
        delivery: &DeliveryId,
        hand_out: u64,
    ) -> bool {
        let claiming = self.inner.log.claim(organization, delivery, hand_out);
        self.fuse.round(claiming).await
    }

    async fn settled_sequence(&self, organization: &Organization, delivery: &DeliveryId) -> u32 {
        let asking = self.inner.log.settled_sequence(organization, delivery);
        self.fuse.round(asking).await
    }

    async fn failed(&self, webhook: &WebhookKey, now: Timestamp, silence: Duration) -> Streak {
        let noting = self.inner.log.failed(webhook, now, silence);
        self.fuse.round(noting).await
    }

    fn succeeded(&self, webhook: &WebhookKey, now: Timestamp) {
        self.inner.log.succeeded(webhook, now);
    }
}

#[async_trait]
impl Sender for Chaotic {
    async fn send(&self, request: Request) -> Result<Reply, OwnFault> {
        self.fuse.round(self.inner.sender.send(request)).await
    }
}

/// What a receiver saw of one delivery.
#[derive(Debug, Clone, Default)]
pub struct Seen {
    pub made: u32,
    pub delivered: u32,
    /// Requests after it had already said that it has the event.
    pub after_delivery: u32,
    /// The event's id.
    pub event: String,
    /// The webhook.
    pub webhook: String,
    pub body: Vec<u8>,
}

/// The receivers: how each answers is the seed's.
pub struct Receivers {
    seed: u64,
    seen: Mutex<BTreeMap<String, Seen>>,
}

impl Receivers {
    pub fn new(seed: u64) -> Self {
        Self {
            seed,
            seen: Mutex::default(),
        }
    }

    /// What was seen of each delivery, by its id.
    pub fn requests(&self) -> BTreeMap<String, Seen> {
        self.seen.lock().unwrap().clone()
    }

    /// How many requests were made.
    pub fn made(&self) -> u32 {
        self.requests().values().map(|seen| seen.made).sum()
    }

    /// Notes a request, and decides how it is answered.
    fn note(&self, request: &Request) -> Answer {
        let header = |name: &str| request.headers[name].to_str().unwrap().to_owned();
        let webhook = request.url.path().trim_start_matches('/').to_owned();
        let id = header("x-prism-delivery");
        let mut seen = self.seen.lock().unwrap();
        let seen = seen.entry(id.clone()).or_default();
        let what = (header("webhook-id"), webhook.clone(), request.body.to_vec());
        if seen.made > 0 {
            let before = (&seen.event, &seen.webhook, &seen.body);
            assert_eq!(before, (&what.0, &what.1, &what.2), "a repeat of {id}");
        }
        let key = (what.0.clone(), webhook.clone());
        (seen.event, seen.webhook, seen.body) = what;
        seen.made += 1;
        seen.after_delivery += u32::from(seen.delivered > 0);
        let answer = Answer::of(&webhook, mixed(self.seed, &(&key, seen.made)));
        seen.delivered += u32::from(answer == Answer::Status(200));
        answer
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Answer {
    Status(u16),
    Timeout,
    NoConnection,
}

impl Answer {
    fn of(webhook: &str, chance: u64) -> Self {
        let chance = chance % 100;
        match webhook {
            "healthy" => Self::Status(200),
            "gone" if chance < 30 => Self::Status(410),
            "broken" if chance < 93 => Self::Status(500),
            _ => match chance {
                0..60 => Self::Status(200),
                60..75 => Self::Status(503),
                75..85 => Self::Timeout,
                85..92 => Self::NoConnection,
                _ => Self::Status(404),
            },
        }
    }
}

#[async_trait]
impl Sender for Receivers {
    async fn send(&self, request: Request) -> Result<Reply, OwnFault> {
        let answer = self.note(&request);
        let duration = match answer {
            Answer::Timeout => Duration::from_secs(10),
            _ => Duration::from_millis(mixed(self.seed, &request.url.path()) % 50),
        };
        tokio::time::sleep(duration).await;
        let failed = |kind| {
            Err(SendFailure {
                kind,
                message: "scripted".to_owned(),
            })
        };
        let result = match answer {
            Answer::Status(status) => Ok(Response {
                status,
                ..Response::default()
            }),
            Answer::Timeout => failed(FailureKind::Timeout),
            Answer::NoConnection => failed(FailureKind::Connect),
        };
        Ok(Reply {
            result,
            duration,
            remote_addr: None,
        })
    }
}
