//! The check at start: whether the settings have the keys that the webhooks are sealed with.
//!
//! A process without them could deliver nothing, or not to all. It says so at once, before it takes
//! anything. What is sealed with another key later, by a process with other settings, is found when
//! it is read: its deliveries are put off then, and no dead letter comes of it.

use std::ops::ControlFlow;
use std::time::Duration;

use tokio::time::Instant;

use crate::reconnect::Reconnect;
use crate::redis::error::StoreError;
use crate::registry::sweep::{Purpose, Tally};
use crate::registry::webhooks::Webhooks;

/// So long webhooks are looked at: a million and more where there are so many. Those left unseen are
/// found when they are read.
const WITHIN: Duration = Duration::from_secs(5);

/// Webhooks are sealed with keys that the settings do not have.
#[derive(Debug, thiserror::Error)]
#[error(
    "{count} of {looked_at} webhooks cannot be opened with {have}, so nothing was started: webhook \
     {id} of organization {organization}, for one: {problem}. `prism-webhooks secret-keys check` names \
     them. If the key is lost, delete these webhooks and register them anew"
)]
pub struct LacksKeys {
    count: u64,
    looked_at: u64,
    have: String,
    id: String,
    organization: String,
    problem: String,
}

/// Refuses to go on where webhooks need a key that the settings do not have. Waits for a store that
/// is away; one that does not let itself be looked through is taken as it is.
pub(super) async fn check(webhooks: &Webhooks) -> Result<(), LacksKeys> {
    let mut reconnect = Reconnect::new();
    let tally = loop {
        let until = Instant::now() + WITHIN;
        let mut report = |_: &Tally| match Instant::now() < until {
            true => ControlFlow::Continue(()),
            false => ControlFlow::Break(()),
        };
        match webhooks.sweep(Purpose::Look, &mut report).await {
            Ok(tally) => break tally,
            Err(error) => {
                let cause = error.cause().downcast_ref::<StoreError>();
                if !cause.is_some_and(StoreError::is_passing) {
                    tracing::warn!(
                        %error,
                        "whether the secret keys are the right ones could not be checked"
                    );
                    return Ok(());
                }
                tokio::time::sleep(reconnect.next_wait()).await;
            }
        }
    };
    let Some(first) = tally.unopened.iter().find(|one| one.for_want_of_key) else {
        return Ok(());
    };
    let ids: Vec<_> = webhooks.key_ids().iter().map(ToString::to_string).collect();
    Err(LacksKeys {
        count: tally.for_want_of_key,
        looked_at: tally.looked_at,
        have: match &ids[..] {
            [] => "no PRISM_SECRET_KEY".to_owned(),
            ids => format!("the keys of PRISM_SECRET_KEY ({})", ids.join(", ")),
        },
        id: first.id.clone(),
        organization: first.organization.to_string(),
        problem: first.problem.clone(),
    })
}
