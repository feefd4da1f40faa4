//! What is on record of a delivery.

use jiff::Timestamp;
use serde::Serialize;

use super::deployment::Deployment;
use crate::domain::attempt::Attempt;
use crate::domain::dead_letter::Reason;
use crate::domain::delivery::Delivery;
use crate::domain::delivery_state::DeliveryState;
use crate::domain::ids::{DeliveryId, Organization, WebhookId};
use crate::registry::webhooks::{Listed, WebhooksError};
use crate::store::delivery_log::{AttemptFilter, Recorded};
use crate::store::{Unavailable, search};

/// How many attempts of one delivery are shown at most: ten times what the longest policy makes.
const ATTEMPTS: usize = 1_000;

/// How many parts of the record are looked through for a delivery whose webhook nobody names: one
/// part takes up to a tenth of a second.
const PARTS: usize = 200;

/// What is on record of a delivery.
#[derive(Debug)]
pub struct Inspected {
    /// Its attempts, oldest first.
    pub attempts: Vec<Attempt>,
    /// The delivery itself; with its body if that is kept.
    pub recorded: Option<Recorded>,
}

/// What became of a delivery, for people and programs. The field names are those of the API.
#[derive(Debug, Serialize)]
pub struct Account {
    /// The delivery's id.
    pub id: DeliveryId,
    /// `waiting`, `delivered` or `dead`.
    pub state: &'static str,
    /// When the next attempt is due, of one that waits.
    pub next_attempt_at: Option<Timestamp>,
    /// Why it was given up, of one that is dead.
    pub reason: Option<Reason>,
    /// Whether its body is kept, so that it can be sent again.
    pub body_kept: bool,
    /// The body, if it is kept; bytes that are not UTF-8 are replaced.
    pub body: Option<String>,
    /// Its attempts, oldest first.
    pub attempts: Vec<Attempt>,
}

/// Why a delivery cannot be shown.
#[derive(Debug, thiserror::Error)]
pub enum InspectError {
    /// Nothing is on record of it.
    #[error(
        "nothing is on record of delivery {0} in this organization: it is not known, its attempts \
         have left the record, or its first attempt is still to come"
    )]
    Unknown(DeliveryId),
    /// There are too many attempts to look through.
    #[error(
        "delivery {0} was not found among the newest attempts of this organization, which has too \
         many to look through all: say which webhook it went to"
    )]
    Unfound(DeliveryId),
    /// The webhooks cannot be read.
    #[error(transparent)]
    Webhooks(#[from] WebhooksError),
    /// The store is away.
    #[error(transparent)]
    Unavailable(#[from] Unavailable),
}

impl Inspected {
    /// Returns what became of the delivery, if more than its attempts is on record.
    pub fn state(&self) -> Option<DeliveryState> {
        match self.recorded {
            Some(Recorded::Whole(_, state) | Recorded::WithoutBody(_, state)) => Some(state),
            _ => None,
        }
    }

    /// Returns the account of the delivery `id`, which this is the record of.
    pub fn account(self, id: &DeliveryId) -> Account {
        let state = self.state();
        let last = self.attempts.last();
        let delivered = last.is_some_and(Attempt::is_delivered);
        // An attempt is on record before what comes of it is.
        let next = last.and_then(|attempt| attempt.next_attempt_at);
        let body = self.kept().map(|delivery| &delivery.event.body);
        let body = body.map(|body| String::from_utf8_lossy(body).into_owned());
        Account {
            id: id.clone(),
            state: match state {
                Some(DeliveryState::Waiting(_)) => "waiting",
                Some(DeliveryState::Dead(_)) => "dead",
                Some(DeliveryState::Delivered) => "delivered",
                None if delivered => "delivered",
                None if next.is_some() => "waiting",
                None => "dead",
            },
            next_attempt_at: match state {
                Some(DeliveryState::Waiting(at)) => Some(at),
                Some(_) => None,
                None => next,
            },
            reason: match state {
                Some(DeliveryState::Dead(reason)) => Some(reason),
                _ => None,
            },
            body_kept: body.is_some(),
            body,
            attempts: self.attempts,
        }
    }

    /// The delivery with its body, if that is kept.
    pub fn kept(&self) -> Option<&Delivery> {
        match &self.recorded {
            Some(Recorded::Whole(delivery, _)) => Some(delivery),
            _ => None,
        }
    }
}

/// Reads the record of the delivery `id`. `webhook`, if it is known, spares the look through the
/// attempts of the organization's other webhooks.
pub async fn inspect(
    deployment: &Deployment,
    organization: &Organization,
    id: &DeliveryId,
    webhook: Option<&WebhookId>,
) -> Result<Inspected, InspectError> {
    let recorded = deployment.delivery_log.delivery(organization, id).await?;
    let known = match &recorded {
        Some(Recorded::Whole(delivery, _) | Recorded::WithoutBody(delivery, _)) => {
            Some(delivery.webhook.clone())
        }
        _ => webhook.cloned(),
    };
    let candidates = match known {
        Some(webhook) => vec![webhook],
        None => webhooks(deployment, organization).await?,
    };
    let mut parts = if candidates.len() == 1 {
        usize::MAX
    } else {
        PARTS
    };
    let mut attempts = Vec::new();
    for webhook in candidates {
        let filter = AttemptFilter {
            organization: Some(organization.clone()),
            webhook: Some(webhook),
            delivery: Some(id.clone()),
            ..AttemptFilter::default()
        };
        let found =
            search::newest(&*deployment.delivery_log, &filter, ATTEMPTS, &mut parts).await?;
        let Some(mut found) = found else {
            return Err(InspectError::Unfound(id.clone()));
        };
        found.attempts.reverse();
        attempts.extend(found.attempts.into_iter().map(|one| one.attempt));
        if !attempts.is_empty() {
            break;
        }
    }
    if attempts.is_empty()
        && !matches!(
            recorded,
            Some(Recorded::Whole(..) | Recorded::WithoutBody(..))
        )
    {
        return Err(InspectError::Unknown(id.clone()));
    }
    Ok(Inspected { attempts, recorded })
}

async fn webhooks(
    deployment: &Deployment,
    organization: &Organization,
) -> Result<Vec<WebhookId>, WebhooksError> {
    let listed = deployment.webhooks.list(organization).await?.into_iter();
    let ids = listed.filter_map(|one| match one {
        Listed::Valid(stored) => Some(stored.webhook.id),
        Listed::Invalid { id, .. } => WebhookId::new(&id).ok(),
    });
    Ok(ids.collect())
}
