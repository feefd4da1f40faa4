//! A chromedriver of a test's own, and everything that it started, gone with it.

use std::io::Read as _;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::mpsc;
use std::time::Duration;

use tempfile::TempDir;

/// The script that starts it and ends it.
const SCRIPT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/browser/leash");

/// How long it may take to listen, on a machine that is busy.
const START_LIMIT: Duration = Duration::from_secs(30);

/// How often starting it is tried.
const START_TRIES: usize = 3;

/// What it says once it listens, before the port.
const STARTED: &str = "started successfully on port ";

/// A running chromedriver, with a directory for its browser. Dropping it kills both.
#[derive(Debug)]
pub struct Driver {
    script: Child,
    port: u16,
    directory: TempDir,
}

impl Driver {
    /// Starts one on a free port.
    pub fn start() -> Self {
        let mut said = String::new();
        // It takes a port and then the same of the other IP version, which may be taken: rare, and
        // its end then.
        for _ in 0..START_TRIES {
            match Self::try_start() {
                Ok(driver) => return driver,
                Err(output) => said += &output,
            }
        }
        panic!("chromedriver does not start; standard error may say more: {said}");
    }

    /// Starts one, or gives what it said before it ended.
    fn try_start() -> Result<Self, String> {
        let directory = tempfile::Builder::new()
            .prefix("prism-webhooks-browser-")
            .tempdir()
            .expect("a temporary directory");
        let mut script = Command::new(SCRIPT)
            // What a browser keeps outside its profile goes there as well.
            .env("HOME", directory.path())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("tests/browser/leash starts");
        let output = script.stdout.take().expect("it is piped");
        let mut driver = Self {
            script,
            port: 0,
            directory,
        };
        driver.port = port(output)?;
        Ok(driver)
    }

    /// Where it takes commands.
    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// A directory of its browser's own.
    pub fn profile(&self) -> String {
        self.directory.path().join("profile").display().to_string()
    }
}

impl Driver {
    /// Kills it and its browser; returns when they are gone.
    pub fn kill(&mut self) {
        // The end of its standard input is the script's signal.
        drop(self.script.stdin.take());
        let _status = self.script.wait();
    }
}

impl Drop for Driver {
    fn drop(&mut self) {
        self.kill();
    }
}

/// Waits for the port that is told in the output, and then reads on, so that the pipe never fills.
/// What was said instead, if none is.
fn port(mut output: ChildStdout) -> Result<u16, String> {
    let (found, port) = mpsc::channel();
    std::thread::spawn(move || {
        let (mut said, mut buffer) = (String::new(), [0; 1024]);
        while let Ok(length @ 1..) = output.read(&mut buffer) {
            said.push_str(&String::from_utf8_lossy(&buffer[..length]));
            let told = said.split_once(STARTED).and_then(|(_, rest)| {
                let (digits, _) = rest.split_once('.')?;
                digits.parse::<u16>().ok()
            });
            if let Some(port) = told {
                // Nobody waits any more once it was told.
                let _ = found.send(Ok(port));
                said.clear();
            }
        }
        let _ = found.send(Err(said));
    });
    let told = port.recv_timeout(START_LIMIT);
    told.unwrap_or_else(|_| Err(format!("nothing within {START_LIMIT:?}")))
}
