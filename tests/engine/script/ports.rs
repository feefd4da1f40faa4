//! The ports: what they are asked is written down, and answered as the script says.

use std::collections::{HashMap, HashSet};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use jiff::Timestamp;
use prism_webhooks::domain::admission::Pause;
use prism_webhooks::domain::delivery::Delivery;
use prism_webhooks::domain::ids::{DeliveryId, MessageKey, Organization, WebhookId};
use prism_webhooks::domain::organization::OrganizationWebhooks;
use prism_webhooks::domain::outcome::{Reply, Response};
use prism_webhooks::domain::own_fault::OwnFault;
use prism_webhooks::domain::streak::Streak;
use prism_webhooks::domain::webhook::WebhookKey;
use prism_webhooks::engine::ports::{
    Entry, FollowUp, Handover, Heed, LogWriter, Pauses, Request, Sender, Stopped, Subscriptions,
};

use super::{Answer, Step};

/// The only worker there is: nobody to tell, and nobody to hear.
pub struct Alone;

#[async_trait]
impl Pauses for Alone {
    fn listen(&self, _: Heed) {}

    async fn tell(&self, _: Pause) {}
}

#[derive(Default)]
pub struct Scripted {
    pub webhooks: Arc<OrganizationWebhooks>,
    pub answers: Mutex<HashMap<String, Answer>>,
    pub steps: Mutex<Vec<Step>>,
    pub entries: Mutex<Vec<Entry>>,
    pub refuse_handover: AtomicBool,
    pub record: Slow,
    pub lookups: Slow,
    pub handovers: Slow,
    pub claims: Mutex<HashMap<DeliveryId, u64>>,
    pub handed_over: Mutex<Vec<Delivery>>,
    pub settled: Arc<Mutex<HashSet<WebhookId>>>,
    pub sequence: Arc<Mutex<u32>>,
    pub recorded: Mutex<HashMap<DeliveryId, u32>>,
}

/// Something that takes its time.
#[derive(Default)]
pub struct Slow {
    pub takes: Mutex<Duration>,
    pub under_way: AtomicUsize,
    pub most: AtomicUsize,
}

impl Slow {
    async fn take_time(&self) {
        let now = self.under_way.fetch_add(1, Ordering::Relaxed) + 1;
        self.most.fetch_max(now, Ordering::Relaxed);
        let takes = *self.takes.lock().unwrap();
        tokio::time::sleep(takes).await;
        self.under_way.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Scripted {
    pub fn step(&self, step: Step) {
        self.steps.lock().unwrap().push(step);
    }
}

#[async_trait]
impl Handover for Scripted {
    async fn hand_over(&self, follow_up: FollowUp) -> Result<(), Stopped> {
        if self.refuse_handover.load(Ordering::Relaxed) {
            return Err(Stopped);
        }
        self.handovers.take_time().await;
        if let FollowUp::Delay(delivery, _)
        | FollowUp::Defer(delivery, _)
        | FollowUp::DeferInLine(delivery, _)
        | FollowUp::Enqueue(delivery)
        | FollowUp::Part(delivery) = &follow_up
        {
            self.handed_over.lock().unwrap().push(delivery.clone());
        }
        self.step(match follow_up {
            FollowUp::Delay(delivery, step) => Step::Delayed(
                delivery.webhook.to_string(),
                delivery.attempt,
                step.as_secs(),
            ),
            FollowUp::Defer(delivery, delay) | FollowUp::DeferInLine(delivery, delay) => {
                Step::Deferred(
                    delivery.webhook.to_string(),
                    delivery.attempt,
                    delay.as_secs(),
                )
            }
            FollowUp::Enqueue(delivery) | FollowUp::Part(delivery) => {
                Step::Enqueued(delivery.webhook.to_string())
            }
            FollowUp::DeadLetter(letter) => Step::Dead(letter.reason),
            FollowUp::Publish(event) => Step::Published(event.event_type.to_string()),
        });
        Ok(())
    }
}

#[async_trait]
impl Subscriptions for Scripted {
    async fn webhooks(&self, _: &Organization) -> Arc<OrganizationWebhooks> {
        self.lookups.take_time().await;
        self.webhooks.clone()
    }

    async fn disable(&self, webhook: &WebhookKey, _: &str, _: Timestamp) -> bool {
        self.step(Step::Disabled(webhook.id.to_string()));
        true
    }
}

#[async_trait]
impl LogWriter for Scripted {
    async fn available(&self) {
        self.record.take_time().await;
    }

    async fn write(&self, entry: Entry) {
        if entry.unmark.is_none() {
            let outcome = entry
                .attempt
                .as_ref()
                .map(|attempt| attempt.outcome.clone());
            self.step(Step::Wrote(
                outcome.unwrap_or_else(|| "no attempt".to_owned()),
            ));
        }
        if let Some(record) = &entry.delivery {
            let (id, sequence) = (record.delivery.id.clone(), record.delivery.sequence);
            self.recorded.lock().unwrap().insert(id, sequence);
        }
        self.entries.lock().unwrap().push(entry);
    }

    async fn settled(&self, _: &Organization, _: &MessageKey) -> HashSet<WebhookId> {
        self.settled.lock().unwrap().clone()
    }

    async fn claim(&self, _: &Organization, delivery: &DeliveryId, hand_out: u64) -> bool {
        let mut claims = self.claims.lock().unwrap();
        *claims.entry(delivery.clone()).or_insert(hand_out) == hand_out
    }

    async fn settled_sequence(&self, _: &Organization, delivery: &DeliveryId) -> u32 {
        let recorded = self.recorded.lock().unwrap().get(delivery).copied();
        recorded
            .unwrap_or_default()
            .max(*self.sequence.lock().unwrap())
    }

    async fn failed(&self, _: &WebhookKey, now: Timestamp, silence: Duration) -> Streak {
        Streak::after_failure(None, None, now, silence)
    }

    fn succeeded(&self, _: &WebhookKey, _: Timestamp) {}
}

#[async_trait]
impl Sender for Scripted {
    async fn send(&self, request: Request) -> Result<Reply, OwnFault> {
        let webhook = request.url.path().trim_start_matches('/').to_owned();
        let attempt = request.headers["x-prism-attempt"]
            .to_str()
            .unwrap()
            .parse()
            .unwrap();
        self.step(Step::Sent(webhook.clone(), attempt));
        let answer = self.answers.lock().unwrap().get(&webhook).copied();
        let (status, duration) = match answer.unwrap_or(Answer::Status(200)) {
            Answer::Status(status) => (status, Duration::ZERO),
            Answer::After(duration) => (200, duration),
            Answer::FailsAfter(duration) => (500, duration),
            Answer::OwnFault(0) => (200, Duration::ZERO),
            Answer::OwnFault(times) => {
                self.answers
                    .lock()
                    .unwrap()
                    .insert(webhook, Answer::OwnFault(times - 1));
                return Err(OwnFault::Handles);
            }
            Answer::Panic => panic!("scripted"),
        };
        tokio::time::sleep(duration).await;
        let response = Response {
            status,
            ..Response::default()
        };
        Ok(Reply {
            result: Ok(response),
            duration,
            remote_addr: None,
        })
    }
}
