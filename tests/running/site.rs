//! One `run`, with its API and a client of it.

use std::path::Path;
use std::time::Duration;

use reqwest::{Client, Response, StatusCode};
use serde_json::{Value, json};

use crate::support::process::{self, Process, Signal};

/// How long anything may take that is to happen at once, on a machine that is busy.
pub const SOON: Duration = Duration::from_secs(30);

/// Retries after 1 s and 2 s, three attempts, and receivers on this machine.
const SETTINGS: [(&str, &str); 8] = [
    ("PRISM_LISTEN", "127.0.0.1:0"),
    ("PRISM_RETRY_INITIAL", "1s"),
    ("PRISM_RETRY_MAX_DELAY", "2s"),
    ("PRISM_RETRY_MAX_ATTEMPTS", "3"),
    ("PRISM_DELAY_LONGEST", "4s"),
    ("PRISM_ALLOW_HTTP", "true"),
    ("PRISM_ALLOW_NETWORKS", "127.0.0.0/8"),
    ("PRISM_LOGGING_LEVEL", "warn"),
];

/// Settings under which `run`s are started, and commands beside them.
#[derive(Clone)]
pub struct Site {
    settings: Vec<(String, String)>,
    pub client: Client,
}

impl Site {
    /// Settings of the caller's beside the usual ones.
    pub fn new(settings: &[(&str, &str)]) -> Self {
        prism_webhooks::http::install_crypto();
        let all = SETTINGS.iter().chain(settings);
        Self {
            settings: all
                .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
                .collect(),
            client: Client::builder().no_proxy().build().unwrap(),
        }
    }

    /// Embedded, with its data in `directory`.
    pub fn embedded(directory: &Path) -> Self {
        Self::new(&[("PRISM_DATA_DIR", directory.to_str().unwrap())])
    }

    pub fn variables(&self) -> Vec<(&str, &str)> {
        let pairs = self.settings.iter();
        pairs.map(|(name, value)| (&**name, &**value)).collect()
    }

    /// Starts `run`, and waits until it can take events.
    pub async fn start(&self) -> Running {
        self.start_with("run").await
    }

    /// Starts `run` or `api`, and waits until it can take events.
    pub async fn start_with(&self, command: &str) -> Running {
        self.started(Process::start(&[command], &self.variables()))
            .await
    }

    /// The same for a `run` that may have so many files open.
    pub async fn start_limited(&self, files: u64) -> Running {
        self.started(Process::start_limited(files, &["run"], &self.variables()))
            .await
    }

    /// Starts `run` or `api`, whether it can take events or not.
    pub async fn start_unready(&self, command: &str) -> Running {
        self.listening(Process::start(&[command], &self.variables()))
            .await
    }

    async fn started(&self, process: Process) -> Running {
        let running = self.listening(process).await;
        crate::support::deadline::eventually(SOON, "it can take events", async || {
            let answer = running.client.get(running.at("/readyz")).send().await;
            answer
                .is_ok_and(|answer| answer.status() == 200)
                .then_some(())
        })
        .await;
        running
    }

    async fn listening(&self, mut process: Process) -> Running {
        let line = process.wait_for_line("look at http://", SOON).await;
        let base = line.split("look at ").nth(1).unwrap();
        let base = base.trim().trim_end_matches('/').to_owned();
        Running {
            process,
            base,
            client: self.client.clone(),
        }
    }

    /// Runs a command that ends with this exit code, and gives standard output and error.
    #[track_caller]
    pub fn exits(&self, arguments: &[&str], code: i32) -> (String, String) {
        self.exits_with(arguments, "", code)
    }

    /// The same, with something on its standard input.
    #[track_caller]
    pub fn exits_with(&self, arguments: &[&str], input: &str, code: i32) -> (String, String) {
        let output = process::run_with(arguments, &self.variables(), input);
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let (stdout, stderr) = (text(&output.stdout), text(&output.stderr));
        let found = output.status.code();
        assert_eq!(found, Some(code), "{arguments:?}\n{stdout}\n{stderr}");
        (stdout, stderr)
    }

    /// Runs a command that prints a JSON array.
    #[track_caller]
    pub fn list(&self, arguments: &[&str]) -> Vec<Value> {
        let (stdout, _) = self.exits(arguments, 0);
        serde_json::from_str(&stdout).unwrap()
    }
}

/// A `run` that runs.
pub struct Running {
    pub process: Process,
    pub base: String,
    pub client: Client,
}

impl Running {
    pub fn at(&self, path: &str) -> String {
        format!("{}{path}", self.base)
    }

    /// Posts JSON and gives status and answer.
    pub async fn post(&self, path: &str, body: &Value) -> (StatusCode, Value) {
        let body = body.to_string();
        self.post_as("application/json", path, body, &[]).await
    }

    /// Posts a body of this media type and gives status and answer.
    pub async fn post_as(
        &self,
        media_type: &str,
        path: &str,
        body: impl Into<reqwest::Body>,
        headers: &[(&str, &str)],
    ) -> (StatusCode, Value) {
        let mut request = self.client.post(self.at(path)).body(body);
        request = request.header("content-type", media_type);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        answer(request.send().await.unwrap()).await
    }

    /// Registers a webhook over the API and gives its id.
    pub async fn webhook(&self, name: &str, url: &str, secret: Option<&str>) -> String {
        let body = json!({ "name": name, "url": url, "secret": secret });
        let (status, answer) = self.post("/api/v1/webhooks", &body).await;
        assert_eq!(status, 201, "{answer}");
        answer["id"].as_str().unwrap().to_owned()
    }

    /// Publishes an event over the API and gives its id.
    pub async fn publish(&self, body: &Value) -> String {
        let (status, answer) = self.post("/api/v1/events", body).await;
        assert_eq!(status, 202, "{answer}");
        answer["id"].as_str().unwrap().to_owned()
    }

    /// Stops it as an operator does, and gives the line in which it says what it did.
    pub async fn stop(mut self) -> String {
        self.process.signal(Signal::TERM);
        let status = self.process.wait_exit(SOON).await;
        assert!(status.success(), "{status}: {}", self.process.stderr());
        let stdout = self.process.stdout();
        let report = stdout.lines().find(|line| line.starts_with("stopped: "));
        report.expect("it reports").to_owned()
    }
}

/// Status and JSON of an answer.
pub async fn answer(response: Response) -> (StatusCode, Value) {
    let status = response.status();
    let text = response.text().await.unwrap();
    let json = serde_json::from_str(&text).unwrap_or(Value::String(text));
    (status, json)
}
