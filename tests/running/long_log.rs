//! A Delivery Log of 100,000 attempts opens at once.

use std::sync::Arc;
use std::time::{Duration, Instant};

use futures::{StreamExt as _, stream};
use jiff::Timestamp;
use prism_webhooks::domain::endpoint::EndpointRules;
use prism_webhooks::domain::ids::{EventId, Organization};
use prism_webhooks::embedded::database::Database;
use prism_webhooks::embedded::{Embedded, EmbeddedSettings};
use prism_webhooks::engine::clock::Clock;
use prism_webhooks::engine::ports::{Entry, LogWriter};
use prism_webhooks::redis::connection::Connection;
use prism_webhooks::redis::keys::Keys;
use prism_webhooks::redis::log_writer::RedisLogWriter;
use prism_webhooks::registry::documents::DocumentReader;
use prism_webhooks::registry::secrets::SecretCipher;
use prism_webhooks::store::audit::AuditKept;
use prism_webhooks::store::retention::DeliveryLogSettings;

use super::site::{Running, SOON, Site};
use crate::redis::kit::{attempt, new_webhook};
use crate::support::deadline::eventually;
use crate::support::namespace::Namespace;
use crate::support::servers::{amqp_url, redis_url};

const ATTEMPTS: usize = 100_000;

/// How long the server may take for a page.
const LIMIT: Duration = Duration::from_millis(100);

/// How often a page is asked for: other tests run at the same time, and the fastest answer tells
/// most of what the server takes itself.
const TIMES: usize = 11;

fn settings() -> DeliveryLogSettings {
    DeliveryLogSettings {
        attempts_kept: 2 * ATTEMPTS as u64,
        attempts_kept_per_webhook: 2 * ATTEMPTS as u64,
        ..DeliveryLogSettings::default()
    }
}

/// Puts as many attempts of the webhook on record.
async fn fill(log: &dyn LogWriter, webhook: &str) {
    let one = attempt("event", webhook);
    let entries = (0..ATTEMPTS).map(|number| {
        let mut one = one.clone();
        one.organization = Organization::default();
        one.event_id = EventId::new(&format!("event-{number}")).unwrap();
        log.write(Entry {
            attempt: Some(one),
            ..Entry::default()
        })
    });
    stream::iter(entries)
        .for_each_concurrent(2_000, |written| written)
        .await;
}

/// Opens a page as often as told, and says how long the fastest answer took, and what it was.
async fn open(running: &Running, path: &str) -> (Duration, String) {
    let (mut fastest, mut page) = (Duration::MAX, String::new());
    for _ in 0..TIMES {
        let begun = Instant::now();
        let answer = running.client.get(running.at(path)).send().await.unwrap();
        assert_eq!(answer.status(), 200, "{path}");
        page = answer.text().await.unwrap();
        fastest = fastest.min(begun.elapsed());
    }
    (fastest, page)
}

async fn opens_at_once(running: &Running, webhook: &str) {
    let log = format!("/webhooks/{webhook}/log");
    let row = "<tr role=\"row\" data-delivery";
    for (path, part, times) in [
        (log.clone(), row, 50),
        (format!("{log}?status=2"), row, 50),
        (format!("/webhooks/{webhook}"), "<dd>100000</dd>", 1),
        ("/webhooks".to_owned(), " of 100000</span>", 1),
    ] {
        let (took, page) = open(running, &path).await;
        println!("{path} of {ATTEMPTS} attempts: {took:?}");
        assert_eq!(page.matches(part).count(), times, "{path}: {page}");
        assert!(took < LIMIT, "{path} took {took:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn embedded_a_long_log_opens_at_once() {
    let directory = tempfile::tempdir().unwrap();
    let id = {
        let database = Arc::new(Database::open(directory.path()).unwrap());
        let reader =
            DocumentReader::new(SecretCipher::new(None), EndpointRules { allow_http: true });
        let settings = EmbeddedSettings {
            audit: AuditKept::default(),
            log: settings(),
            max_organizations: 100,
            prefetch: 1000,
            clock: Clock::system(),
        };
        let embedded = Embedded::start(database, reader, settings).unwrap();
        let new = new_webhook("ours");
        let webhooks = embedded.webhooks();
        let organization = Organization::default();
        let stored = webhooks.create(&organization, new, Timestamp::now());
        let id = stored.await.unwrap().document.id;
        let log = embedded.log();
        fill(&*log, &id).await;
        log.flush().await;
        id
    };
    // What it has in the background ends by itself.
    eventually(SOON, "the data is free", async || {
        Database::open(directory.path()).ok()
    })
    .await;
    let data = ("PRISM_DATA_DIR", directory.path().to_str().unwrap());
    let kept = ("PRISM_DELIVERY_LOG_ATTEMPTS_KEPT_PER_WEBHOOK", "200000");
    let running = Site::new(&[data, kept]).start().await;
    opens_at_once(&running, &id).await;
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn on_servers_a_long_log_opens_at_once() {
    let namespace = Namespace::unique("long-log");
    let site = Site::new(&[
        ("PRISM_NAMESPACE", namespace.as_str()),
        ("PRISM_AMQP_URL", amqp_url()),
        ("PRISM_REDIS_URL", redis_url()),
    ]);
    let running = site.start().await;
    let id = running.webhook("ours", "https://example.com/", None).await;
    let connection = Connection::open(redis_url()).unwrap();
    let log = RedisLogWriter::start(connection, Keys::new(namespace.as_str()), settings());
    fill(&log, &id).await;
    log.flush().await;
    opens_at_once(&running, &id).await;
    running.stop().await;
}
