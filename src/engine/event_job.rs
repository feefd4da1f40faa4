//! One event message: decode, match, deliver to each webhook that wants it, acknowledge.

use std::sync::Arc;

use futures::StreamExt as _;
use futures::future::join_all;
use futures::stream::FuturesUnordered;

use crate::domain::admission::JobKind;
use crate::domain::dead_letter::{Content, DeadLetter, Reason};
use crate::domain::delivery::Delivery;
use crate::domain::event::{self, Event, RawEvent};
use crate::domain::identity::Identity;
use crate::domain::ids::WebhookId;
use crate::domain::organization::OrganizationWebhooks;
use crate::domain::webhook::Webhook;

use super::Engine;
use super::admission::Place;
use super::asking::Asking;
use super::intake::Arriving;
use super::origin::{Origin, Siblings};
use super::ports::{FollowUp, Receipt, Stopped};

/// How many parts of a split fan-out are on their way at once: far more, and the broker is no quicker.
const SPLIT_PIPELINE: usize = 256;

/// So many events are split at once.
pub(super) const SPLITS: usize = 4;

impl Engine {
    pub(super) async fn event_job(
        &self,
        raw: RawEvent,
        redelivered: bool,
        receipt: Receipt,
        mut arriving: Arriving,
    ) -> Result<(), Stopped> {
        let event = match event::decode(&raw, &self.settings.events) {
            Ok(event) => Arc::new(event),
            Err(problem) => {
                drop(arriving);
                return self.refuse_event(raw, &problem, receipt).await;
            }
        };
        let webhooks = self.ports.subscriptions.webhooks(&event.organization).await;
        if let Some(problem) = webhooks.unreadable.clone() {
            drop(arriving);
            return self
                .dead_letter_message(Reason::WebhookInvalid, raw, problem, receipt)
                .await;
        }
        let hand_out = self.settings.random.hand_out();
        let identity = Identity::of(&event, raw.stamp.as_deref(), hand_out);
        let mut wanting = wanting(&event, &webhooks);
        // Decided before what is settled is left out: a part that was sent round by itself must not
        // be sent again from here.
        let split = wanting.len() > self.settings.fanout_inline_max;
        if redelivered {
            wanting = self.without_settled(&event, &identity, wanting).await;
        }
        self.counters.events.count();
        let siblings = Siblings::new(event, identity, wanting.len(), redelivered);
        if webhooks.is_wanted_by_unusable(&siblings.event().event_type) {
            // What waits for the broker holds up no other event.
            drop(arriving);
            self.keep_for_unusable(&webhooks, &siblings, &receipt)
                .await?;
            arriving = self.arrive().await;
        }
        let place = if split {
            drop(arriving);
            self.split(&wanting, &siblings, &receipt).await?;
            None
        } else {
            let asked = self.ask_for_all(&wanting, &siblings);
            drop(arriving);
            self.deliver_to_all(asked, &siblings, &receipt).await?
        };
        if wanting.is_empty() {
            receipt.ack(None, None);
            return Ok(());
        }
        let settled = siblings.mark(wanting.iter().map(|webhook| &webhook.id));
        receipt.ack(Some(settled), place);
        Ok(())
    }

    /// Leaves out the webhooks for which an event that came again is settled: marked with its
    /// siblings, or by way of a message that was already made of it.
    async fn without_settled(
        &self,
        event: &Event,
        identity: &Identity,
        wanting: Vec<Arc<Webhook>>,
    ) -> Vec<Arc<Webhook>> {
        if wanting.is_empty() {
            return wanting;
        }
        let marked = self
            .ports
            .log
            .settled(&event.organization, &identity.key)
            .await;
        let recorded = wanting
            .iter()
            .map(|webhook| self.recorded(event, identity, &webhook.id));
        let recorded = join_all(recorded).await;
        let before = wanting.len();
        let open: Vec<_> = wanting
            .into_iter()
            .zip(recorded)
            .filter(|(webhook, recorded)| *recorded == 0 && !marked.contains(&webhook.id))
            .map(|(webhook, _)| webhook)
            .collect();
        self.counters.skipped.add((before - open.len()) as u64);
        open
    }

    /// The highest settled sequence of the event's delivery to a webhook; 0 if there is none.
    async fn recorded(&self, event: &Event, identity: &Identity, webhook: &WebhookId) -> u32 {
        let (organization, id) = (&event.organization, identity.delivery(webhook));
        self.ports.log.settled_sequence(organization, &id).await
    }

    /// A webhook whose document cannot be used gets no request, and loses nothing: what it would
    /// have been sent can be requeued once the document is mended. One that only we cannot open gets
    /// it as soon as we can.
    async fn keep_for_unusable(
        &self,
        webhooks: &OrganizationWebhooks,
        siblings: &Siblings,
        receipt: &Receipt,
    ) -> Result<(), Stopped> {
        let (event, identity) = (siblings.event(), siblings.identity());
        let unusable = webhooks.invalid.iter();
        for unusable in unusable.filter(|unusable| unusable.wants(&event.event_type)) {
            let Ok(id) = WebhookId::new(&unusable.id) else {
                continue;
            };
            if siblings.know_their_record() && self.recorded(event, identity, &id).await > 0 {
                continue;
            }
            let origin = Origin::Event(siblings, receipt);
            let delivery = siblings.first(&id);
            if unusable.for_want_of_key {
                self.put_off_unopened(&delivery, origin).await?;
                continue;
            }
            let delivery = self.told_apart(&delivery, origin).await;
            let problem = unusable.problem.clone();
            self.dead_letter_without_attempt(&delivery, Reason::WebhookInvalid, problem, receipt)
                .await?;
        }
        Ok(())
    }

    /// Asks for one attempt for each webhook.
    fn ask_for_all<'a>(
        &self,
        wanting: &'a [Arc<Webhook>],
        siblings: &Siblings,
    ) -> Vec<Sibling<'a, '_>> {
        let ask = |webhook: &'a Arc<Webhook>| {
            let delivery = siblings.first(&webhook.id);
            let asking = self.ask(&delivery, webhook, JobKind::Event);
            Sibling {
                delivery,
                webhook,
                asking,
            }
        };
        wanting.iter().map(ask).collect()
    }

    /// The attempts asked for, side by side. Returns once all are settled, with the place of the one
    /// settled last.
    async fn deliver_to_all(
        &self,
        asked: Vec<Sibling<'_, '_>>,
        siblings: &Siblings,
        receipt: &Receipt,
    ) -> Result<Option<Place>, Stopped> {
        let mut last = None;
        let mut result = Ok(());
        let mut settled: FuturesUnordered<_> = asked
            .into_iter()
            .map(|one| self.first_attempt(one, Origin::Event(siblings, receipt)))
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
        one: Sibling<'_, '_>,
        origin: Origin<'_>,
    ) -> Result<Option<Place>, Stopped> {
        self.attempt(&one.delivery, one.webhook, one.asking, origin)
            .await
    }

    /// Makes a message of each delivery of a large fan-out, so that workers can share them.
    async fn split(
        &self,
        wanting: &[Arc<Webhook>],
        siblings: &Siblings,
        receipt: &Receipt,
    ) -> Result<(), Stopped> {
        // Never closed. A few at once keep the broker busy, and more would only wait in memory.
        let _turn = self.splits.acquire().await;
        let mut confirms = FuturesUnordered::new();
        for webhook in wanting {
            if confirms.len() >= SPLIT_PIPELINE {
                confirms.next().await.unwrap_or(Ok(()))?;
            }
            confirms.push(self.enqueue_part(&webhook.id, siblings, receipt));
        }
        while let Some(confirm) = confirms.next().await {
            confirm?;
        }
        Ok(())
    }

    async fn enqueue_part(
        &self,
        webhook: &WebhookId,
        siblings: &Siblings,
        receipt: &Receipt,
    ) -> Result<(), Stopped> {
        let first = siblings.first(webhook);
        let origin = Origin::Event(siblings, receipt);
        let part = self.told_apart(&first, origin).await.into_owned();
        self.hand_over(FollowUp::Part(part), receipt).await
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
        self.dead_letter_message(Reason::InvalidEvent, raw, detail, receipt)
            .await
    }

    pub(super) async fn dead_letter_message(
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

/// One delivery of an event, for which an attempt was asked.
struct Sibling<'a, 'g> {
    delivery: Delivery,
    webhook: &'a Arc<Webhook>,
    asking: Asking<'g>,
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
