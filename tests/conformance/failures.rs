//! Streaks of failures, which every store counts as the domain says.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use jiff::{SignedDuration, Timestamp};
use prism_webhooks::domain::outcome::{Reply, Response};
use prism_webhooks::domain::own_fault::OwnFault;
use prism_webhooks::domain::streak::Streak;
use prism_webhooks::engine::ports::{Request, Sender};
use prism_webhooks::operations::test::Tester;
use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};

use super::adapter::Adapter;
use crate::redis::kit::{at, new_webhook, organization, webhook_key};

pub async fn a_streak_of_failures_is_what_the_domain_says(adapter: &impl Adapter) {
    let key = adapter.registered("n").await;
    let log = adapter.log();
    let mut script = StdRng::seed_from_u64(7);
    let (mut now, mut streak, mut succeeded) = (0, None, None);
    for step in 0..200 {
        now += script.random_range(1..200_000);
        if script.random_ratio(1, 6) {
            log.succeeded(&key, at(now));
            adapter.flush().await;
            succeeded = Some(at(now));
            continue;
        }
        // Some clocks are behind.
        let noted = at(now - script.random_range(0..3) * 40_000);
        let silence = Duration::from_secs(script.random_range(0..300_000));
        let expected = Streak::after_failure(streak, succeeded, noted, silence);
        let found = log.failed(&key, noted, silence).await;
        assert_eq!(found, expected, "step {step}");
        streak = Some(found);
    }
}

/// A receiver that answers with this status.
struct Answers(u16);

#[async_trait]
impl Sender for Answers {
    async fn send(&self, _: Request) -> Result<Reply, OwnFault> {
        Ok(Reply {
            result: Ok(Response {
                status: self.0,
                ..Response::default()
            }),
            duration: Duration::ZERO,
            remote_addr: None,
        })
    }
}

pub async fn a_test_that_is_taken_ends_a_streak_of_failures(adapter: &impl Adapter) {
    let webhooks = adapter.webhooks();
    let created = webhooks
        .create(&organization(), new_webhook("n"), at(0))
        .await
        .unwrap();
    let key = webhook_key(&created.document.id);
    let log = adapter.log();
    let hour = SignedDuration::from_hours(1);
    let (before, after) = (Timestamp::now() - hour, Timestamp::now() + hour);
    log.failed(&key, before, Duration::MAX).await;
    for (status, since) in [(500, before), (200, after)] {
        let tester = Tester {
            sender: Arc::new(Answers(status)),
            faults: Arc::default(),
            log: adapter.log(),
            worker: "test".to_owned(),
        };
        // Whoever sends the test may end as soon as it is on record: nothing is flushed here.
        tester
            .test(&organization(), &created.webhook)
            .await
            .unwrap();
        let streak = log.failed(&key, after, Duration::MAX).await;
        let millis = streak.since.as_millisecond();
        assert_eq!(millis, since.as_millisecond(), "after {status}");
    }
}
