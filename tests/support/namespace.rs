//! A name of its own for each test, and the removal of all that was made under
//! it on the shared servers.

use super::servers::{amqp_url, redis_url};
use lapin::options::{ExchangeDeleteOptions, QueueDeleteOptions};
use lapin::{Channel, Connection, ConnectionProperties};
use prism_webhooks::rabbitmq::topology::{ObjectKind, Topology};
use std::fmt;
use std::sync::Mutex;
use std::time::Duration;

/// The longest delay queue that a test may have declared: 3 days.
const LONGEST_DELAY: Duration = Duration::from_secs(3 * 24 * 60 * 60);
/// How long the removal may take before it gives up.
const REMOVAL_LIMIT: Duration = Duration::from_secs(20);

/// A namespace that no other test has. Dropping it removes every key
/// `<ns>:*`, the exchange `<ns>.events`, the queues of the topology and those
/// named with [`queue`](Self::queue), whether the test passed or panicked.
#[derive(Debug)]
pub struct Namespace {
    name: String,
    queues: Mutex<Vec<String>>,
}

impl Namespace {
    /// `hint` says which test it was, should anything be left: `[a-z0-9-]`.
    pub fn unique(hint: &str) -> Self {
        assert!(
            hint.bytes()
                .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-'),
            "a namespace holds a-z, 0-9 and -, not {hint:?}"
        );
        // The random end of the id: what precedes it is the time.
        let id = uuid::Uuid::new_v4().simple().to_string();
        Self {
            name: format!("test-{hint}-{}", &id[..12]),
            queues: Mutex::default(),
        }
    }

    /// The namespace itself, for `PRISM_NAMESPACE`.
    pub fn as_str(&self) -> &str {
        &self.name
    }

    /// The name of a queue of the test's own, `<ns>.<name>`, removed with the rest.
    pub fn queue(&self, name: &str) -> String {
        let queue = format!("{}.{name}", self.name);
        self.queues
            .lock()
            .expect("no test panics in here")
            .push(queue.clone());
        queue
    }

    fn all_queues(&self) -> Vec<String> {
        let mut queues = self
            .queues
            .lock()
            .map(|own| own.clone())
            .unwrap_or_default();
        let objects = Topology::new(&self.name, [], LONGEST_DELAY).objects();
        let declared = objects
            .into_iter()
            .filter(|object| object.kind == ObjectKind::Queue);
        queues.extend(declared.map(|queue| queue.name));
        queues
    }
}

impl fmt::Display for Namespace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)
    }
}

impl Drop for Namespace {
    fn drop(&mut self) {
        let (name, queues) = (self.name.clone(), self.all_queues());
        // On a thread with a runtime of its own: the test's may be gone, busy or paused.
        let removal = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()?;
            runtime.block_on(async {
                tokio::time::timeout(REMOVAL_LIMIT, async {
                    remove_queues(&name, &queues).await?;
                    remove_keys(&name).await
                })
                .await?
            })
        });
        // Not a panic: this may run while one is under way.
        match removal.join() {
            Ok(Ok(())) => {}
            Ok(Err(error)) => eprintln!("namespace {self} was not removed: {error:#}"),
            Err(_) => eprintln!("namespace {self} was not removed: the removal panicked"),
        }
    }
}

async fn remove_queues(name: &str, queues: &[String]) -> anyhow::Result<()> {
    let connection = Connection::connect(amqp_url(), ConnectionProperties::default()).await?;
    let mut channel = connection.create_channel().await?;
    for queue in queues {
        let options = QueueDeleteOptions::default();
        if let Err(error) = channel.queue_delete(queue.as_str().into(), options).await {
            eprintln!("queue {queue} was not removed: {error}");
            // A refusal closes the channel.
            channel = reopen(&connection, channel).await?;
        }
    }
    channel
        .exchange_delete(
            format!("{name}.events").into(),
            ExchangeDeleteOptions::default(),
        )
        .await?;
    connection.close(200, "done".into()).await?;
    Ok(())
}

async fn reopen(connection: &Connection, channel: Channel) -> anyhow::Result<Channel> {
    if channel.status().connected() {
        return Ok(channel);
    }
    Ok(connection.create_channel().await?)
}

async fn remove_keys(name: &str) -> anyhow::Result<()> {
    let client = redis::Client::open(redis_url())?;
    let mut connection = client.get_multiplexed_async_connection().await?;
    let mut cursor = 0_u64;
    loop {
        let (next, keys): (u64, Vec<String>) = redis::cmd("SCAN")
            .arg(cursor)
            .arg("MATCH")
            .arg(format!("{name}:*"))
            .arg("COUNT")
            .arg(1000)
            .query_async(&mut connection)
            .await?;
        if !keys.is_empty() {
            redis::cmd("UNLINK")
                .arg(keys)
                .exec_async(&mut connection)
                .await?;
        }
        cursor = next;
        if cursor == 0 {
            return Ok(());
        }
    }
}
