//! The events: many at once, or one after the other at a rate.

use std::time::Duration;

use bytes::Bytes;
use futures::StreamExt as _;
use futures::stream::FuturesUnordered;
use tokio::time::{Instant, MissedTickBehavior};

use crate::domain::event::{Header, RawEvent};
use crate::domain::ids::Organization;
use crate::rabbitmq::publisher::Publisher;
use crate::store::intake::{Intake, NotAccepted};

use super::clock;
use super::error::BenchError;

/// The event type of all of them.
pub const EVENT_TYPE: &str = "request.completed";

/// The text in a body before the time of the publish.
pub const PUBLISHED: &str = "\"published_ns\":";

/// Events in one go of a backlog.
const BATCH: u64 = 500;

/// Event number `n` of an organization, of about 500 bytes, as the gateway publishes it; the time
/// of its making is in the body.
pub fn event(n: u64, organization: &Organization) -> RawEvent {
    let body = format!(
        "{{\"event\":\"{EVENT_TYPE}\",\"request_id\":\"req_{n:09}\",\
         \"model\":\"gpt-4o\",\"resolved_model\":\"gpt-4o-2024-08-06\",\
         \"provider\":\"openai\",\"latency_ms\":812,\"input_tokens\":1204,\
         \"output_tokens\":311,\"total_tokens\":1515,\"status_code\":200,\
         \"is_error\":false,\"error_message\":null,\"cache_hit\":false,\
         \"guardrail_triggered\":false,\"cost\":0.004821,{PUBLISHED}{},\"note\":\"{:x<125}\"}}",
        clock::now(),
        ""
    );
    RawEvent {
        routing_key: EVENT_TYPE.to_owned(),
        message_id: Some(format!("event-{n}")),
        organization: Header::Text(organization.as_str().as_bytes().to_vec()),
        body: Bytes::from(body),
        ..RawEvent::default()
    }
}

/// Takes `count` events in, as fast as they are taken.
pub async fn backlog(
    intake: &dyn Intake,
    count: u64,
    make: impl Fn(u64) -> RawEvent,
) -> Result<(), NotAccepted> {
    for first in (0..count).step_by(usize::try_from(BATCH).unwrap_or(1)) {
        let events = (first..count.min(first + BATCH)).map(&make).collect();
        intake.accept(events).await?;
    }
    Ok(())
}

/// Publishes events `rate` times a second until `stop` is over, and gives how many. Each leaves at
/// its time, whether those before it are confirmed or not.
pub async fn paced(
    publisher: &Publisher,
    rate: f64,
    stop: impl Future<Output = ()>,
    make: impl Fn(u64) -> RawEvent,
) -> Result<u64, BenchError> {
    let mut ticks = tokio::time::interval(Duration::from_secs_f64(1.0 / rate));
    ticks.set_missed_tick_behavior(MissedTickBehavior::Burst);
    let mut stop = std::pin::pin!(stop);
    let mut unconfirmed = FuturesUnordered::new();
    let mut published = 0;
    loop {
        tokio::select! {
            biased;
            () = &mut stop => break,
            _ = ticks.tick() => {
                let event = make(published);
                published += 1;
                unconfirmed.push(async move { publisher.publish_event(&event).await });
            }
            Some(confirmed) = unconfirmed.next() => confirmed.map_err(NotAccepted::from)?,
        }
    }
    while let Some(confirmed) = unconfirmed.next().await {
        confirmed.map_err(NotAccepted::from)?;
    }
    Ok(published)
}

/// [`paced`] for so long: `rate` times the seconds of `period` events.
pub async fn paced_for(
    publisher: &Publisher,
    rate: f64,
    period: Duration,
    make: impl Fn(u64) -> RawEvent,
) -> Result<u64, BenchError> {
    let end = Instant::now() + period;
    paced(publisher, rate, tokio::time::sleep_until(end), make).await
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::app;
    use crate::config::Config;

    #[test]
    fn an_event_keeps_the_contract_and_has_the_size_of_the_gateways() {
        let event = event(7, &Organization::new("acme").unwrap());
        assert!(
            (450..550).contains(&event.body.len()),
            "{}",
            event.body.len()
        );
        let rules = app::event_rules(&Config::default());
        let taken = crate::domain::event::decode(&event, &rules);
        assert!(taken.is_ok(), "{taken:?}");
    }
}
