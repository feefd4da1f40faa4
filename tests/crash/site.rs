//! One deployment under test: a namespace on servers of the test's own, webhooks that lead to one
//! receiver, and workers.

use super::account::{Account, Promise};
use super::plan::MAX_ATTEMPTS;
use super::publisher::{Published, publish};
use crate::support::deadline::{eventually, eventually_ok};
use crate::support::process::{self, Process, Signal};
use crate::support::receiver::Receiver;
use lapin::options::QueueDeclareOptions;
use lapin::types::FieldTable;
use lapin::{Connection, ConnectionProperties};
use std::ops::Range;
use std::process::Output;
use std::time::{Duration, Instant};
use tokio::time::{MissedTickBehavior, interval};

/// How long everything may take to come to rest after the harm.
pub const REST_LIMIT: Duration = Duration::from_secs(120);
/// How long any single step may take.
pub const LIMIT: Duration = Duration::from_secs(60);
/// The requests that one worker may have in flight, quick and slow: what its death may repeat.
pub const MAX_IN_FLIGHT: usize = 64;
/// Those of them in the quick lane that one organization alone may have: seven eighths of 48.
pub const QUICK_OF_ONE: usize = 42;
/// A key to encrypt secrets with: without one each worker warns.
const SECRET_KEY: &str = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";
/// How often the servers are asked whether there is rest.
const ASK_EVERY: Duration = Duration::from_millis(200);
/// Nobody reads more warnings than this: a worker that repeats itself hides what matters.
const MOST_WARNINGS: usize = 40;

pub struct Site {
    namespace: String,
    amqp: String,
    redis: String,
    pub receiver: Receiver,
    /// The webhooks' names, as in their paths.
    webhooks: Vec<&'static str>,
    opened: Instant,
}

impl Site {
    /// Declares the topology on `amqp` and registers the webhooks, each under its name as path.
    pub fn open(
        name: &str,
        amqp: &str,
        redis: &str,
        receiver: Receiver,
        webhooks: &[&'static str],
    ) -> Self {
        let site = Self {
            namespace: name.to_owned(),
            amqp: amqp.to_owned(),
            redis: redis.to_owned(),
            receiver,
            webhooks: webhooks.to_vec(),
            opened: Instant::now(),
        };
        let applied = site.run(&["topology", "apply"]);
        assert!(applied.status.success(), "{applied:?}");
        for name in webhooks {
            let url = format!("{}/{name}", site.receiver.url());
            let create = [
                "webhooks", "create", "--json", "--name", name, "--url", &url,
            ];
            let created = process::json(&site.run(&create));
            assert_eq!(created["name"], *name);
        }
        site
    }

    /// Starts a worker and waits until it delivers.
    pub async fn worker(&self) -> Process {
        self.worker_through(&self.amqp).await
    }

    /// The same, with another way to the broker.
    pub async fn worker_through(&self, amqp: &str) -> Process {
        let mut worker = Process::start(&["worker"], &self.variables(amqp));
        worker.wait_for_line("is delivering", LIMIT).await;
        worker
    }

    /// As many workers as asked for.
    pub async fn workers(&self, count: usize) -> Vec<Process> {
        futures::future::join_all((0..count).map(|_| self.worker())).await
    }

    /// Publishes the events with these numbers in the background.
    pub fn publishing(&self, numbers: Range<u32>) -> tokio::task::JoinHandle<Published> {
        tokio::spawn(publish(self.amqp.clone(), self.namespace.clone(), numbers))
    }

    /// Publishes the events with these numbers; every one is confirmed.
    pub async fn publish(&self, numbers: Range<u32>) -> Published {
        let published = publish(self.amqp.clone(), self.namespace.clone(), numbers).await;
        assert!(published.doubtful.is_empty(), "{published:?}");
        published
    }

    /// Runs a command to its end.
    pub fn run(&self, arguments: &[&str]) -> Output {
        process::run(arguments, &self.variables(&self.amqp))
    }

    fn variables<'a>(&'a self, amqp: &'a str) -> Vec<(&'a str, &'a str)> {
        // In text, since a constant cannot be one without a macro.
        const {
            assert!(MAX_IN_FLIGHT == 48 + 16 && QUICK_OF_ONE == 48 * 7 / 8 && MAX_ATTEMPTS == 4);
        };
        vec![
            ("PRISM_AMQP_URL", amqp),
            ("PRISM_REDIS_URL", &self.redis),
            ("PRISM_NAMESPACE", &self.namespace),
            ("PRISM_SECRET_KEY", SECRET_KEY),
            ("PRISM_ALLOW_HTTP", "true"),
            ("PRISM_ALLOW_NETWORKS", "127.0.0.0/8"),
            ("PRISM_LOGGING_LEVEL", "info"),
            ("PRISM_LOGGING_FORMAT", "json"),
            ("PRISM_RETRY_INITIAL", "1s"),
            ("PRISM_RETRY_MAX_DELAY", "2s"),
            ("PRISM_RETRY_MAX_ATTEMPTS", "4"),
            ("PRISM_DELAY_LONGEST", "4s"),
            ("PRISM_WORKER_PREFETCH", "128"),
            ("PRISM_WORKER_MAX_IN_FLIGHT", "48"),
            ("PRISM_WORKER_MAX_SLOW", "16"),
            ("PRISM_WORKER_WEBHOOK_MAX_IN_FLIGHT", "48"),
            // Receivers fail as planned here, and are not to be left alone for it.
            ("PRISM_WORKER_BREAKER_AFTER", "0"),
        ]
    }

    // ------------------------------------------------------------------------------ the servers

    /// How many messages wait in a queue, by the end of its name. What a worker holds is not
    /// counted.
    pub async fn waiting(&self, queues: &[&str]) -> lapin::Result<Vec<u32>> {
        let connection = Connection::connect(&self.amqp, ConnectionProperties::default()).await?;
        let channel = connection.create_channel().await?;
        let mut waiting = Vec::new();
        for queue in queues {
            let name = format!("{}.webhooks.{queue}", self.namespace);
            let options = QueueDeclareOptions {
                passive: true,
                ..Default::default()
            };
            let table = FieldTable::default();
            let queue = channel.queue_declare(name.into(), options, table).await?;
            waiting.push(queue.message_count());
        }
        connection.close(200, "done".into()).await?;
        Ok(waiting)
    }

    /// Waits until at least so many messages wait in these queues together.
    pub async fn wait_for_waiting(&self, queues: &[&str], at_least: u32) {
        let what = format!("{at_least} messages wait in {queues:?}");
        eventually_ok(LIMIT, &what, async || {
            let waiting = self.waiting(queues).await.map_err(|e| e.to_string())?;
            match waiting.iter().sum::<u32>() >= at_least {
                true => Ok(()),
                false => Err(format!("{waiting:?}")),
            }
        })
        .await;
    }

    /// The number of attempts on record.
    pub async fn on_record(&self) -> ::redis::RedisResult<usize> {
        let mut connection = ::redis::Client::open(self.redis.as_str())?
            .get_multiplexed_async_connection()
            .await?;
        ::redis::cmd("XLEN")
            .arg(format!("{}:webhooks:attempts", self.namespace))
            .query_async(&mut connection)
            .await
    }

    /// Waits until a third of the deliveries of `events` events has arrived.
    pub async fn wait_for_a_third(&self, events: u32) {
        let third = events as usize * self.webhooks.len() / 3;
        self.receiver.wait_for(third, LIMIT).await;
    }

    // --------------------------------------------------------------------------------- the end

    /// Waits until every confirmed event is settled for every webhook and nothing is on its way;
    /// stops the workers, which must still be there; counts, prints, and holds it to `promise`.
    pub async fn close(
        self,
        test: &str,
        published: &Published,
        workers: Vec<Process>,
        promise: Promise,
    ) {
        let mut account = Account::new(&self.redis, &self.namespace, &self.webhooks);
        let mut last = String::new();
        // Not as often as it could: to ask takes a broker's time.
        let mut asking = interval(ASK_EVERY);
        asking.set_missed_tick_behavior(MissedTickBehavior::Delay);
        eventually_ok(REST_LIMIT, "everything has come to rest", async || {
            asking.tick().await;
            let state = self.state(&mut account, published).await;
            let resting = state.starts_with("at rest") && state == last;
            last.clone_from(&state);
            if resting {
                return Ok(());
            }
            Err(state)
        })
        .await;
        for mut worker in workers {
            stop(&mut worker).await;
            check_log(&worker.stderr());
        }
        let state = self.state(&mut account, published).await;
        assert_eq!(state, last, "stopping the workers changed something");
        account.count_requests(&self.receiver);
        account.count_letters(&process::json(&self.run(&[
            "dead-letters",
            "list",
            "--json",
            "--limit",
            "60000",
        ])));
        let seconds = self.opened.elapsed().as_secs();
        account.settle(test, seconds, published, promise);
    }

    /// What is still going on, in words; it begins with "at rest" if nothing is.
    async fn state(&self, account: &mut Account, published: &Published) -> String {
        // In the order in which messages move, so that one on its way is seen at least once.
        const QUEUES: [&str; 7] = [
            "delay.1s",
            "delay.2s",
            "delay.3s",
            "delay.4s",
            "deliveries",
            "events",
            "parts",
        ];
        let waiting = match self.waiting(&QUEUES).await {
            Ok(waiting) => waiting,
            Err(error) => return format!("the broker says {error}"),
        };
        if waiting.iter().any(|count| *count > 0) {
            return format!("waiting in {QUEUES:?}: {waiting:?}");
        }
        if let Err(error) = account.read_on().await {
            return format!("Redis says {error}");
        }
        match account.open(published) {
            0 => format!(
                "at rest: {} requests, {} open, {} on record",
                self.receiver.count(),
                self.receiver.open(),
                account.on_record()
            ),
            open => format!("{open} deliveries have no end on record"),
        }
    }
}

/// Ends a worker in good order.
pub async fn stop(worker: &mut Process) -> String {
    assert!(worker.is_running(), "a worker ended by itself");
    worker.signal(Signal::TERM);
    let status = worker.wait_exit(LIMIT).await;
    assert!(status.success(), "{status}");
    let said = worker.stdout();
    let report = said.lines().find(|line| line.starts_with("stopped: "));
    report
        .unwrap_or_else(|| panic!("no report in {said:?}"))
        .to_owned()
}

/// A worker's log has no errors, and does not repeat itself.
fn check_log(log: &str) {
    let level = |level: &str| {
        let part = format!("\"level\":\"{level}\"");
        log.lines().filter(move |line| line.contains(&part))
    };
    assert!(!log.contains("panicked"), "{log}");
    assert_eq!(level("ERROR").next(), None);
    let warnings: Vec<&str> = level("WARN").collect();
    assert!(warnings.len() <= MOST_WARNINGS, "{warnings:#?}");
}

/// Waits for what can only be asked for.
pub async fn until(what: &str, mut holds: impl AsyncFnMut() -> bool) {
    eventually(LIMIT, what, async || holds().await.then_some(())).await;
}
