//! A backlog of events for one webhook, made with the program's own commands.

use std::io::Write as _;
use std::process::{Command, Stdio};

use anyhow::{Context as _, ensure};
use lapin::options::{ExchangeDeleteOptions, QueueDeleteOptions};
use lapin::{Connection, ConnectionProperties};
use prism_webhooks::domain::delay::Steps;

use crate::{Servers, WORKER};

/// Few delay queues are declared: the bench delays nothing.
const LONGEST_DELAY: u64 = 1;

/// The event type of the backlog.
pub const EVENT_TYPE: &str = "request.completed";

/// The body of event number `n`, of about 500 bytes.
pub fn body(n: u64) -> String {
    format!(
        "{{\"event\":\"{EVENT_TYPE}\",\"request_id\":\"req_{n:09}\",\
         \"model\":\"gpt-4o\",\"resolved_model\":\"gpt-4o-2024-08-06\",\
         \"provider\":\"openai\",\"latency_ms\":812,\"input_tokens\":1204,\
         \"output_tokens\":311,\"total_tokens\":1515,\"status_code\":200,\
         \"is_error\":false,\"error_message\":null,\"cache_hit\":false,\
         \"guardrail_triggered\":false,\"cost\":0.004821,\"note\":\"{:x<160}\"}}",
        ""
    )
}

/// A namespace with its queues, one signed webhook and, later, events.
pub struct Backlog {
    namespace: String,
    servers: Servers,
}

impl Backlog {
    pub async fn create(servers: &Servers, endpoint: &str) -> anyhow::Result<Self> {
        let namespace = format!("bench-{}", uuid::Uuid::new_v4().simple());
        let backlog = Self {
            namespace,
            servers: servers.clone(),
        };
        backlog.run(&["topology", "apply"], None)?;
        let create = ["webhooks", "create", "--name", "bench", "--url", endpoint];
        backlog.run(
            &[create.as_slice(), &["--secret", "bench-secret"]].concat(),
            None,
        )?;
        Ok(backlog)
    }

    pub fn namespace(&self) -> &str {
        &self.namespace
    }

    /// Publishes `events` events.
    pub async fn publish(&self, events: u64) -> anyhow::Result<()> {
        let mut lines = String::new();
        for n in 0..events {
            lines.push_str(&body(n));
            lines.push('\n');
        }
        self.run(&["publish", "--file", "-"], Some(&lines))
    }

    /// Removes everything that the namespace holds.
    pub async fn remove(&self) -> anyhow::Result<()> {
        let broker =
            Connection::connect(&self.servers.amqp_url, ConnectionProperties::default()).await?;
        let channel = broker.create_channel().await?;
        let steps = Steps::up_to(std::time::Duration::from_secs(LONGEST_DELAY));
        let delays = steps
            .iter()
            .map(|step| format!("delay.{}s", step.as_secs()));
        let names = ["events", "deliveries", "dead-letters"].map(str::to_owned);
        for name in names.into_iter().chain(delays) {
            let queue = format!("{}.webhooks.{name}", self.namespace);
            channel
                .queue_delete(queue.into(), QueueDeleteOptions::default())
                .await?;
        }
        let exchange = format!("{}.events", self.namespace);
        channel
            .exchange_delete(exchange.into(), ExchangeDeleteOptions::default())
            .await?;
        broker.close(200, "done".into()).await?;

        let redis = redis::Client::open(self.servers.redis_url.as_str())?;
        let mut redis = redis.get_multiplexed_async_connection().await?;
        let pattern = format!("{}:*", self.namespace);
        let keys: Vec<String> = redis::cmd("KEYS")
            .arg(pattern)
            .query_async(&mut redis)
            .await?;
        if !keys.is_empty() {
            redis::cmd("UNLINK")
                .arg(keys)
                .query_async::<()>(&mut redis)
                .await?;
        }
        Ok(())
    }

    fn run(&self, arguments: &[&str], input: Option<&str>) -> anyhow::Result<()> {
        let mut command = Command::new(WORKER);
        command
            .args(arguments)
            .env("PRISM_AMQP_URL", &self.servers.amqp_url)
            .env("PRISM_REDIS_URL", &self.servers.redis_url)
            .env("PRISM_NAMESPACE", &self.namespace)
            .env("PRISM_ALLOW_HTTP", "true")
            .env("PRISM_ALLOW_NETWORKS", "127.0.0.0/8")
            .stdin(if input.is_some() {
                Stdio::piped()
            } else {
                Stdio::null()
            })
            .stdout(Stdio::null())
            .stderr(Stdio::inherit());
        self.short_delays(&mut command);
        let mut child = command.spawn().context("cannot start prism-webhooks")?;
        if let Some((mut stdin, input)) = child.stdin.take().zip(input) {
            stdin.write_all(input.as_bytes())?;
        }
        let status = child.wait()?;
        ensure!(
            status.success(),
            "prism-webhooks {arguments:?} ended with {status}"
        );
        Ok(())
    }

    /// Settings under which few delay queues exist.
    pub fn short_delays(&self, command: &mut Command) {
        command
            .env("PRISM_DELAY_LONGEST", format!("{LONGEST_DELAY}s"))
            .env("PRISM_RETRY_INITIAL", "1s")
            .env("PRISM_RETRY_MAX_DELAY", "1s");
    }
}
