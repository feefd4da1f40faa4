//! The engine's ports onto the world, for one life of a worker: once that is over, whatever the
//! worker still asks for never comes.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use jiff::Timestamp;
use prism_webhooks::domain::ids::{DeliveryId, MessageKey, Organization, WebhookId};
use prism_webhooks::domain::organization::OrganizationWebhooks;
use prism_webhooks::domain::outcome::{FailureKind, Reply, Response, SendFailure};
use prism_webhooks::domain::own_fault::OwnFault;
use prism_webhooks::domain::rate_limit::{RateLimit, Reserved};
use prism_webhooks::domain::returns::InLine;
use prism_webhooks::domain::streak::Streak;
use prism_webhooks::domain::webhook::WebhookKey;
use prism_webhooks::embedded::board::EmbeddedBoard;
use prism_webhooks::engine::Ports;
use prism_webhooks::engine::ports::{
    Calendars, Entry, FollowUp, Handover, LogWriter, Request, Sender, Stopped, Subscriptions,
};
use tokio_util::sync::CancellationToken;

use super::receivers::Answer;
use super::world::{World, webhook_number};
use crate::engine::script::Alone;

/// What one worker has of the world.
pub struct Life {
    world: Arc<World>,
    over: CancellationToken,
}

impl Life {
    /// Ports that work until `over` is cancelled.
    pub fn ports(world: &Arc<World>, over: &CancellationToken) -> Ports {
        let life = Arc::new(Self {
            world: world.clone(),
            over: over.clone(),
        });
        Ports {
            handover: life.clone(),
            subscriptions: life.clone(),
            log: life.clone(),
            calendars: life.clone(),
            board: Arc::new(EmbeddedBoard::default()),
            pauses: Arc::new(Alone),
            sender: life,
            faults: Arc::default(),
        }
    }

    /// Does not return once the worker is gone.
    async fn alive(&self) {
        if self.over.is_cancelled() {
            std::future::pending::<()>().await;
        }
    }

    /// Takes so long, and does not return once the worker is gone.
    async fn takes(&self, time: Duration) {
        if !time.is_zero() {
            self.alive().await;
            tokio::time::sleep(time).await;
        }
        self.alive().await;
    }
}

#[async_trait]
impl Handover for Life {
    async fn hand_over(&self, follow_up: FollowUp) -> Result<(), Stopped> {
        self.takes(self.world.scenario.costs.hand_over).await;
        self.world.hand_over(follow_up);
        Ok(())
    }
}

#[async_trait]
impl Subscriptions for Life {
    async fn webhooks(&self, organization: &Organization) -> Arc<OrganizationWebhooks> {
        self.alive().await;
        self.world.now().record.webhooks(organization)
    }

    async fn disable(&self, webhook: &WebhookKey, reason: &str, _: Timestamp) -> bool {
        self.alive().await;
        let mut state = self.world.now();
        let number = webhook_number(webhook.id.as_str());
        state.account.disabled(number);
        state.record.disable(webhook, reason)
    }
}

#[async_trait]
impl LogWriter for Life {
    async fn available(&self) {
        self.alive().await;
    }

    async fn write(&self, entry: Entry) {
        self.takes(self.world.scenario.costs.write).await;
        let mut state = self.world.now();
        state.record.write(&entry);
        state.account.recorded(&entry);
    }

    async fn settled(
        &self,
        organization: &Organization,
        message: &MessageKey,
    ) -> HashSet<WebhookId> {
        self.alive().await;
        self.world.now().record.settled(organization, message)
    }

    async fn claim(&self, _: &Organization, delivery: &DeliveryId, hand_out: u64) -> bool {
        self.alive().await;
        self.world.now().record.claim(delivery, hand_out)
    }

    async fn settled_sequence(&self, _: &Organization, delivery: &DeliveryId) -> u32 {
        self.alive().await;
        self.world.now().record.settled_sequence(delivery)
    }

    async fn failed(&self, webhook: &WebhookKey, now: Timestamp, silence: Duration) -> Streak {
        self.alive().await;
        self.world.now().record.failed(webhook, now, silence)
    }

    fn succeeded(&self, webhook: &WebhookKey, _: Timestamp) {
        if !self.over.is_cancelled() {
            self.world.now().record.succeeded(webhook);
        }
    }
}

#[async_trait]
impl Calendars for Life {
    async fn reserve(&self, webhook: &WebhookKey, limit: RateLimit, count: u32) -> Reserved {
        self.takes(self.world.scenario.costs.write).await;
        self.world.calendars.reserve(webhook, limit, count).await
    }

    async fn put_off(&self, webhook: &WebhookKey, in_line: InLine, soonest: Duration) -> Duration {
        self.takes(self.world.scenario.costs.write).await;
        self.world
            .calendars
            .put_off(webhook, in_line, soonest)
            .await
    }

    async fn tell(&self, progress: Vec<(WebhookKey, Duration)>) {
        self.world.calendars.tell(progress).await;
    }
}

#[async_trait]
impl Sender for Life {
    async fn send(&self, request: Request) -> Result<Reply, OwnFault> {
        self.alive().await;
        let webhook = webhook_number(request.url.path().trim_start_matches('/'));
        let attempt = request.headers["x-prism-attempt"].to_str().unwrap();
        let attempt = attempt.parse().unwrap();
        let begun = self.world.request_begins(&request.body, webhook, attempt);
        let mut open = Open {
            world: &self.world,
            id: begun.id,
            answer: None,
        };
        tokio::time::sleep(begun.after).await;
        self.alive().await;
        open.answer = Some(begun.answer);
        Ok(Reply {
            result: result(begun.answer),
            duration: begun.after,
            remote_addr: None,
        })
    }
}

/// A request that is open. Dropped before its answer came, it is cut off.
struct Open<'a> {
    world: &'a World,
    id: u64,
    answer: Option<Answer>,
}

impl Drop for Open<'_> {
    fn drop(&mut self) {
        self.world.request_ends(self.id, self.answer);
    }
}

fn result(answer: Answer) -> Result<Response, SendFailure> {
    let kind = match answer {
        Answer::Status(status, retry_after) => {
            return Ok(Response {
                status,
                retry_after: retry_after.iter().map(ToString::to_string).collect(),
                ..Response::default()
            });
        }
        Answer::Timeout => FailureKind::Timeout,
        Answer::Refused => FailureKind::Connect,
    };
    Err(SendFailure {
        kind,
        message: "scripted".to_owned(),
    })
}
