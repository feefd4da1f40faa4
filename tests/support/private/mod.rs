//! Servers that one test starts for itself and may therefore stop and kill.
//!
//! Each runs in a temporary directory, on free ports, through the script
//! `private-server`, which kills its server when its standard input ends: when
//! the value is dropped, and also when the test process is gone.

pub mod ports;
mod rabbit;
mod redis;

pub use rabbit::PrivateRabbit;
pub use redis::PrivateRedis;

use super::deadline::{eventually, eventually_ok};
use std::ffi::OsString;
use std::fmt::Display;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// How long a server may take to start: RabbitMQ needs 6 s on an idle machine.
const START_LIMIT: Duration = Duration::from_secs(90);
/// How long a killed server may take to be gone.
const STOP_LIMIT: Duration = Duration::from_secs(20);
/// The script that starts servers.
const SCRIPT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/support/private-server");

/// One server process and its directory, whichever server it is.
#[derive(Debug)]
struct PrivateServer {
    /// What kind of server, as the script calls it.
    kind: &'static str,
    directory: TempDir,
    ports: Vec<u16>,
    script: Option<Child>,
}

impl PrivateServer {
    fn new(kind: &'static str, ports: Vec<u16>) -> Self {
        let directory = tempfile::Builder::new()
            .prefix("prism-webhooks-")
            .tempdir()
            .expect("a temporary directory");
        Self {
            kind,
            directory,
            ports,
            script: None,
        }
    }

    /// Starts the server on the data it has and waits until `answers` succeeds.
    async fn start<E: Display>(&mut self, mut answers: impl AsyncFnMut() -> Result<(), E>) {
        assert!(self.script.is_none(), "{} runs already", self.kind);
        let output = File::create(self.output()).expect("a file for the server's output");
        let ports = self
            .ports
            .iter()
            .map(|port| OsString::from(port.to_string()));
        let script = Command::new(SCRIPT)
            .arg(self.kind)
            .arg(self.directory.path())
            .args(ports)
            .stdin(Stdio::piped())
            .stdout(output.try_clone().expect("a second handle on it"))
            .stderr(output)
            .spawn()
            .expect("tests/support/private-server starts");
        self.script = Some(script);
        let what = format!("{} answers on port {}", self.kind, self.ports[0]);
        eventually_ok(START_LIMIT, &what, async || {
            assert!(
                self.is_running(),
                "{} ended at its start: {}",
                self.kind,
                fs::read_to_string(self.output()).unwrap_or_default()
            );
            tokio::time::timeout(Duration::from_secs(5), answers())
                .await
                .map_or_else(
                    |_| Err("no answer".to_owned()),
                    |answer| answer.map_err(|e| e.to_string()),
                )
        })
        .await;
    }

    fn output(&self) -> PathBuf {
        self.directory.path().join("output")
    }

    fn path(&self) -> &Path {
        self.directory.path()
    }

    fn is_running(&mut self) -> bool {
        match &mut self.script {
            Some(script) => matches!(script.try_wait(), Ok(None)),
            None => false,
        }
    }

    /// Waits until the server has ended by itself.
    async fn ended(&mut self) {
        let what = format!("{} ends", self.kind);
        eventually(STOP_LIMIT, &what, async || {
            (!self.is_running()).then_some(())
        })
        .await;
        self.script = None;
    }

    /// Kills the server with SIGKILL; returns when it is gone. Blocks for some
    /// milliseconds, since it is also what a drop does.
    fn kill9(&mut self) {
        let Some(mut script) = self.script.take() else {
            return;
        };
        // The end of its standard input is its signal.
        drop(script.stdin.take());
        let end = Instant::now() + STOP_LIMIT;
        while matches!(script.try_wait(), Ok(None)) {
            if Instant::now() > end {
                eprintln!("{} did not end when killed", self.kind);
                return;
            }
            sleep(Duration::from_millis(2));
        }
    }
}

impl Drop for PrivateServer {
    fn drop(&mut self) {
        self.kill9();
    }
}
