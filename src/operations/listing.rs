//! The webhooks of an organization, a part at a time.

use super::deployment::Deployment;
use crate::domain::ids::{Organization, WebhookId};
use crate::registry::webhooks::{Listed, WebhooksError};

/// A part of an organization's webhooks.
#[derive(Debug)]
pub struct ListedPart {
    /// The webhooks, oldest id first, those that cannot be used included.
    pub webhooks: Vec<Listed>,
    /// The id that the next part begins behind; `None` if this is the last.
    pub next: Option<String>,
}

impl ListedPart {
    /// The ids of those that can be used.
    pub fn usable(&self) -> Vec<WebhookId> {
        let ids = self.webhooks.iter().filter_map(|one| match one {
            Listed::Valid(stored) => Some(stored.webhook.id.clone()),
            Listed::Invalid { .. } => None,
        });
        ids.collect()
    }
}

/// At most `most` of the webhooks behind the id `after`; everything is behind the empty one.
pub async fn part(
    deployment: &Deployment,
    organization: &Organization,
    after: &str,
    most: usize,
) -> Result<ListedPart, WebhooksError> {
    let all = deployment.webhooks.list(organization).await?;
    let mut rest = all.into_iter().filter(|one| id(one) > after);
    let webhooks: Vec<Listed> = rest.by_ref().take(most).collect();
    let last = webhooks.last().map(|one| id(one).to_owned());
    let next = last.filter(|_| rest.next().is_some());
    Ok(ListedPart { webhooks, next })
}

fn id(listed: &Listed) -> &str {
    match listed {
        Listed::Valid(stored) => &stored.document.id,
        Listed::Invalid { id, .. } => id,
    }
}
