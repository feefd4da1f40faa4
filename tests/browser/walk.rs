//! The walk of the gateway's documentation: create a webhook, have its receiver verify, read the
//! Delivery Log, retry. The receivers are those of `docs/receivers`, unchanged.

use std::io::Read as _;
use std::process::{Child, Command, Stdio};

use super::chrome::{Browser, SOON};
use super::site;
use crate::running::site::Running;
use crate::support::deadline::eventually;
use crate::support::private::ports::free_ports;

const SECRET: &str = "a-secret-of-theirs";

/// What helps when they do not start.
const INSTALLED: &str = "tests/run, with any filter, installs what the receivers need";

/// A receiver of the documentation, ended when it is dropped.
struct Documented {
    process: Child,
    port: u16,
}

impl Documented {
    /// Starts one on `port`, or a free one.
    async fn start(script: &str, port: Option<u16>) -> Self {
        let root = env!("CARGO_MANIFEST_DIR");
        let python = format!("{root}/target/tools/receivers/bin/python");
        // Its own even while it is away.
        let port = port.unwrap_or_else(|| free_ports::<1>()[0]);
        let process = Command::new(&python)
            .arg(format!("{root}/docs/receivers/{script}"))
            .env("PRISM_WEBHOOK_SECRET", SECRET)
            .env("PORT", port.to_string())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            // A few lines, which the pipe holds.
            .stderr(Stdio::piped())
            .spawn();
        let process = process.unwrap_or_else(|error| panic!("{python}: {error}; {INSTALLED}"));
        let mut receiver = Self { process, port };
        let answers = async || {
            receiver.must_run(script);
            let connected = tokio::net::TcpStream::connect(("127.0.0.1", port)).await;
            connected.is_ok().then_some(())
        };
        eventually(SOON, "the receiver listens", answers).await;
        receiver
    }

    fn url(&self) -> String {
        format!("http://127.0.0.1:{}/webhook", self.port)
    }

    /// Panics with what it said if it has ended.
    fn must_run(&mut self, script: &str) {
        let ended = self.process.try_wait().expect("it can be asked after");
        let Some(status) = ended else { return };
        let mut said = String::new();
        let mut stderr = self.process.stderr.take().expect("it is piped");
        stderr.read_to_string(&mut said).expect("it is text");
        panic!("{script} ended, {status}; {INSTALLED}; {said}");
    }

    /// Ends it, and gives the port that it had.
    fn stop(self) -> u16 {
        self.port
    }
}

impl Drop for Documented {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

const SETTINGS: &[(&str, &str)] = &[("PRISM_RETRY_MAX_ATTEMPTS", "1")];

#[tokio::test]
async fn embedded_the_walk_of_the_documentation_works() {
    let (_kept, running) = site::embedded(SETTINGS).await;
    the_walk_works(running, "fastapi_receiver.py").await;
}

#[tokio::test]
async fn on_servers_the_walk_of_the_documentation_works() {
    let (_kept, running) = site::on_servers("walk", SETTINGS).await;
    the_walk_works(running, "flask_receiver.py").await;
}

async fn the_walk_works(running: Running, script: &str) {
    let receiver = Documented::start(script, None).await;
    let browser = Browser::start(&running).await;
    // Gateway > Webhooks, + Create Webhook, fill in, Create.
    browser.open("/").await;
    browser.click("link", "Webhooks").await;
    browser.click("link", "+ Create Webhook").await;
    browser.fill("Name", "Documented").await;
    browser.fill("URL", &receiver.url()).await;
    browser.fill("Secret (optional)", SECRET).await;
    browser.click("checkbox", "request.completed").await;
    browser.click("button", "Create").await;
    browser.wait_for_text("The webhook is registered").await;
    // Its receiver verifies, and the Delivery Log says so.
    site::publish(&running).await;
    browser
        .wait_for_row(&[
            "request.completed",
            "delivered",
            "200",
            "{\"received\":true}",
        ])
        .await;
    let text = browser.text().await;
    for column in ["Timestamp", "HTTP status code", "Response body"] {
        assert!(text.contains(column), "{column}: {text}");
    }
    made_just_now(&browser).await;
    browser.click("button", "Send test").await;
    browser.wait_for_text("took the test event").await;
    // While it is away a delivery is given up, and sent again by hand once it is back.
    let port = receiver.stop();
    browser.click("link", "Delivery Log").await;
    site::publish(&running).await;
    browser.wait_for_row(&["connect failed", "given up"]).await;
    let receiver = Documented::start(script, Some(port)).await;
    browser.click("button", "Retry delivery …").await;
    browser
        .wait_for_row(&["request.completed", "delivered", "by hand"])
        .await;
    // With another secret it refuses what comes.
    browser.click("link", "Settings").await;
    browser.fill("New secret", "another").await;
    browser.click("button", "Rotate secret").await;
    browser.wait_for_text("The new secret is staged").await;
    browser.click("button", "Promote the new secret").await;
    browser.wait_for_text("Promoted.").await;
    browser.click("button", "Send test").await;
    browser.wait_for_text("did not take the test event").await;
    browser.wait_for_text("401").await;
    browser.click("link", "To the Delivery Log").await;
    browser.wait_for_row(&["test", "rejected", "401"]).await;
    site::publish(&running).await;
    browser
        .wait_for_row(&["request.completed", "rejected", "401", "given up"])
        .await;
    browser.close().await;
    drop(receiver);
    running.stop().await;
}

/// The log's newest attempt has a timestamp, of this moment and in the reader's own words.
async fn made_just_now(browser: &Browser) {
    let script = "const time = document.querySelector('tbody tr time');
                  return [Date.now() - new Date(time.dateTime), time.innerText]";
    let found = browser.script(script, vec![]).await;
    let age = found[0].as_f64().expect("a moment");
    assert!((-1e3..60e3).contains(&age), "{found}");
    assert!(!found[1].as_str().unwrap().contains("UTC"), "{found}");
}
