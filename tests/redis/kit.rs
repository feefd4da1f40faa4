//! What these tests share: a namespace of their own, a way to Redis that can be cut, and a Redis
//! that can be killed.

#![allow(
    clippy::unwrap_used,
    reason = "a helper that cannot help ends its test"
)]

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use prism_webhooks::domain::attempt::Attempt;
use prism_webhooks::domain::delivery::{Delivery, Trigger};
use prism_webhooks::domain::endpoint::EndpointRules;
use prism_webhooks::domain::event::Event;
use prism_webhooks::domain::ids::{EventId, Organization, WebhookId};
use prism_webhooks::domain::webhook::WebhookKey;
use prism_webhooks::engine::ports::{LogWriter, Subscriptions as _};
use prism_webhooks::redis::connection::Connection;
use prism_webhooks::redis::keys::Keys;
use prism_webhooks::redis::letters::RedisLetters;
use prism_webhooks::redis::pauses::RedisPauses;
use prism_webhooks::redis::subscriptions::{RedisSubscriptions, SubscriptionsSettings};
use prism_webhooks::redis::webhooks::webhooks;
use prism_webhooks::registry::documents::DocumentReader;
use prism_webhooks::registry::limits::Limits;
use prism_webhooks::registry::secrets::SecretCipher;
use prism_webhooks::registry::webhooks::{NewWebhook, Webhooks};
use prism_webhooks::store::audit::AuditKept;
use redis::FromRedisValue;
use tokio::net::TcpListener;
use tokio::process::{Child, Command};

use crate::support::deadline::{eventually, eventually_ok};
use crate::support::proxy::Proxy;
use crate::support::servers::redis_url;

/// How long what Redis and a worker do at once may take on a machine that is busy.
pub const SOON: Duration = Duration::from_secs(10);

/// How much may be registered in most tests.
pub const LIMITS: Limits = Limits {
    per_organization: 20,
    size: 4000,
};

/// How much of an audit log is kept in most tests.
pub const AUDIT: AuditKept = AuditKept {
    entries: 40,
    age: Duration::from_secs(365 * 86_400),
};

/// A namespace of a test's own, removed with everything in it at the end.
pub struct Space {
    url: String,
    pub keys: Keys,
    pub connection: Connection,
    namespace: String,
}

impl Space {
    pub fn new() -> Self {
        Self::at(redis_url())
    }

    pub fn at(url: &str) -> Self {
        let namespace = format!("test-{}", uuid::Uuid::now_v7().simple());
        Self {
            url: url.to_owned(),
            keys: Keys::new(&namespace),
            connection: Connection::open(url).unwrap(),
            namespace,
        }
    }

    /// Asks Redis directly, whatever the adapter does.
    pub async fn ask<T: FromRedisValue>(&self, words: &[&str]) -> T {
        let mut command = redis::cmd(words[0]);
        command.arg(&words[1..]);
        self.connection.call(&command).await.unwrap()
    }

    /// The index of the dead letters.
    pub fn letters(&self) -> Arc<RedisLetters> {
        Arc::new(RedisLetters::new(
            self.connection.clone(),
            self.keys.clone(),
        ))
    }

    pub fn webhooks(&self) -> Webhooks {
        self.webhooks_with(SecretCipher::new(None))
    }

    pub fn webhooks_with(&self, cipher: SecretCipher) -> Webhooks {
        let rules = EndpointRules { allow_http: true };
        let reader = DocumentReader::new(cipher, rules).limited(LIMITS);
        let (connection, keys) = (self.connection.clone(), self.keys.clone());
        webhooks(connection, keys, reader, AUDIT)
    }

    pub fn subscriptions(&self, connection: &Connection, max_age: Duration) -> RedisSubscriptions {
        self.subscriptions_and_pauses(connection, max_age).0
    }

    /// What a worker has of the webhooks and of those who asked to be left alone.
    pub fn subscriptions_and_pauses(
        &self,
        connection: &Connection,
        max_age: Duration,
    ) -> (RedisSubscriptions, Arc<RedisPauses>) {
        let pauses = RedisPauses::new(connection.clone(), self.keys.clone());
        let pauses = Arc::new(pauses);
        let settings = SubscriptionsSettings {
            max_organizations: 100,
            max_age,
            audit: AUDIT,
        };
        let subscriptions = RedisSubscriptions::start(
            connection.clone(),
            self.keys.clone(),
            DocumentReader::new(SecretCipher::new(None), EndpointRules { allow_http: true }),
            settings,
            pauses.clone(),
        );
        (subscriptions, pauses)
    }

    /// Registers webhooks under these ids, which are their names too.
    pub async fn register(&self, ids: &[&str]) {
        let key = self.keys.webhooks(&organization());
        for id in ids {
            self.ask::<()>(&["HSET", &key, id, &document(id)]).await;
        }
    }

    /// Waits until `count` workers are subscribed to changes.
    pub async fn listened_to_by(&self, count: u32) {
        self.listened_to(&self.keys.changed(), count).await;
    }

    /// Waits until `count` workers are subscribed to this channel.
    pub async fn listened_to(&self, channel: &str, count: u32) {
        eventually_ok(SOON, "workers are subscribed", async || {
            let (_, listeners): (String, u32) = self.ask(&["PUBSUB", "NUMSUB", channel]).await;
            match listeners == count {
                true => Ok(()),
                false => Err(format!("{listeners} of {count}")),
            }
        })
        .await;
    }

    /// Waits until `subscriptions` takes the notices that come.
    pub async fn heard_by(&self, subscriptions: &RedisSubscriptions) {
        self.listened_to_by(1).await;
        // What is forgotten at the beginning of the subscription could be taken for the effect of
        // the first notice, not of the second.
        for name in ["probe-1", "probe-2"] {
            let probe = Organization::new(name).unwrap();
            let before = subscriptions.webhooks(&probe).await;
            self.tell(name).await;
            eventually(SOON, "what was known is forgotten", async || {
                let now = subscriptions.webhooks(&probe).await;
                (!Arc::ptr_eq(&before, &now)).then_some(())
            })
            .await;
        }
    }

    /// Tells everybody that an organization's webhooks changed.
    pub async fn tell(&self, organization: &str) {
        let channel = self.keys.changed();
        self.ask::<()>(&["PUBLISH", &channel, organization]).await;
    }
}

impl Drop for Space {
    fn drop(&mut self) {
        let clean = || -> redis::RedisResult<()> {
            let mut connection = redis::Client::open(&*self.url)?.get_connection()?;
            let mut scan = redis::cmd("SCAN");
            scan.cursor_arg(0)
                .arg("MATCH")
                .arg(format!("{}:*", self.namespace));
            scan.arg("COUNT").arg(10_000);
            let keys = scan.iter::<String>(&mut connection)?;
            let keys: Vec<String> = keys.collect::<redis::RedisResult<_>>()?;
            for key in keys {
                redis::cmd("UNLINK").arg(key).exec(&mut connection)?;
            }
            Ok(())
        };
        // A Redis of the test's own may be gone already.
        let _ = clean();
    }
}

pub fn organization() -> Organization {
    Organization::new("acme").unwrap()
}

pub fn webhook_key(id: &str) -> WebhookKey {
    WebhookKey {
        organization: organization(),
        id: WebhookId::new(id).unwrap(),
    }
}

pub fn at(second: i64) -> Timestamp {
    Timestamp::from_second(1_780_000_000 + second).unwrap()
}

/// The document of a webhook with this id.
pub fn document(id: &str) -> String {
    format!(r#"{{"id":"{id}","name":"{id}","url":"https://example.com/hook"}}"#)
}

/// Notes a failure at `now`, whatever silence went before, and tells since when the webhook fails.
pub async fn failing_since(
    log: &(impl LogWriter + ?Sized),
    webhook: &WebhookKey,
    now: Timestamp,
) -> Timestamp {
    log.failed(webhook, now, Duration::MAX).await.since
}

pub fn new_webhook(name: &str) -> NewWebhook {
    NewWebhook {
        name: name.to_owned(),
        url: "https://example.com/hook".to_owned(),
        secret: None,
        description: None,
        events: Vec::new(),
        headers: Default::default(),
        retry: None,
        rate_limit: None,
    }
}

pub fn delivery(event: &str, webhook: &str) -> Delivery {
    let event = Event {
        id: EventId::new(event).unwrap(),
        event_type: "request.completed".parse().unwrap(),
        organization: organization(),
        traceparent: None,
        body: b"{\"event\":\"request.completed\",\"x\":\"\xc3\xa4\"}"[..].into(),
    };
    Delivery::first(Arc::new(event), WebhookId::new(webhook).unwrap())
}

pub fn attempt(event: &str, webhook: &str) -> Attempt {
    let delivery = delivery(event, webhook);
    Attempt {
        delivery_id: delivery.id,
        event_id: delivery.event.id.clone(),
        event_type: delivery.event.event_type.clone(),
        organization: organization(),
        webhook_id: delivery.webhook,
        url: "https://example.com/hook".to_owned(),
        attempt: 1,
        trigger: Trigger::Event,
        outcome: "delivered".to_owned(),
        status_code: Some(200),
        location: None,
        error: None,
        response_body: "ok".to_owned(),
        response_truncated: false,
        started_at: Timestamp::now(),
        duration: Duration::from_micros(12_345),
        remote_addr: Some("127.0.0.1:80".parse().unwrap()),
        next_attempt_at: None,
        worker: "test".to_owned(),
        version: Some("0.1.0".to_owned()),
        own_headers: Some(vec!["X-Team".to_owned()]),
        signed_by: Some(vec!["0123abcd".parse().unwrap()]),
        traceparent: None,
    }
}

/// A way to Redis that can be cut.
pub fn proxy() -> Proxy {
    Proxy::start(redis_url())
}

/// A connection by way of this proxy.
pub fn through(proxy: &Proxy) -> Connection {
    Connection::open(&proxy.url()).unwrap()
}

/// A Redis of the test's own, that keeps its data over a kill.
pub struct OwnRedis {
    directory: tempfile::TempDir,
    port: u16,
    process: Option<Child>,
}

impl OwnRedis {
    pub async fn start() -> Self {
        let free = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = free.local_addr().unwrap().port();
        drop(free);
        let mut own = Self {
            directory: tempfile::tempdir().unwrap(),
            port,
            process: None,
        };
        own.revive().await;
        own
    }

    pub fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }

    /// Kills it as a crash would.
    pub async fn kill(&mut self) {
        self.process.take().unwrap().kill().await.unwrap();
    }

    /// Starts it again with the data that it had.
    pub async fn revive(&mut self) {
        let child = Command::new("redis-server")
            .args(["--port", &self.port.to_string(), "--bind", "127.0.0.1"])
            .args([
                "--save",
                "",
                "--appendonly",
                "yes",
                "--appendfsync",
                "always",
            ])
            .args(["--logfile", "server.log"])
            .arg("--dir")
            .arg(self.directory.path())
            .stdout(std::process::Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        self.process = Some(child);
    }
}
