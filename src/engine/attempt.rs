//! One attempt: admit, sign, send, classify, decide. What cannot be sent by our own fault is none.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;

use crate::domain::admission::{Asked, Deferral, JobKind, Shown, Why};
use crate::domain::attempt::Attempt;
use crate::domain::delivery::{Delivery, Trigger};
use crate::domain::outcome::{self, FailureKind, Outcome};
use crate::domain::verdict::{self, Circumstances, Verdict};
use crate::domain::webhook::{Webhook, WebhookKey};
use crate::domain::{request, streak};

use super::Engine;
use super::admission::{Admitted, Place};
use super::asking::Asking;
use super::eligibility::Eligibility;
use super::origin::Origin;
use super::ports::{Request, Stopped};
use super::settlement::FinishedAttempt;

impl Engine {
    /// Asks admission for the next attempt of `delivery`.
    pub(super) fn ask(&self, delivery: &Delivery, webhook: &Webhook, kind: JobKind) -> Asking<'_> {
        self.limiter.ask(Asked {
            key: &key(delivery),
            url: &webhook.url,
            kind,
            by_hand: delivery.trigger == Trigger::Manual,
            rate: webhook.rate_limit,
        })
    }

    /// Makes the attempt of `delivery` that was asked for, or puts it off, and settles what comes of
    /// it. Returns once that is on record, with the place among the worker's requests, to be held
    /// until the message is acknowledged.
    pub(super) async fn attempt<'a>(
        &'a self,
        delivery: &Delivery,
        webhook: &Arc<Webhook>,
        asking: Asking<'a>,
        origin: Origin<'_>,
    ) -> Result<Option<Place>, Stopped> {
        let has_to_wait = asking.is_pending();
        // Boxed, so that one that only waits takes up little.
        match self.admitted(asking).await? {
            Admitted::Go(place) if has_to_wait => {
                Box::pin(self.make_if_wanted(delivery, place, origin)).await
            }
            Admitted::Go(place) => Box::pin(self.make(delivery, webhook, place, origin)).await,
            Admitted::Later(deferral) => {
                let deferral = self.placed(&key(delivery), deferral).await?;
                Box::pin(self.put_off(delivery, deferral, origin)).await?;
                Ok(None)
            }
        }
    }

    /// Makes an attempt that was admitted after a wait, as its webhook is now.
    async fn make_if_wanted(
        &self,
        delivery: &Delivery,
        place: Place,
        origin: Origin<'_>,
    ) -> Result<Option<Place>, Stopped> {
        match self.eligibility(delivery).await {
            Eligibility::Wanted(webhook) if place.is_for(&webhook.url) => {
                self.make(delivery, &webhook, place, origin).await
            }
            Eligibility::Wanted(webhook) => {
                // It had waited for another receiver.
                drop(place);
                let asking = self.ask(delivery, &webhook, origin.kind());
                self.attempt(delivery, &webhook, asking, origin).await
            }
            Eligibility::Unopened => {
                drop(place);
                self.put_off_unopened(delivery, origin).await?;
                Ok(None)
            }
            Eligibility::Over(reason, detail) => {
                drop(place);
                let delivery = self.told_apart(delivery, origin).await;
                self.dead_letter_without_attempt(&delivery, reason, detail, origin.receipt())
                    .await?;
                Ok(None)
            }
        }
    }

    /// Makes an attempt that was admitted.
    async fn make(
        &self,
        delivery: &Delivery,
        webhook: &Arc<Webhook>,
        place: Place,
        origin: Origin<'_>,
    ) -> Result<Option<Place>, Stopped> {
        if origin.receipt().is_void() {
            return Err(Stopped);
        }
        let started_at = self.settings.clock.now();
        let span = self.settings.random.draw(delivery).span;
        let request = Request {
            url: webhook.url.clone(),
            headers: request::headers(webhook, delivery, started_at, span),
            body: delivery.event.body.clone(),
        };
        let reply = match self.ports.sender.send(request).await {
            Ok(reply) => reply,
            Err(fault) => {
                // Dropped, not ended: the receiver had no part in it.
                drop(place);
                let delay = self.ports.faults.hit(fault);
                let deferral = Deferral {
                    delay,
                    why: Why::OwnFault,
                    in_line: None,
                };
                self.put_off(delivery, deferral, origin).await?;
                return Ok(None);
            }
        };
        self.ports.faults.got_through();
        self.counters.attempts.count();

        let key = key(delivery);
        let now = self.settings.clock.now();
        let outcome = outcome::classify(&reply, now);
        let longest = self.settings.steps.longest();
        place.ended(reply.duration, shown(outcome, longest));
        let verdict = self.verdict(outcome, delivery, webhook, &key, now).await;
        let worker = &self.settings.worker;
        let record = Attempt::made(
            delivery,
            webhook,
            (started_at, span),
            outcome,
            reply,
            worker,
        );
        let made = FinishedAttempt {
            key,
            webhook,
            attempt: record,
        };
        self.settle_attempt(delivery, made, verdict, origin).await?;
        Ok(Some(place))
    }

    /// Waits for the answer of admission; gives up when the worker is to begin nothing new.
    async fn admitted(&self, asking: Asking<'_>) -> Result<Admitted, Stopped> {
        tokio::select! {
            biased;
            () = self.stopping.cancelled() => Err(Stopped),
            admitted = asking.answer() => Ok(admitted),
        }
    }

    /// When a delivery that is put off comes back; gives up when the worker is to begin nothing new.
    async fn placed(&self, webhook: &WebhookKey, deferral: Deferral) -> Result<Deferral, Stopped> {
        let Some(in_line) = deferral.in_line else {
            return Ok(deferral);
        };
        let calendars = &*self.ports.calendars;
        tokio::select! {
            biased;
            () = self.stopping.cancelled() => Err(Stopped),
            delay = calendars.put_off(webhook, in_line, deferral.delay) => {
                let deferral = Deferral { delay, ..deferral };
                self.limiter.comes_back(webhook, deferral);
                Ok(deferral)
            }
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
        let disable = self.settings.disable;
        let failing = if outcome.is_delivered() {
            self.ports.log.succeeded(key, now);
            None
        } else {
            let longest = self.settings.steps.longest();
            let silence = streak::silence(delivery.attempt, disable.after, longest);
            Some(self.ports.log.failed(key, now, silence).await)
        };
        verdict::decide(
            outcome,
            &Circumstances {
                attempt: delivery.attempt,
                failing,
                retry: self.settings.retry.with(&webhook.retry),
                disable,
                steps: &self.settings.steps,
                random: self.settings.random.draw(delivery).jitter,
            },
        )
    }
}

fn key(delivery: &Delivery) -> WebhookKey {
    WebhookKey {
        organization: delivery.event.organization.clone(),
        id: delivery.webhook.clone(),
    }
}

/// What an attempt's outcome shows of what its receiver can take. No wish is honoured for longer
/// than the `longest` delay.
fn shown(outcome: Outcome, longest: Duration) -> Shown {
    match outcome {
        Outcome::Delivered => Shown::Delivered,
        Outcome::Throttled { wait: Some(wait) } => Shown::Asked(wait.min(longest)),
        Outcome::Failed(FailureKind::Timeout) => Shown::TimedOut,
        _ => Shown::Failed,
    }
}
