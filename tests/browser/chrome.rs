//! A headless Chromium at the page of a `run`: opening, looking, and what it complains of.

use std::path::PathBuf;
use std::time::Duration;

use base64::Engine as _;
use fantoccini::wd::WebDriverCompatibleCommand;
use fantoccini::{Client, ClientBuilder};
use http::Method;
use hyper_util::client::legacy::connect::HttpConnector;
use serde_json::{Value, json};
use url::{ParseError, Url};

use super::driver::Driver;
use crate::running::site::Running;
use crate::support::deadline::eventually_ok;

/// How long anything may take that is to happen at once, on a machine that is busy.
pub const SOON: Duration = Duration::from_secs(30);

/// How long the page of a failed test may take to be kept.
const LAST_LOOK: Duration = Duration::from_secs(10);

/// No window, no sandbox (tests may run as root), and nothing asked of the network by itself.
const FLAGS: [&str; 11] = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-dev-shm-usage",
    "--hide-scrollbars",
    "--lang=en-US",
];

/// What browsers ask for by themselves, whether a page names it or not.
const UNASKED: &str = "/favicon.ico";

/// What can be read on a page.
const TEXT: &str = "return document.body.innerText";

/// The window at first.
const WINDOW: (u32, u32) = (1280, 900);

/// A browser. A test ends with [`close`](Self::close), which says what the browser complained of.
pub struct Browser {
    pub client: Client,
    base: String,
    session: String,
    forgiven: Vec<&'static str>,
    closed: bool,
    driver: Driver,
}

impl Browser {
    /// Starts one for the page of this `run`.
    pub async fn start(running: &Running) -> Self {
        let driver = Driver::start();
        let profile = format!("--user-data-dir={}", driver.profile());
        let flags: Vec<&str> = FLAGS.into_iter().chain([profile.as_str()]).collect();
        let wanted = json!({
            "goog:chromeOptions": { "args": flags },
            "goog:loggingPrefs": { "browser": "ALL" },
            "timeouts": { "implicit": 0, "pageLoad": 30_000, "script": 30_000 },
        });
        let Value::Object(wanted) = wanted else {
            unreachable!("it was written as an object")
        };
        let mut builder = ClientBuilder::new(HttpConnector::new());
        let client = builder.capabilities(wanted).connect(&driver.url()).await;
        let client = client.expect("a browser");
        let session = client.session_id().await.unwrap().unwrap();
        let browser = Self {
            client,
            base: running.base.clone(),
            session,
            forgiven: vec![UNASKED],
            closed: false,
            driver,
        };
        browser.set_window(WINDOW.0, WINDOW.1).await;
        browser
    }

    /// The directory that its processes are started with.
    pub fn profile(&self) -> String {
        self.driver.profile()
    }

    /// Opens a path of the page, as if it were typed into the address bar.
    pub async fn open(&self, path: &str) {
        let url = format!("{}{path}", self.base);
        self.client.goto(&url).await.expect("the page loads");
    }

    /// The path that it is at, with its query.
    pub async fn path(&self) -> String {
        let url = self.client.current_url().await.unwrap();
        url.as_str()
            .strip_prefix(&self.base)
            .unwrap_or_else(|| panic!("{url} is elsewhere"))
            .to_owned()
    }

    /// Waits until it is at this path.
    pub async fn wait_for_path(&self, path: &str) {
        let what = format!("the browser is at {path}");
        eventually_ok(SOON, &what, async || {
            let now = self.path().await;
            if now == path { Ok(()) } else { Err(now) }
        })
        .await;
    }

    /// Runs a script in the page. Its policy does not hold there: it is the test that asks.
    pub async fn script(&self, script: &str, arguments: Vec<Value>) -> Value {
        let result = self.try_script(script, arguments).await;
        result.unwrap_or_else(|error| panic!("{script}: {error}"))
    }

    /// The same while the page may change under it.
    async fn try_script(&self, script: &str, arguments: Vec<Value>) -> Result<Value, String> {
        let result = self.client.execute(script, arguments).await;
        result.map_err(|error| error.to_string())
    }

    /// What can be read on the page.
    pub async fn text(&self) -> String {
        let text = self.script(TEXT, vec![]).await;
        text.as_str().unwrap_or_default().to_owned()
    }

    /// The text of the one preformatted part with this label, every blank of it.
    pub async fn preformatted(&self, label: &str) -> String {
        let script = "return [...document.querySelectorAll('pre')]
            .filter((pre) => pre.ariaLabel === arguments[0]).map((pre) => pre.textContent)";
        let found = self.script(script, vec![label.into()]).await;
        let found: Vec<String> = serde_json::from_value(found).expect("a list of texts");
        assert_eq!(found.len(), 1, "{label}: {found:?}");
        found.concat()
    }

    /// Waits until this can be read on the page.
    pub async fn wait_for_text(&self, part: &str) {
        let what = format!("the page says {part:?}");
        eventually_ok(SOON, &what, async || {
            let text = self.try_script(TEXT, vec![]).await?;
            let text = text.as_str().unwrap_or_default();
            if text.contains(part) {
                Ok(())
            } else {
                Err(text.to_owned())
            }
        })
        .await;
    }

    /// Waits for a row of a table with all of these in it.
    pub async fn wait_for_row(&self, parts: &[&str]) {
        let what = format!("a row with {parts:?}");
        let script =
            "return [...document.querySelectorAll('tbody tr')].map((row) => row.innerText)";
        eventually_ok(SOON, &what, async || {
            let rows = self.try_script(script, vec![]).await?;
            let rows: Vec<String> = serde_json::from_value(rows).unwrap_or_default();
            let found = |row: &String| parts.iter().all(|part| row.contains(part));
            if rows.iter().any(found) {
                Ok(())
            } else {
                Err(format!("{rows:#?}"))
            }
        })
        .await;
    }

    /// Gives the page exactly this much room, less than a window could have included.
    pub async fn set_window(&self, width: u32, height: u32) {
        let size =
            json!({"width": width, "height": height, "deviceScaleFactor": 1, "mobile": false});
        self.devtools("Emulation.setDeviceMetricsOverride", size)
            .await;
    }

    /// What makes the page scroll sideways: the elements that reach beyond it, outermost first.
    pub async fn beyond_the_window(&self) -> Vec<String> {
        let script = "const root = document.documentElement;
            if (root.scrollWidth <= window.innerWidth) return [];
            const scrolls = (e) => e && e !== root &&
                (getComputedStyle(e).overflowX !== 'visible' || scrolls(e.parentElement));
            const beyond = [...document.body.querySelectorAll('*')]
                .filter((e) => e.getBoundingClientRect().right > window.innerWidth)
                .filter((e) => !scrolls(e.parentElement))
                .map((e) => e.cloneNode(false).outerHTML);
            // A text may reach further than its element.
            return beyond.length > 0 ? beyond : [`${root.scrollWidth} pixels of text`];";
        let found = self.script(script, vec![]).await;
        serde_json::from_value(found).expect("a list of elements")
    }

    /// The reader prefers a dark page, or a light one, and nothing that moves. Returns when nothing
    /// moves any more.
    pub async fn prefer_dark(&self, dark: bool) {
        let scheme = if dark { "dark" } else { "light" };
        let features = json!({"features": [
            {"name": "prefers-color-scheme", "value": scheme},
            {"name": "prefers-reduced-motion", "value": "reduce"},
        ]});
        self.devtools("Emulation.setEmulatedMedia", features).await;
        let still = "return Promise.allSettled(document.getAnimations()
                         .filter((one) => one.effect.getComputedTiming().endTime !== Infinity)
                         .map((one) => one.finished)).then(() => true)";
        self.script(still, vec![]).await;
    }

    /// Keeps the whole page as target/screenshots/NAME.png.
    pub async fn screenshot(&self, name: &str) {
        let metrics = self.devtools("Page.getLayoutMetrics", json!({})).await;
        let size = &metrics["cssContentSize"];
        let clip =
            json!({"x": 0, "y": 0, "scale": 1, "width": size["width"], "height": size["height"]});
        let options = json!({"format": "png", "captureBeyondViewport": true, "clip": clip});
        let image = self.devtools("Page.captureScreenshot", options).await;
        keep(name, image["data"].as_str().expect("an image"));
    }

    /// From now on it may complain of what contains this: a refusal that the test asks for.
    pub fn forgive(&mut self, part: &'static str) {
        self.forgiven.push(part);
    }

    /// The errors in its console since this was last asked: scripts that failed, files that were
    /// missing, and whatever the content security policy refused.
    pub async fn complaints(&self) -> Vec<String> {
        let entries = Command::new(Method::POST, "se/log", json!({"type": "browser"}));
        let entries = self.client.issue_cmd(entries).await.expect("its console");
        let entries = entries.as_array().cloned().unwrap_or_default();
        entries
            .iter()
            .filter(|entry| entry["level"] == "SEVERE")
            .map(|entry| entry["message"].as_str().unwrap_or_default().to_owned())
            .filter(|message| !self.forgiven.iter().any(|part| message.contains(part)))
            .collect()
    }

    /// Ends it. Panics if it complained of anything.
    pub async fn close(mut self) {
        let complaints = self.complaints().await;
        assert!(complaints.is_empty(), "the console says: {complaints:#?}");
        self.closed = true;
        self.client.clone().close().await.expect("it closes");
    }

    /// Kills it in the middle of what it does, as a test that fails does.
    pub fn kill(mut self) {
        self.closed = true;
        self.driver.kill();
    }

    /// Asks Chromium's own protocol.
    pub async fn devtools(&self, command: &str, parameters: Value) -> Value {
        let body = json!({"cmd": command, "params": parameters});
        let asked = Command::new(Method::POST, "goog/cdp/execute", body);
        let answer = self.client.issue_cmd(asked).await;
        answer.unwrap_or_else(|error| panic!("{command}: {error}"))
    }

    /// Keeps what a failed test saw. On a thread with a runtime of its own: the test's is ending.
    fn keep_last_look(&self) {
        let url = format!("{}/session/{}/screenshot", self.driver.url(), self.session);
        let test = std::thread::current().name().unwrap_or("test").to_owned();
        let look = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()?;
            runtime.block_on(async {
                let client = reqwest::Client::builder().no_proxy().timeout(LAST_LOOK);
                let answer = client.build()?.get(url).send().await?.text().await?;
                anyhow::Ok(serde_json::from_str::<Value>(&answer)?)
            })
        });
        if let Ok(Ok(answer)) = look.join()
            && let Some(image) = answer["value"].as_str()
        {
            let place = keep(&format!("FAILED-{}", test.replace("::", "-")), image);
            eprintln!("what the browser showed: {}", place.display());
        }
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.keep_last_look();
        } else {
            assert!(self.closed, "a test of the page ends with close()");
        }
    }
}

/// Writes an image, and says where.
fn keep(name: &str, base64: &str) -> PathBuf {
    let directory = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/target/screenshots"));
    let image = base64::engine::general_purpose::STANDARD.decode(base64);
    let place = directory.join(format!("{name}.png"));
    let written = std::fs::create_dir_all(&directory)
        .and_then(|()| std::fs::write(&place, image.unwrap_or_default()));
    if let Err(error) = written {
        eprintln!("{} was not written: {error}", place.display());
    }
    place
}

/// A command of WebDriver, or of Chromium's driver, that the client has no name for.
#[derive(Debug)]
pub struct Command {
    method: Method,
    path: String,
    body: Option<String>,
}

impl Command {
    /// One that sends something.
    pub fn new(method: Method, path: &str, body: Value) -> Self {
        Self {
            method,
            path: path.to_owned(),
            body: Some(body.to_string()),
        }
    }

    /// One that asks.
    pub fn get(path: String) -> Self {
        Self {
            method: Method::GET,
            path,
            body: None,
        }
    }
}

impl WebDriverCompatibleCommand for Command {
    fn endpoint(&self, base: &Url, session: Option<&str>) -> Result<Url, ParseError> {
        base.join(&format!(
            "session/{}/{}",
            session.unwrap_or_default(),
            self.path
        ))
    }

    fn method_and_body(&self, _: &Url) -> (Method, Option<String>) {
        (self.method.clone(), self.body.clone())
    }
}
