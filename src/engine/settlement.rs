//! Settling: first put a failed attempt on record, then hand over what is next and await the
//! confirm, then record what became of the delivery. Only then may the message be acknowledged,
//! which is its job's business.
//!
//! Why a failure is recorded before the hand-over: a worker that dies between the two leaves the
//! message unacknowledged, and what follows from it confirmed. If that comes first to another
//! worker, nobody makes the attempt again, and it would be missing from the record. What says that
//! the message is settled must come after, or the follow-up could be lost.

use std::borrow::Cow;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;

use crate::domain::admission::{Deferral, Why};
use crate::domain::attempt::Attempt;
use crate::domain::dead_letter::{Content, DeadLetter, Reason};
use crate::domain::delivery::Delivery;
use crate::domain::delivery_state::DeliveryState;
use crate::domain::own_fault::OwnFault;
use crate::domain::verdict::Verdict;
use crate::domain::webhook::{Webhook, WebhookKey};

use super::Engine;
use super::origin::Origin;
use super::ports::{DeliveryRecord, Entry, FollowUp, Keep, Receipt, Stopped};

/// An attempt that was made.
pub(super) struct FinishedAttempt<'a> {
    pub(super) key: WebhookKey,
    pub(super) webhook: &'a Arc<Webhook>,
    pub(super) attempt: Attempt,
}

impl Engine {
    /// Carries out `verdict` on the attempt made and puts both on record.
    pub(super) async fn settle_attempt(
        &self,
        delivery: &Delivery,
        mut made: FinishedAttempt<'_>,
        verdict: Verdict,
        origin: Origin<'_>,
    ) -> Result<(), Stopped> {
        let delivery = &*match verdict {
            Verdict::Settle if !self.keeps_success(origin) => Cow::Borrowed(delivery),
            _ => self.told_apart(delivery, origin).await,
        };
        made.attempt.delivery_id = delivery.id.clone();
        if let Verdict::Retry(wait) = &verdict {
            made.attempt.next_attempt_at = Some(self.due(wait.total()));
        }
        let failed = verdict != Verdict::Settle;
        if failed {
            let attempt = Some(made.attempt.clone());
            let entry = Entry {
                attempt,
                ..Entry::default()
            };
            self.ports.log.write(entry).await;
        }
        let state = self
            .carry_out(delivery, &made, verdict, origin.receipt())
            .await?;
        log_line(&made.attempt, state);
        match state {
            DeliveryState::Delivered => self.counters.delivered.count(),
            DeliveryState::Waiting(_) => self.counters.retried.count(),
            DeliveryState::Dead(_) => self.counters.dead.count(),
        }
        let failed_ever = failed || delivery.has_a_past();
        let entry = Entry {
            attempt: (!failed).then_some(made.attempt),
            ..self.entry(delivery, state, failed_ever, origin)
        };
        self.ports.log.write(entry).await;
        // Last: once it is disabled, an event that comes again no longer finds the webhook, and
        // what was not on record by then would never be.
        if let Verdict::Disable(cause) = verdict {
            self.disable(delivery, made.webhook, &made.key, cause)
                .await?;
        }
        Ok(())
    }

    /// Hands over what follows from the attempt made.
    async fn carry_out(
        &self,
        delivery: &Delivery,
        made: &FinishedAttempt<'_>,
        verdict: Verdict,
        receipt: &Receipt,
    ) -> Result<DeliveryState, Stopped> {
        match verdict {
            Verdict::Settle => Ok(DeliveryState::Delivered),
            Verdict::Retry(wait) => {
                let last = made.attempt.as_last();
                let next = delivery.retried(made.attempt.started_at, last, wait.rest);
                let follow_up = FollowUp::Delay(next, wait.step);
                self.hand_over(follow_up, receipt).await?;
                Ok(DeliveryState::Waiting(self.due(wait.total())))
            }
            Verdict::DeadLetter(reason) => {
                let detail = failure_detail(&made.attempt);
                self.dead_letter_after_attempt(delivery, &made.attempt, reason, detail, receipt)
                    .await?;
                Ok(DeliveryState::Dead(reason))
            }
            Verdict::Disable(cause) => {
                let reason = Reason::WebhookDisabled;
                self.dead_letter_after_attempt(
                    delivery,
                    &made.attempt,
                    reason,
                    cause.sentence(),
                    receipt,
                )
                .await?;
                Ok(DeliveryState::Dead(reason))
            }
        }
    }

    /// Whether a first success goes on record under its delivery's id, where its like may be.
    fn keeps_success(&self, origin: Origin<'_>) -> bool {
        match origin {
            Origin::Event(siblings, _) => {
                self.settings.keep_all_bodies && !siblings.know_their_record()
            }
            Origin::Message(_) => false,
        }
    }

    /// Puts a delivery off without an attempt.
    pub(super) async fn put_off(
        &self,
        delivery: &Delivery,
        deferral: Deferral,
        origin: Origin<'_>,
    ) -> Result<(), Stopped> {
        let delivery = &*self.told_apart(delivery, origin).await;
        let delay = deferral.delay.min(self.settings.steps.longest());
        let deferred = delivery.deferred(None);
        let follow_up = match deferral.why.is_of_a_line() {
            true => FollowUp::DeferInLine(deferred, delay),
            false => FollowUp::Defer(deferred, delay),
        };
        self.hand_over(follow_up, origin.receipt()).await?;
        tracing::debug!(
            delivery_id = %delivery.id,
            webhook_id = %delivery.webhook,
            ?delay,
            because = deferral.why.name(),
            "deferred"
        );
        self.counters.put_off(deferral.why);
        let state = DeliveryState::Waiting(self.due(delay));
        let failed = delivery.has_a_past();
        let entry = self.entry(&unsettled(delivery), state, failed, origin);
        if entry.mark.is_some() || entry.delivery.is_some() {
            self.ports.log.write(entry).await;
        }
        Ok(())
    }

    /// Puts a delivery off until this process, or another, has the key that opens its webhook.
    pub(super) async fn put_off_unopened(
        &self,
        delivery: &Delivery,
        origin: Origin<'_>,
    ) -> Result<(), Stopped> {
        let delay = self.ports.faults.hit(OwnFault::SecretKey);
        let deferral = Deferral {
            // What its receiver asked for holds as well.
            delay: delay.max(delivery.remaining_wait.unwrap_or_default()),
            why: Why::OwnFault,
            in_line: None,
        };
        self.put_off(delivery, deferral, origin).await
    }

    /// Keeps the rest of a wait that no single delay queue could keep.
    pub(super) async fn wait_on(
        &self,
        delivery: &Delivery,
        rest: Duration,
        receipt: &Receipt,
    ) -> Result<(), Stopped> {
        self.hand_over(
            FollowUp::DeferInLine(delivery.deferred(None), rest),
            receipt,
        )
        .await?;
        let state = DeliveryState::Waiting(self.due(rest));
        let record = self.delivery_record(&unsettled(delivery), state, delivery.has_a_past());
        self.ports
            .log
            .write(Entry {
                delivery: Some(record),
                ..Entry::default()
            })
            .await;
        Ok(())
    }

    /// Gives up a delivery that nobody wants any more, without an attempt.
    pub(super) async fn dead_letter_without_attempt(
        &self,
        delivery: &Delivery,
        reason: Reason,
        detail: String,
        receipt: &Receipt,
    ) -> Result<(), Stopped> {
        tracing::info!(
            delivery_id = %delivery.id, webhook_id = %delivery.webhook, %reason, detail, "given up"
        );
        // A dead letter counts the attempts made, and this one was only to be made.
        let given_up = Delivery {
            attempt: delivery.attempt.saturating_sub(1).max(1),
            ..delivery.clone()
        };
        self.dead_letter(given_up, reason, detail, receipt).await?;
        self.counters.dead.count();
        let record = self.delivery_record(delivery, DeliveryState::Dead(reason), true);
        self.ports
            .log
            .write(Entry {
                delivery: Some(record),
                ..Entry::default()
            })
            .await;
        Ok(())
    }

    /// Gives up a delivery after its last attempt.
    async fn dead_letter_after_attempt(
        &self,
        delivery: &Delivery,
        attempt: &Attempt,
        reason: Reason,
        detail: String,
        receipt: &Receipt,
    ) -> Result<(), Stopped> {
        let first_attempt_at = delivery.first_attempt_at.or(Some(attempt.started_at));
        let given_up = Delivery {
            last: Some(attempt.as_last()),
            first_attempt_at,
            ..delivery.clone()
        };
        self.dead_letter(given_up, reason, detail, receipt).await
    }

    async fn dead_letter(
        &self,
        given_up: Delivery,
        reason: Reason,
        detail: String,
        receipt: &Receipt,
    ) -> Result<(), Stopped> {
        let letter = DeadLetter {
            reason,
            detail,
            content: Content::Delivery(given_up),
        };
        self.hand_over(FollowUp::DeadLetter(letter), receipt).await
    }

    /// Hands over what follows from a message, unless that is handed out again meanwhile: then what
    /// follows is for whoever has it, and a second voice could say something else.
    pub(super) async fn hand_over(
        &self,
        follow_up: FollowUp,
        receipt: &Receipt,
    ) -> Result<(), Stopped> {
        tokio::select! {
            biased;
            () = receipt.voided() => Err(Stopped),
            confirmed = self.ports.handover.hand_over(follow_up) => confirmed,
        }
    }

    /// What goes on record with a settlement, apart from the attempt.
    fn entry(
        &self,
        delivery: &Delivery,
        state: DeliveryState,
        failed: bool,
        origin: Origin<'_>,
    ) -> Entry {
        let mark = match origin {
            Origin::Event(siblings, _) => siblings.settling(&delivery.webhook),
            Origin::Message(_) => None,
        };
        // A first attempt that went well leaves no record of the delivery: the hot path. Only where
        // there may be another message of it must that one know.
        let needed = failed || origin.may_have_copies();
        let keep = needed || self.settings.keep_all_bodies;
        let delivery = keep.then(|| self.delivery_record(delivery, state, failed));
        Entry {
            mark,
            delivery,
            ..Entry::default()
        }
    }

    fn delivery_record(
        &self,
        delivery: &Delivery,
        state: DeliveryState,
        failed: bool,
    ) -> DeliveryRecord {
        let whole = failed || self.settings.keep_all_bodies;
        let keep = if whole { Keep::Whole } else { Keep::Sequence };
        DeliveryRecord {
            delivery: delivery.clone(),
            state,
            keep,
        }
    }

    fn due(&self, wait: Duration) -> Timestamp {
        self.settings
            .clock
            .now()
            .checked_add(wait)
            .unwrap_or(Timestamp::MAX)
    }
}

/// What is on record of a delivery while it is put off: the attempt to come is not settled.
fn unsettled(delivery: &Delivery) -> Delivery {
    Delivery {
        sequence: delivery.sequence.saturating_sub(1),
        ..delivery.clone()
    }
}

/// Why the last attempt failed, in a sentence for the dead letter.
fn failure_detail(attempt: &Attempt) -> String {
    let number = attempt.attempt;
    match (&attempt.error, attempt.status_code) {
        (Some(error), _) => format!("attempt {number}, the last, failed: {error}"),
        (None, Some(status)) => format!("attempt {number}, the last, was answered with {status}"),
        (None, None) => format!("attempt {number} was the last"),
    }
}

/// The one wide line of an attempt: a success at debug, anything else at info.
fn log_line(attempt: &Attempt, state: DeliveryState) {
    macro_rules! line {
        ($level:ident) => {
            tracing::$level!(
                delivery_id = %attempt.delivery_id,
                event_id = %attempt.event_id,
                event_type = %attempt.event_type,
                organization = %attempt.organization,
                webhook_id = %attempt.webhook_id,
                attempt = attempt.attempt,
                trigger = %attempt.trigger,
                outcome = attempt.outcome,
                status_code = attempt.status_code,
                error = attempt.error,
                duration_ms = attempt.duration_ms(),
                next_attempt_at = attempt.next_attempt_at.map(tracing::field::display),
                "attempt"
            )
        };
    }
    if state == DeliveryState::Delivered {
        line!(debug);
    } else {
        line!(info);
    }
}
