//! Receivers that asked to be left alone, where one process is the only worker: there is nobody to
//! tell but itself, after it was started again.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use async_trait::async_trait;
use rusqlite::{Connection, params};

use super::documents::registered;
use super::store::Store;
use super::writer::{WhenFull, Write};
use super::{millis, millis_of};
use crate::domain::admission::{Heard, Pause};
use crate::domain::ids::{Organization, WebhookId};
use crate::domain::webhook::WebhookKey;
use crate::engine::clock::Clock;
use crate::engine::ports::{Heed, Pauses};

/// The pauses in SQLite.
#[derive(Clone)]
pub struct EmbeddedPauses {
    store: Store,
    clock: Clock,
    heed: Arc<OnceLock<Heed>>,
}

impl EmbeddedPauses {
    pub(super) fn new(store: Store, clock: Clock) -> Self {
        Self {
            store,
            clock,
            heed: Arc::default(),
        }
    }

    /// Heeds what was told before of an organization's webhooks. Waits while that cannot be read.
    pub(super) async fn recall(&self, organization: &Organization) {
        let Some(heed) = self.heed.get() else {
            return;
        };
        let (own, now) = (organization.clone(), millis(self.clock.now()));
        let pauses = move |connection: &Connection| pauses(connection, &own, now);
        let found = self.store.read_retrying("pauses", pauses).await;
        found.into_iter().map(Heard::Recalled).for_each(heed);
    }
}

impl std::fmt::Debug for EmbeddedPauses {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut debug = formatter.debug_struct("EmbeddedPauses");
        debug.field("store", &self.store).finish_non_exhaustive()
    }
}

#[async_trait]
impl Pauses for EmbeddedPauses {
    fn listen(&self, heed: Heed) {
        // Called once; a second listener would hear nothing.
        self.heed.set(heed).ok();
    }

    async fn tell(&self, pause: Pause) {
        let now = millis(self.clock.now());
        let write = Write::new(WhenFull::WaitIfItHelps);
        let noting = self
            .store
            .submit(write, move |connection| note(connection, &pause, now));
        if let Err(error) = noting.await {
            tracing::debug!(%error, "that a receiver asks to be left alone is not remembered");
        }
    }
}

fn note(connection: &Connection, pause: &Pause, now: i64) -> rusqlite::Result<()> {
    let WebhookKey { organization, id } = &pause.webhook;
    let (organization, id) = (organization.as_str(), id.as_str());
    let endpoint = pause.endpoint.to_string();
    if pause.wait.is_zero() {
        let sql = "DELETE FROM pauses WHERE organization = ? AND webhook = ? AND endpoint = ?";
        connection.execute(sql, [organization, id, &endpoint])?;
    } else if registered(connection, &pause.webhook)? {
        let sql = "INSERT INTO pauses (organization, webhook, endpoint, expires_at) \
                   VALUES (?, ?, ?, ?) \
                   ON CONFLICT DO UPDATE SET expires_at = max(expires_at, excluded.expires_at)";
        let until = now.saturating_add(millis_of(pause.wait));
        connection.execute(sql, params![organization, id, endpoint, until])?;
    }
    Ok(())
}

fn pauses(
    connection: &Connection,
    organization: &Organization,
    now: i64,
) -> rusqlite::Result<Vec<Pause>> {
    let sql = "SELECT webhook, endpoint, expires_at FROM pauses \
               WHERE organization = ? AND expires_at > ?";
    let mut rows = connection.prepare_cached(sql)?;
    let rows = rows.query_map(params![organization.as_str(), now], |row| {
        let (webhook, endpoint): (String, String) = (row.get(0)?, row.get(1)?);
        Ok((webhook, endpoint, row.get(2)?))
    })?;
    let rows: Vec<(String, String, i64)> = rows.collect::<Result<_, _>>()?;
    let pauses = rows.into_iter().filter_map(|(webhook, endpoint, until)| {
        Some(Pause {
            webhook: WebhookKey {
                organization: organization.clone(),
                id: WebhookId::new(&webhook).ok()?,
            },
            endpoint: endpoint.parse().ok()?,
            wait: Duration::from_millis(u64::try_from(until - now).ok()?),
        })
    });
    Ok(pauses.collect())
}
