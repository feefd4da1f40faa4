//! One message of the deliveries queue, or of the parts: a retry, a deferral come due, a part of a large fan-out, a
//! requeue.

use crate::domain::dead_letter::Reason;
use crate::domain::delivery::Delivery;
use crate::domain::event::RawEvent;

use super::Engine;
use super::eligibility::Eligibility;
use super::origin::Origin;
use super::ports::{Receipt, Stopped};

impl Engine {
    pub(super) async fn delivery_job(
        &self,
        delivery: Delivery,
        receipt: Receipt,
    ) -> Result<(), Stopped> {
        let _alone = self.under_way.alone(&delivery.id).await;
        // A crash between a hand-over and its record publishes a message twice. Whichever copy is
        // settled first, the other is known by its sequence.
        let organization = &delivery.event.organization;
        let settled = self
            .ports
            .log
            .settled_sequence(organization, &delivery.id)
            .await;
        if settled >= delivery.sequence {
            self.counters.skipped.count();
            receipt.ack(None, None);
            return Ok(());
        }
        let place = match self.eligibility(&delivery).await {
            Eligibility::Over(reason, detail) => {
                self.dead_letter_without_attempt(&delivery, reason, detail, &receipt)
                    .await?;
                None
            }
            Eligibility::Unopened => {
                let origin = Origin::Message(&receipt);
                self.put_off_unopened(&delivery, origin).await?;
                None
            }
            Eligibility::Wanted(webhook) => match delivery.remaining_wait {
                Some(rest) => {
                    self.wait_on(&delivery, rest, &receipt).await?;
                    None
                }
                None => {
                    let origin = Origin::Message(&receipt);
                    let asking = self.ask(&delivery, &webhook, origin.kind());
                    self.attempt(&delivery, &webhook, asking, origin).await?
                }
            },
        };
        receipt.ack(None, place);
        Ok(())
    }

    pub(super) async fn refuse_delivery(
        &self,
        raw: RawEvent,
        problem: String,
        receipt: Receipt,
    ) -> Result<(), Stopped> {
        tracing::warn!(
            problem,
            "a message that is no delivery goes to the dead letters"
        );
        self.dead_letter_message(Reason::InvalidDelivery, raw, problem, receipt)
            .await
    }
}
