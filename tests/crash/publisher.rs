//! Publishes events as the gateway does, with confirms, and knows afterwards which of them the
//! broker answers for.

use futures::StreamExt;
use futures::stream::FuturesUnordered;
use lapin::options::{BasicPublishOptions, ConfirmSelectOptions};
use lapin::{BasicProperties, Channel, Confirmation, Connection, ConnectionProperties};
use std::collections::BTreeSet;
use std::ops::Range;
use std::time::Duration;
use tokio::time::{MissedTickBehavior, interval, timeout};

/// So many confirms are awaited at once.
const WINDOW: usize = 200;
/// How long a confirm, or a connection, may take before it counts as lost.
const LIMIT: Duration = Duration::from_secs(20);
/// How long to wait before connecting again.
const PAUSE: Duration = Duration::from_millis(100);
/// What is published.
const EVENT_TYPE: &str = "request.completed";

/// What became of events that were published.
#[derive(Debug, Default)]
pub struct Published {
    /// The broker confirmed these: none may be lost.
    pub confirmed: BTreeSet<String>,
    /// These were on their way when the connection died: the broker may have them or not.
    pub doubtful: BTreeSet<String>,
}

impl Published {
    pub fn and(mut self, more: Self) -> Self {
        self.confirmed.extend(more.confirmed);
        self.doubtful.extend(more.doubtful);
        self
    }
}

/// Publishes the events with these numbers, each once, connecting again for as long as the broker
/// is away.
pub async fn publish(url: String, namespace: String, numbers: Range<u32>) -> Published {
    let exchange = format!("{namespace}.events");
    let mut numbers = numbers.map(event_id);
    let mut published = Published::default();
    let mut tries = interval(PAUSE);
    tries.set_missed_tick_behavior(MissedTickBehavior::Delay);
    while numbers.len() > 0 {
        tries.tick().await;
        if let Ok(Ok((connection, channel))) = timeout(LIMIT, connect(&url)).await {
            publish_on(&channel, &exchange, &mut numbers, &mut published).await;
            // It may be the broker that is gone.
            let _closed = timeout(PAUSE, connection.close(200, "done".into())).await;
        }
    }
    published
}

/// The id of the event with this number.
pub fn event_id(number: u32) -> String {
    format!("event-{number:06}")
}

async fn connect(url: &str) -> lapin::Result<(Connection, Channel)> {
    let connection = Connection::connect(url, ConnectionProperties::default()).await?;
    let channel = connection.create_channel().await?;
    let confirms = ConfirmSelectOptions::default();
    channel.confirm_select(confirms).await?;
    Ok((connection, channel))
}

/// Publishes until there is nothing more or the connection fails.
async fn publish_on(
    channel: &Channel,
    exchange: &str,
    ids: &mut impl Iterator<Item = String>,
    published: &mut Published,
) {
    let mut confirms = FuturesUnordered::new();
    let mut works = true;
    loop {
        while works
            && confirms.len() < WINDOW
            && let Some(id) = ids.next()
        {
            let publishing = publish_one(channel, exchange, id);
            confirms.push(publishing);
        }
        let Some((id, confirmed)) = confirms.next().await else {
            return;
        };
        works &= confirmed;
        let fate = match confirmed {
            true => &mut published.confirmed,
            false => &mut published.doubtful,
        };
        fate.insert(id);
    }
}

async fn publish_one(channel: &Channel, exchange: &str, id: String) -> (String, bool) {
    let body = serde_json::json!({
        "event": EVENT_TYPE,
        "request_id": id,
        "model": "gpt-4o",
        "provider": "openai",
        "latency_ms": 812,
        "total_tokens": 1024,
        "status_code": 200,
        "cost": 0.0123,
    });
    let publishing = async {
        let properties = BasicProperties::default()
            .with_message_id(id.as_str().into())
            .with_delivery_mode(2);
        let options = BasicPublishOptions {
            mandatory: true,
            ..Default::default()
        };
        let (exchange, key) = (exchange.into(), EVENT_TYPE.into());
        let body = body.to_string();
        channel
            .basic_publish(exchange, key, options, body.as_bytes(), properties)
            .await?
            .await
    };
    let confirmation = timeout(LIMIT, publishing).await;
    let confirmed = matches!(confirmation, Ok(Ok(Confirmation::Ack(None))));
    (id, confirmed)
}
