//! One attempt: admit, sign, send, classify, decide. What cannot be sent by our own fault is none.

use std::sync::Arc;

use jiff::Timestamp;
use tokio::sync::OwnedSemaphorePermit;

use crate::domain::attempt::Attempt;
use crate::domain::delivery::Delivery;
use crate::domain::outcome::{self, Outcome};
use crate::domain::request;
use crate::domain::verdict::{self, Circumstances, Verdict};
use crate::domain::webhook::{Webhook, WebhookKey};

use super::Engine;
use super::admission::Admitted;
use super::origin::Origin;
use super::ports::{Request, Stopped};
use super::settlement::Made;

impl Engine {
    /// Makes the next attempt of `delivery`, or puts it off, and settles what comes of it. Returns
    /// once that is on record, with the place in the worker's budget, to be held until the message
    /// is acknowledged.
    pub(super) async fn attempt(
        &self,
        delivery: &Delivery,
        webhook: &Arc<Webhook>,
        origin: Origin<'_>,
    ) -> Result<Option<OwnedSemaphorePermit>, Stopped> {
        let key = WebhookKey {
            organization: delivery.event.organization.clone(),
            id: webhook.id.clone(),
        };
        let permit = match self.gatekeeper.admit(&key).await {
            Admitted::Go(permit) => permit,
            Admitted::Later(delay) => {
                self.put_off(delivery, webhook, delay, origin).await?;
                return Ok(None);
            }
        };
        let share = match origin {
            Origin::Event(..) => None,
            Origin::Message(_) => self.deliveries_share.acquire().await.ok(),
        };
        let place = self.place_in_budget().await?;
        if origin.receipt().is_void() {
            return Err(Stopped);
        }
        let started_at = self.settings.clock.now();
        let span = self.settings.chance.draw(delivery).span;
        let request = Request {
            url: webhook.url.clone(),
            headers: request::headers(webhook, delivery, started_at, span),
            body: delivery.event.body.clone(),
        };
        let reply = match self.ports.sender.send(request).await {
            Ok(reply) => reply,
            Err(fault) => {
                // Dropped, not ended: the receiver had no part in it.
                drop((permit, share, place));
                let delay = self.ports.faults.hit(fault);
                self.put_off(delivery, webhook, delay, origin).await?;
                return Ok(None);
            }
        };
        self.ports.faults.got_through();
        permit.ended(reply.duration);
        drop(share);
        self.counters.attempts.count();

        let now = self.settings.clock.now();
        let outcome = outcome::classify(&reply, now);
        let verdict = self.verdict(outcome, delivery, webhook, &key, now).await;
        let worker = &self.settings.worker;
        let record = Attempt::made(delivery, webhook, started_at, outcome, reply, worker);
        let made = Made {
            key,
            webhook,
            attempt: record,
        };
        self.settle_attempt(delivery, made, verdict, origin).await?;
        Ok(Some(place))
    }

    /// Waits for a place among the requests that this worker may have open; gives up when the
    /// worker is to begin nothing new.
    async fn place_in_budget(&self) -> Result<OwnedSemaphorePermit, Stopped> {
        tokio::select! {
            biased;
            () = self.stopping.cancelled() => Err(Stopped),
            place = self.budget.clone().acquire_owned() => place.map_err(|_| Stopped),
        }
    }

    async fn verdict(
        &self,
        outcome: Outcome,
        delivery: &Delivery,
        webhook: &Webhook,
        key: &WebhookKey,
        now: Timestamp,
    ) -> Verdict {
        let failing_for = if outcome.is_delivered() {
            self.ports.log.succeeded(key, now);
            std::time::Duration::ZERO
        } else {
            let since = self.ports.log.failing_since(key, now).await;
            now.duration_since(since).try_into().unwrap_or_default()
        };
        verdict::decide(
            outcome,
            &Circumstances {
                attempt: delivery.attempt,
                failing_for,
                retry: self.settings.retry.with(&webhook.retry),
                disable: self.settings.disable,
                steps: &self.settings.steps,
                random: self.settings.chance.draw(delivery).jitter,
            },
        )
    }
}
