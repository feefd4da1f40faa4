//! One event message: decode, match, deliver to each webhook that wants it, acknowledge.

use std::collections::HashSet;
use std::sync::Arc;

use futures::StreamExt as _;
use futures::future::join_all;
use futures::stream::FuturesUnordered;
use tokio::sync::OwnedSemaphorePermit;

use crate::domain::dead_letter::{Content, DeadLetter, Reason};
use crate::domain::delivery::Delivery;
use crate::domain::event::{self, Event, RawEvent};
use crate::domain::identity::{HandOut, Identity};
use crate::domain::ids::WebhookId;
use crate::domain::organization::OrganizationWebhooks;
use crate::domain::webhook::Webhook;

use super::Engine;
use super::origin::{Origin, Siblings};
use super::ports::{Entry, FollowUp, Receipt, Stopped};

/// How many parts of a split fan-out are on their way at once: 256 take a broker to its limit.
const SPLIT_PIPELINE: usize = 256;

impl Engine {
    pub(super) async fn event_job(
        &self,
        raw: RawEvent,
        redelivered: bool,
        receipt: Receipt,
    ) -> Result<(), Stopped> {
        let event = match event::decode(&raw, &self.settings.events) {
            Ok(event) => Arc::new(event),
            Err(problem) => return self.refuse_event(raw, &problem, receipt).await,
        };
        let webhooks = self.ports.subscriptions.webhooks(&event.organization).await;
        if let Some(problem) = webhooks.unreadable.clone() {
            return self
                .refuse(Reason::WebhookInvalid, raw, problem, receipt)
                .await;
        }
        let hand_out = HandOut {
            id: self.settings.chance.hand_out(),
            // A broker that does not count says at least that it was.
            returns: raw.returns.max(u32::from(redelivered)),
        };
        let identity = Identity::of(&event, raw.stamp.as_deref(), hand_out);
        let mut wanting = wanting(&event, &webhooks);
        // Decided before what is settled is left out: a part that was sent round by itself must not
        // be sent again from here.
        let split = wanting.len() > self.settings.fanout_inline_max;
        let mut settled = HashSet::new();
        if redelivered && !(wanting.is_empty() && webhooks.invalid.is_empty()) {
            settled = self.settled(&event, &identity).await;
            wanting = self
                .without_settled(&event, &identity, &settled, wanting)
                .await;
        }
        self.counters.events.count();
        let open = wanting.len();
        let siblings = Siblings::new(event.clone(), identity, open, redelivered, &settled);
        let origin = Origin::Event(&siblings, &receipt);
        self.keep_for_unusable(&webhooks, &siblings, &mut settled, origin)
            .await?;

        let place = if split {
            self.split(&wanting, &siblings, origin).await?;
            None
        } else {
            self.deliver_to_all(&event, &wanting, origin).await?
        };
        let wanted = wanting.iter().map(|webhook| webhook.id.clone());
        let mark = siblings.mark(wanted.chain(settled));
        let mark = (!mark.webhooks.is_empty()).then_some(mark);
        receipt.ack(mark, place);
        Ok(())
    }

    /// The webhooks for which an event that came again is marked as settled.
    pub(super) async fn settled(&self, event: &Event, identity: &Identity) -> HashSet<WebhookId> {
        let hand_out = identity.hand_out.as_ref();
        let log = &self.ports.log;
        log.settled(&event.organization, &identity.key, hand_out)
            .await
    }

    /// Leaves out the webhooks for which an event that came again is settled: marked, or by way of a
    /// message that was already made of it.
    async fn without_settled(
        &self,
        event: &Event,
        identity: &Identity,
        marked: &HashSet<WebhookId>,
        wanting: Vec<Arc<Webhook>>,
    ) -> Vec<Arc<Webhook>> {
        let recorded = wanting
            .iter()
            .map(|webhook| self.recorded(event, identity, &webhook.id));
        let recorded = join_all(recorded).await;
        let before = wanting.len();
        let open: Vec<_> = wanting
            .into_iter()
            .zip(recorded)
            .filter(|(webhook, recorded)| !recorded && !marked.contains(&webhook.id))
            .map(|(webhook, _)| webhook)
            .collect();
        self.counters.skipped.add((before - open.len()) as u64);
        open
    }

    /// Whether something is settled of the event's delivery to a webhook. What is on record under an
    /// id that others share says nothing of this message: that is what its marks are for.
    async fn recorded(&self, event: &Event, identity: &Identity, webhook: &WebhookId) -> bool {
        if identity.hand_out.is_some() {
            return false;
        }
        let (organization, id) = (&event.organization, identity.delivery(webhook));
        self.ports.log.settled_sequence(organization, &id).await > 0
    }

    /// A webhook whose document cannot be used gets no request, and loses nothing: what it would
    /// have been sent can be requeued once the document is mended.
    async fn keep_for_unusable(
        &self,
        webhooks: &OrganizationWebhooks,
        siblings: &Siblings,
        settled: &mut HashSet<WebhookId>,
        origin: Origin<'_>,
    ) -> Result<(), Stopped> {
        let event = siblings.event();
        let unusable = webhooks.invalid.iter();
        for unusable in unusable.filter(|unusable| unusable.wants(&event.event_type)) {
            let Ok(id) = WebhookId::new(&unusable.id) else {
                continue;
            };
            if settled.contains(&id) || self.recorded(event, siblings.identity(), &id).await {
                continue;
            }
            let delivery = siblings.first(&id);
            let Some(delivery) = self.told_apart(&delivery, origin).await else {
                settled.insert(id);
                continue;
            };
            let problem = unusable.problem.clone();
            let receipt = origin.receipt();
            self.give_up(&delivery, Reason::WebhookInvalid, problem, receipt)
                .await?;
            if origin.hand_out().is_some() {
                let mark = Some(siblings.note(&id));
                let entry = Entry {
                    mark,
                    ..Entry::default()
                };
                self.ports.log.write(entry).await;
                settled.insert(id);
            }
        }
        Ok(())
    }

    /// One attempt for each webhook, side by side. Returns once all are settled, with the place in
    /// the worker's budget of the one settled last.
    async fn deliver_to_all(
        &self,
        event: &Arc<Event>,
        wanting: &[Arc<Webhook>],
        origin: Origin<'_>,
    ) -> Result<Option<OwnedSemaphorePermit>, Stopped> {
        let mut last = None;
        let mut result = Ok(());
        let mut settled: FuturesUnordered<_> = wanting
            .iter()
            .map(|webhook| self.first_attempt(event, webhook, origin))
            .collect();
        while let Some(one) = settled.next().await {
            match one {
                // Earlier ones are marked: their places are free for the siblings that wait.
                Ok(place) if settled.is_empty() => last = place,
                Ok(_) => {}
                Err(stopped) => result = Err(stopped),
            }
        }
        result.map(|()| last)
    }

    async fn first_attempt(
        &self,
        event: &Arc<Event>,
        webhook: &Arc<Webhook>,
        origin: Origin<'_>,
    ) -> Result<Option<OwnedSemaphorePermit>, Stopped> {
        let delivery = match origin {
            Origin::Event(siblings, _) => siblings.first(&webhook.id),
            Origin::Message(_) => Delivery::first(event.clone(), webhook.id.clone()),
        };
        self.attempt(&delivery, webhook, origin).await
    }

    /// Makes a message of each delivery of a large fan-out, so that workers can share them.
    async fn split(
        &self,
        wanting: &[Arc<Webhook>],
        siblings: &Siblings,
        origin: Origin<'_>,
    ) -> Result<(), Stopped> {
        let mut confirms = FuturesUnordered::new();
        for webhook in wanting {
            if confirms.len() >= SPLIT_PIPELINE {
                confirms.next().await.unwrap_or(Ok(()))?;
            }
            confirms.push(self.send_round(&webhook.id, siblings, origin));
        }
        while let Some(confirm) = confirms.next().await {
            confirm?;
        }
        Ok(())
    }

    async fn send_round(
        &self,
        webhook: &WebhookId,
        siblings: &Siblings,
        origin: Origin<'_>,
    ) -> Result<(), Stopped> {
        let delivery = siblings.first(webhook);
        let Some(part) = self.told_apart(&delivery, origin).await else {
            return Ok(());
        };
        let part = part.into_owned();
        self.hand_over(FollowUp::Enqueue(part.clone()), origin.receipt())
            .await?;
        if origin.hand_out().is_some() {
            let entry = self.sent_round(&part, siblings.note(webhook));
            self.ports.log.write(entry).await;
        }
        Ok(())
    }

    async fn refuse_event(
        &self,
        raw: RawEvent,
        problem: &event::InvalidEvent,
        receipt: Receipt,
    ) -> Result<(), Stopped> {
        let detail = problem.to_string();
        tracing::warn!(
            routing_key = raw.routing_key,
            message_id = raw.message_id,
            problem = detail,
            "a message that is no event goes to the dead letters"
        );
        self.refuse(Reason::InvalidEvent, raw, detail, receipt)
            .await
    }

    pub(super) async fn refuse(
        &self,
        reason: Reason,
        raw: RawEvent,
        detail: String,
        receipt: Receipt,
    ) -> Result<(), Stopped> {
        let letter = DeadLetter {
            reason,
            detail,
            content: Content::Message(raw),
        };
        self.hand_over(FollowUp::DeadLetter(letter), &receipt)
            .await?;
        self.counters.invalid.count();
        receipt.ack(None, None);
        Ok(())
    }
}

/// The webhooks that the event is to be delivered to.
fn wanting(event: &Event, webhooks: &OrganizationWebhooks) -> Vec<Arc<Webhook>> {
    let not_for = event.not_for();
    let wanting = webhooks.wanting(&event.event_type);
    wanting
        .filter(|webhook| Some(&webhook.id) != not_for.as_ref())
        .cloned()
        .collect()
}
