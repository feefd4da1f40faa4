//! One deployment of the program: a namespace of its own, settings with short delays, and a worker.

use std::process::Output;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::support::deadline::eventually;
use crate::support::namespace::Namespace;
use crate::support::process::{self, Process};
use crate::support::servers::{amqp_url, redis_url};

use super::broker::Broker;

/// How long anything may take that is to happen at once, on a machine that is busy.
pub const SOON: Duration = Duration::from_secs(20);

/// What every deployment has unless it says otherwise: retries after 1 s and 2 s, three attempts,
/// and receivers on this machine.
const SETTINGS: [(&str, &str); 8] = [
    ("PRISM_RETRY_INITIAL", "1s"),
    ("PRISM_RETRY_MAX_DELAY", "2s"),
    ("PRISM_RETRY_MAX_ATTEMPTS", "3"),
    ("PRISM_DELAY_LONGEST", "4s"),
    ("PRISM_ALLOW_HTTP", "true"),
    ("PRISM_ALLOW_NETWORKS", "127.0.0.0/8"),
    ("PRISM_LOGGING_FORMAT", "json"),
    ("PRISM_WORKER_NAME", "the-worker"),
];

/// A deployment. Dropping it kills the worker and removes what was declared.
pub struct Deployment {
    // Dropped in this order: the queues go when nobody consumes them any more.
    worker: Option<Process>,
    settings: Vec<(String, String)>,
    namespace: Namespace,
}

impl Deployment {
    /// A deployment without a worker. A setting that is given replaces the usual one; an empty one
    /// leaves it out.
    pub fn new(hint: &str, settings: &[(&str, &str)]) -> Self {
        let namespace = Namespace::unique(hint);
        let own = [
            ("PRISM_NAMESPACE", namespace.as_str()),
            ("PRISM_AMQP_URL", amqp_url()),
            ("PRISM_REDIS_URL", redis_url()),
        ];
        let mut all: Vec<(String, String)> = Vec::new();
        for (name, value) in own.iter().chain(&SETTINGS).chain(settings) {
            all.retain(|(known, _)| known != name);
            all.push(((*name).to_owned(), (*value).to_owned()));
        }
        Self {
            worker: None,
            settings: all,
            namespace,
        }
    }

    /// A deployment whose worker delivers.
    pub async fn start(hint: &str, settings: &[(&str, &str)]) -> Self {
        let mut deployment = Self::new(hint, settings);
        deployment.start_worker().await;
        deployment
    }

    /// Starts the worker, and waits until it delivers.
    pub async fn start_worker(&mut self) {
        let mut worker = self.process(&["worker"]);
        worker.wait_for_line("is delivering", SOON).await;
        self.worker = Some(worker);
    }

    /// The running worker.
    pub fn worker(&mut self) -> &mut Process {
        self.worker.as_mut().expect("a worker was started")
    }

    /// Stops the worker as an operator does, and gives the line in which it says what it did.
    pub async fn stop_worker(&mut self) -> String {
        let worker = self.worker();
        worker.signal(process::Signal::TERM);
        let status = worker.wait_exit(SOON).await;
        assert!(status.success(), "{status}: {}", worker.stderr());
        let stdout = worker.stdout();
        let report = stdout.lines().find(|line| line.starts_with("stopped: "));
        report.expect("the worker reports").to_owned()
    }

    /// The namespace.
    pub fn namespace(&self) -> &Namespace {
        &self.namespace
    }

    /// The settings, as variables.
    pub fn variables(&self) -> Vec<(&str, &str)> {
        let pairs = self.settings.iter();
        pairs.map(|(name, value)| (&**name, &**value)).collect()
    }

    /// Starts a command that runs on.
    pub fn process(&self, arguments: &[&str]) -> Process {
        Process::start(arguments, &self.variables())
    }

    /// Runs a command to its end.
    pub fn run(&self, arguments: &[&str]) -> Output {
        process::run(arguments, &self.variables())
    }

    /// Runs a command that prints JSON.
    pub fn json(&self, arguments: &[&str]) -> Value {
        process::json(&self.run(arguments))
    }

    /// Runs a command that succeeds, and gives what it printed.
    pub fn text(&self, arguments: &[&str]) -> String {
        self.exits(arguments, 0).0
    }

    /// Runs a command that fails with this exit code, and gives what it printed to standard error.
    pub fn refused(&self, arguments: &[&str], code: i32) -> String {
        self.exits(arguments, code).1
    }

    /// Runs a command that ends with this exit code, and gives standard output and error.
    #[track_caller]
    pub fn exits(&self, arguments: &[&str], code: i32) -> (String, String) {
        let output = self.run(arguments);
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let (stdout, stderr) = (text(&output.stdout), text(&output.stderr));
        assert_eq!(
            output.status.code(),
            Some(code),
            "{arguments:?}\nstdout:\n{stdout}\nstderr:\n{stderr}"
        );
        (stdout, stderr)
    }

    /// Registers a webhook and gives its id.
    pub fn webhook(&self, name: &str, url: &str, arguments: &[&str]) -> String {
        let mut all = vec!["webhooks", "create", "--json", "--name", name, "--url", url];
        all.extend(arguments);
        string(&self.json(&all)["id"])
    }

    /// Publishes an event with the command and gives its id.
    pub fn publish(&self, arguments: &[&str]) -> String {
        let mut all = vec!["publish", "--json"];
        all.extend(arguments);
        string(&self.json(&all)["id"])
    }

    /// A connection of the test's own to the broker.
    pub async fn broker(&self) -> Broker {
        Broker::connect(self.namespace.as_str()).await
    }

    /// The attempts on record, oldest first; `arguments` choose which.
    pub fn attempts(&self, arguments: &[&str]) -> Vec<Value> {
        let mut all = vec!["attempts", "list", "--json", "--limit", "1000"];
        all.extend(arguments);
        let mut attempts = array(self.json(&all));
        attempts.reverse();
        attempts
    }

    /// Waits until so many attempts are on record and gives them, oldest first.
    pub async fn attempts_when(&self, count: usize, arguments: &[&str]) -> Vec<Value> {
        let what = format!("{count} attempts of {arguments:?}");
        eventually(SOON, &what, async || {
            let attempts = self.attempts(arguments);
            (attempts.len() >= count).then_some(attempts)
        })
        .await
    }

    /// The dead letters, oldest first; `arguments` choose which.
    pub fn dead_letters(&self, arguments: &[&str]) -> Vec<Value> {
        let mut all = vec!["dead-letters", "list", "--json"];
        all.extend(arguments);
        array(self.json(&all))
    }

    /// Waits until there are so many dead letters and gives them, oldest first.
    pub async fn dead_letters_when(&self, broker: &Broker, count: usize) -> Vec<Value> {
        let what = format!("{count} dead letters");
        eventually(SOON, &what, async || {
            // Counting is cheap; listing takes the letters out for a moment.
            let waiting = broker.depth("webhooks.dead-letters").await;
            (waiting as usize >= count).then_some(())
        })
        .await;
        let letters = self.dead_letters(&[]);
        assert_eq!(letters.len(), count, "{letters:#?}");
        letters
    }
}

/// The text in a JSON value. Panics with the value when it is none.
#[track_caller]
pub fn string(value: &Value) -> String {
    let text = value.as_str();
    text.unwrap_or_else(|| panic!("no text: {value}"))
        .to_owned()
}

/// The items of a JSON array.
#[track_caller]
pub fn array(value: Value) -> Vec<Value> {
    match value {
        Value::Array(items) => items,
        other => panic!("no array: {other}"),
    }
}

/// The values of one field, in order.
pub fn field(items: &[Value], name: &str) -> Vec<Value> {
    items.iter().map(|item| item[name].clone()).collect()
}

/// Asserts that something happened within `limit` after `since`.
#[track_caller]
pub fn assert_within(limit: Duration, since: Instant, what: &str) {
    let elapsed = since.elapsed();
    assert!(elapsed < limit, "{what} took {elapsed:?}");
}
