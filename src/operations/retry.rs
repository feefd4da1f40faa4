//! Retrying a delivery by hand, from its record.

use super::audit;
use super::deployment::Deployment;
use crate::domain::audit::Actor;
use crate::domain::delivery::Delivery;
use crate::domain::delivery_state::DeliveryState;
use crate::domain::ids::{DeliveryId, Organization, WebhookId};
use crate::domain::webhook::State;
use crate::registry::webhooks::WebhooksError;
use crate::store::audit::enter;
use crate::store::delivery_log::Recorded;
use crate::store::{Unavailable, to_its_end};

/// Why a delivery is not retried.
#[derive(Debug, thiserror::Error)]
pub enum RetryError {
    /// Nothing is on record of it.
    #[error(
        "nothing of delivery {0} is kept that could be sent again: what failed is, for as long as \
         delivery_log.deliveries_kept says, and what never failed only with delivery_log.keep_bodies = \"all\""
    )]
    Unknown(DeliveryId),
    /// The receiver has it.
    #[error("delivery {0} was delivered; use force to send it again all the same")]
    Delivered(DeliveryId),
    /// Its body is gone.
    #[error(
        "the body of delivery {0} is not kept, so it cannot be sent again; with delivery_log.keep_bodies = \
         \"all\" bodies of deliveries that never failed are kept too"
    )]
    NoBody(DeliveryId),
    /// Its body had to make room.
    #[error(
        "the body of delivery {0} is no longer kept: newer ones of its organization took its place \
         (delivery_log.bodies_per_organization). If the delivery was given up, its dead letter has the body: \
         requeue that. If it waits for its next attempt, that is made all the same"
    )]
    Outgrown(DeliveryId),
    /// Its webhook takes nothing.
    #[error(
        "delivery {id} is not sent again: webhook {webhook} is disabled ({why}); enable it first"
    )]
    Disabled {
        /// The delivery.
        id: DeliveryId,
        /// Its webhook.
        webhook: WebhookId,
        /// Why that is disabled.
        why: String,
    },
    /// Its webhook is gone.
    #[error("delivery {id} is not sent again: its webhook {webhook} was deleted")]
    Deleted {
        /// The delivery.
        id: DeliveryId,
        /// Its webhook.
        webhook: WebhookId,
    },
    /// Another retry of it has not come to its end.
    #[error(
        "a retry of delivery {0} is under way already: what comes of it is in the Delivery Log; \
         another can be asked for once it has"
    )]
    UnderWay(DeliveryId),
    /// Its webhook cannot be looked up, or not be used.
    #[error(transparent)]
    Webhooks(WebhooksError),
    /// The store is away.
    #[error(transparent)]
    Unavailable(#[from] Unavailable),
}

/// Starts a delivery again from attempt 1, at once, if its webhook takes deliveries and no other retry
/// of it is under way. Any other copy of it, in a delay queue or among the dead letters, has the same
/// sequence: whichever is settled first counts, and the other is skipped when it comes.
pub async fn retry(
    deployment: &Deployment,
    actor: &Actor,
    organization: &Organization,
    id: &DeliveryId,
    force: bool,
) -> Result<(), RetryError> {
    let recorded = deployment.delivery_log.delivery(organization, id).await?;
    let again = decide(id, recorded, force)?;
    let webhook = ensure_wanted(deployment, &again).await?;
    // To its end, whoever waits for it: a claim that nothing comes of would stand in the way of others.
    let (deployment, actor) = (deployment.clone(), actor.clone());
    let handing = async move { hand_over(&deployment, &actor, again, &webhook).await };
    to_its_end(handing).await?
}

/// Claims the retry, enters it in the audit log, and hands it over.
async fn hand_over(
    deployment: &Deployment,
    actor: &Actor,
    again: Delivery,
    webhook: &str,
) -> Result<(), RetryError> {
    let (id, organization) = (again.id.clone(), again.event.organization.clone());
    // Once its attempt is on record, the next retry has a higher sequence, and a claim of its own.
    let log = &deployment.delivery_log;
    let sequence = again.sequence;
    if !log.claim_retry(&organization, &id, sequence).await? {
        return Err(RetryError::UnderWay(id));
    }
    // Entered first: a retry that nobody knows of would be worse than one that was asked for in vain.
    let entry = audit::retried(actor, &again, webhook);
    let enqueued = match enter(&*deployment.audit_log, &entry).await {
        Ok(()) => deployment.intake.enqueue(again).await,
        Err(error) => Err(error),
    };
    if enqueued.is_err() {
        // Perhaps it was: then its copy is skipped. If this fails too, the claim ends by itself.
        let _ = log.release_retry(&organization, &id, sequence).await;
    }
    Ok(enqueued?)
}

/// The name of a delivery's webhook. Refuses a delivery that nobody would take: it would only be given
/// up again.
async fn ensure_wanted(deployment: &Deployment, delivery: &Delivery) -> Result<String, RetryError> {
    let (id, webhook) = (delivery.id.clone(), delivery.webhook.clone());
    let organization = &delivery.event.organization;
    let found = deployment
        .webhooks
        .get(organization, webhook.as_str())
        .await;
    let stored = match found {
        // The reference may be another webhook's name.
        Ok(stored) if stored.webhook.id == webhook => stored,
        Ok(_) | Err(WebhooksError::NotFound { .. }) => {
            return Err(RetryError::Deleted { id, webhook });
        }
        Err(error) => return Err(RetryError::Webhooks(error)),
    };
    match stored.webhook.state {
        State::Enabled => Ok(stored.document.name),
        State::Disabled(why) => Err(RetryError::Disabled { id, webhook, why }),
    }
}

/// Decides what to send of a delivery with this record.
fn decide(
    id: &DeliveryId,
    recorded: Option<Recorded>,
    force: bool,
) -> Result<Delivery, RetryError> {
    match recorded {
        None => Err(RetryError::Unknown(id.clone())),
        Some(Recorded::Sequence(_)) => Err(RetryError::NoBody(id.clone())),
        Some(Recorded::Whole(_, DeliveryState::Delivered)) if !force => {
            Err(RetryError::Delivered(id.clone()))
        }
        Some(Recorded::Whole(delivery, _)) => Ok(delivery.requeued()),
        Some(Recorded::WithoutBody(_, DeliveryState::Delivered)) if !force => {
            Err(RetryError::Delivered(id.clone()))
        }
        Some(Recorded::WithoutBody(..)) => Err(RetryError::Outgrown(id.clone())),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use bytes::Bytes;

    use super::*;
    use crate::domain::dead_letter::Reason;
    use crate::domain::delivery::Trigger;
    use crate::domain::event::Event;
    use crate::domain::ids::{EventId, EventType, WebhookId};

    fn recorded(state: DeliveryState) -> Option<Recorded> {
        let event = Event {
            id: EventId::new("e").unwrap(),
            event_type: EventType::new("request.completed").unwrap(),
            organization: Organization::default(),
            traceparent: None,
            body: Bytes::from_static(b"{}"),
        };
        let delivery = Delivery::first(Arc::new(event), WebhookId::new("w").unwrap());
        Some(Recorded::Whole(Box::new(delivery), state))
    }

    #[test]
    fn what_failed_starts_again_under_the_number_that_every_other_copy_has() {
        let id = DeliveryId::new("d").unwrap();
        let dead = recorded(DeliveryState::Dead(Reason::AttemptsExhausted));
        let again = decide(&id, dead, false).unwrap();
        assert_eq!(
            (again.attempt, again.sequence, again.trigger),
            (1, 2, Trigger::Manual)
        );
    }

    #[test]
    fn what_was_delivered_takes_force_and_what_has_no_body_cannot_be_sent() {
        let id = DeliveryId::new("d").unwrap();
        let delivered = || recorded(DeliveryState::Delivered);
        assert!(matches!(
            decide(&id, delivered(), false),
            Err(RetryError::Delivered(_))
        ));
        assert!(decide(&id, delivered(), true).is_ok());
        let sequence = Some(Recorded::Sequence(3));
        assert!(matches!(
            decide(&id, sequence, true),
            Err(RetryError::NoBody(_))
        ));
        let Some(Recorded::Whole(delivery, state)) =
            recorded(DeliveryState::Dead(Reason::AttemptsExhausted))
        else {
            panic!("recorded whole");
        };
        let outgrown = decide(&id, Some(Recorded::WithoutBody(delivery, state)), true);
        let error = outgrown.unwrap_err();
        assert!(
            error.to_string().contains("its dead letter has the body"),
            "{error}"
        );
        assert!(matches!(
            decide(&id, None, true),
            Err(RetryError::Unknown(_))
        ));
    }
}
