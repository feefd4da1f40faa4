//! Whose deliveries are held back, where one process is the only worker: kept in memory, as what the
//! worker knows of receivers is.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use async_trait::async_trait;
use jiff::Timestamp;

use crate::domain::held_back::HeldBack;
use crate::domain::ids::{Organization, WebhookId};
use crate::domain::webhook::WebhookKey;
use crate::engine::ports::Board;

/// The board in memory: whose deliveries are held back, as the worker says.
#[derive(Debug, Default)]
pub struct EmbeddedBoard {
    said: Mutex<HashMap<WebhookKey, HeldBack>>,
}

impl EmbeddedBoard {
    /// Which of these webhooks' deliveries are held back at `now`.
    pub fn read(
        &self,
        organization: &Organization,
        webhooks: &[WebhookId],
        now: Timestamp,
    ) -> HashMap<WebhookId, HeldBack> {
        // The map is whole after every step, so a panic elsewhere spoils nothing.
        let said = self.said.lock().unwrap_or_else(PoisonError::into_inner);
        let held_back = webhooks.iter().filter_map(|id| {
            let key = WebhookKey {
                organization: organization.clone(),
                id: id.clone(),
            };
            let held = HeldBack::of_all(said.get(&key).copied(), now)?;
            Some((key.id, held))
        });
        held_back.collect()
    }
}

#[async_trait]
impl Board for EmbeddedBoard {
    async fn put_up(&self, said: Vec<(WebhookKey, Option<HeldBack>)>) {
        let mut known = self.said.lock().unwrap_or_else(PoisonError::into_inner);
        for (webhook, held) in said {
            match held {
                Some(held) => known.insert(webhook, held),
                None => known.remove(&webhook),
            };
        }
    }
}
