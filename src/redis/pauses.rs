//! Receivers that asked to be left alone, told to the other workers by way of a channel.

use std::time::Duration;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use tokio::sync::{Mutex, mpsc};
use tokio_util::task::AbortOnDropHandle;
use uuid::Uuid;

use super::connection::Connection;
use super::keys::Keys;
use super::listener::Listener;
use crate::domain::admission::Pause;
use crate::domain::ids::{Organization, WebhookId};
use crate::domain::webhook::WebhookKey;
use crate::engine::ports::Pauses;

/// So many that were heard of may wait to be heeded; more are let go, and found out by asking.
const HEARD: usize = 10_000;

/// What workers tell each other, in Redis.
#[derive(Debug)]
pub struct RedisPauses {
    connection: Connection,
    channel: String,
    own: Uuid,
    heard: Mutex<mpsc::Receiver<Pause>>,
    _listener: AbortOnDropHandle<()>,
}

/// One pause, as it is told.
#[derive(Debug, Serialize, Deserialize)]
struct Told {
    /// Who tells: made at its start, since workers may share a name.
    by: Uuid,
    organization: String,
    webhook: String,
    endpoint: u64,
    /// From when it is heard. A duration: workers' clocks may differ.
    wait_ms: u64,
}

impl RedisPauses {
    /// Begins to listen, in the background, for one worker; must be called on a Tokio runtime.
    pub fn start(connection: Connection, keys: &Keys) -> Self {
        let (tell, heard) = mpsc::channel(HEARD);
        let own = Uuid::new_v4();
        let listener = Listener {
            connection: connection.clone(),
            channel: keys.pauses(),
            what: "receivers that ask to be left alone",
            begins: || {},
            hears: move |message: &[u8]| {
                if let Some(pause) = Told::read(message, own) {
                    // Full, or nobody listens any more.
                    tell.try_send(pause).ok();
                }
            },
        };
        Self {
            connection,
            channel: keys.pauses(),
            own,
            heard: Mutex::new(heard),
            _listener: listener.start(),
        }
    }
}

impl Told {
    /// `None` of what makes no sense, and of what this worker told itself.
    fn read(json: &[u8], own: Uuid) -> Option<Pause> {
        let told: Self = serde_json::from_slice(json).ok()?;
        let pause = Pause {
            webhook: WebhookKey {
                organization: Organization::new(&told.organization).ok()?,
                id: WebhookId::new(&told.webhook).ok()?,
            },
            endpoint: told.endpoint,
            wait: Duration::from_millis(told.wait_ms),
        };
        (told.by != own).then_some(pause)
    }
}

#[async_trait]
impl Pauses for RedisPauses {
    async fn tell(&self, pause: Pause) {
        let told = Told {
            by: self.own,
            organization: pause.webhook.organization.to_string(),
            webhook: pause.webhook.id.to_string(),
            endpoint: pause.endpoint,
            wait_ms: u64::try_from(pause.wait.as_millis()).unwrap_or(u64::MAX),
        };
        let Ok(json) = serde_json::to_string(&told) else {
            return;
        };
        let mut publish = redis::cmd("PUBLISH");
        publish.arg(&self.channel).arg(json);
        // No second try: the next request that the receiver refuses tells it as well.
        if let Err(error) = self.connection.call::<()>(&publish).await {
            let WebhookKey { organization, id } = &pause.webhook;
            tracing::debug!(
                %organization, webhook_id = %id, %error,
                "that a receiver asks to be left alone cannot be told to other workers"
            );
        }
    }

    async fn heard(&self) -> Pause {
        match self.heard.lock().await.recv().await {
            Some(pause) => pause,
            // The listener is gone, and so is the worker.
            None => std::future::pending().await,
        }
    }
}
