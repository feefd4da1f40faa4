//! A process that is started, listened to line by line, and never left behind.

use std::collections::VecDeque;
use std::io::{self, BufRead, BufReader, Read, Write as _};
use std::os::unix::process::CommandExt as _;
use std::process::{Child as Process, ChildStdin, Command, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use tokio::sync::mpsc;
use tokio::time::{Instant, timeout};

use super::error::BenchError;

/// How many of its last lines on standard error are kept, to tell why it ended.
const KEPT: usize = 5;

/// How long a process may take to answer what it can answer at once.
pub const PROMPTLY: Duration = Duration::from_secs(20);

/// How long a process that has closed its output may take to end.
const EXIT: Duration = Duration::from_secs(1);

/// A running process. Dropping it kills it, and returns once it is gone: whatever it held on a
/// server is let go of then.
#[derive(Debug)]
pub struct Child {
    what: String,
    process: Process,
    input: Option<ChildStdin>,
    lines: mpsc::UnboundedReceiver<String>,
    said: Arc<Mutex<VecDeque<String>>>,
}

/// This program as another process, with none of the settings that this one has.
pub fn own_program() -> Result<Command, BenchError> {
    let mut command = Command::new(std::env::current_exe()?);
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("PRISM_") {
            command.env_remove(name);
        }
    }
    Ok(command)
}

impl Child {
    /// Starts `command`, which is called `what` in messages. `overhear` is told each line on
    /// standard error.
    pub fn start(
        what: impl Into<String>,
        mut command: Command,
        mut overhear: impl FnMut(&str) + Send + 'static,
    ) -> Result<Self, BenchError> {
        let what = what.into();
        command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            // Ctrl-C on a terminal is for this process, which ends the others in order.
            .process_group(0);
        let failed = |source: io::Error| BenchError::Process {
            what: format!("cannot start {what}"),
            source,
        };
        let mut process = command.spawn().map_err(failed)?;
        let (line, lines) = mpsc::unbounded_channel();
        if let Some(stdout) = process.stdout.take() {
            // Whoever no longer listens misses nothing.
            read_lines(stdout, move |text| drop(line.send(text)));
        }
        let said = Arc::<Mutex<VecDeque<String>>>::default();
        if let Some(stderr) = process.stderr.take() {
            let said = said.clone();
            read_lines(stderr, move |text| {
                overhear(&text);
                let mut said = said.lock().unwrap_or_else(PoisonError::into_inner);
                said.truncate(KEPT - 1);
                said.push_front(text);
            });
        }
        Ok(Self {
            what,
            input: process.stdin.take(),
            process,
            lines,
            said,
        })
    }

    /// Its process id.
    pub fn id(&self) -> u32 {
        self.process.id()
    }

    /// Its next line on standard output, which is to come within `limit`.
    pub async fn line(&mut self, limit: Duration) -> Result<String, BenchError> {
        match timeout(limit, self.lines.recv()).await {
            Ok(Some(line)) => Ok(line),
            Ok(None) => Err(self.ended().await),
            Err(_) => Err(BenchError::Late {
                what: self.what.clone(),
                limit,
            }),
        }
    }

    /// Writes a line to its standard input.
    pub async fn tell(&mut self, line: &str) -> Result<(), BenchError> {
        let told = match &mut self.input {
            Some(input) => writeln!(input, "{line}"),
            None => Ok(()),
        };
        match told {
            Ok(()) => Ok(()),
            Err(_) => Err(self.ended().await),
        }
    }

    /// Asks it to finish in good order.
    pub fn terminate(&self) {
        // The signal fails if the process has ended already, which is as well.
        let _ = kill_process(Pid::from_child(&self.process), Signal::TERM);
    }

    /// That a line was none that is understood.
    pub fn nonsense(&self, line: &str) -> BenchError {
        BenchError::Nonsense {
            what: self.what.clone(),
            line: line.to_owned(),
        }
    }

    /// Why it no longer speaks or listens. One that only seems to have ended is ended.
    async fn ended(&mut self) -> BenchError {
        let end = Instant::now() + EXIT;
        while matches!(self.process.try_wait(), Ok(None)) && Instant::now() < end {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        let _ = self.process.kill();
        let what = self.what.clone();
        match self.process.wait() {
            Ok(status) => {
                let said = self.said.lock().unwrap_or_else(PoisonError::into_inner);
                let said: Vec<&str> = said.iter().rev().map(String::as_str).collect();
                let said = match said.as_slice() {
                    [] => String::new(),
                    lines => format!(": {}", lines.join(" | ")),
                };
                BenchError::Ended { what, status, said }
            }
            Err(source) => BenchError::Process { what, source },
        }
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        // Both fail only if it is gone already.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Reads lines on a thread of its own, until the process has closed its end.
fn read_lines(stream: impl Read + Send + 'static, mut each: impl FnMut(String) + Send + 'static) {
    std::thread::spawn(move || {
        let lines = BufReader::new(stream).lines();
        lines.map_while(Result::ok).for_each(&mut each);
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(script: &str) -> Command {
        let mut command = Command::new("sh");
        command.args(["-c", script]);
        command
    }

    #[tokio::test]
    async fn it_is_spoken_to_by_lines_and_is_gone_when_dropped() {
        let mut child =
            Child::start("a shell", shell("read x; echo got $x; sleep 60"), |_| {}).unwrap();
        child.tell("this").await.unwrap();
        assert_eq!(child.line(PROMPTLY).await.unwrap(), "got this");
        let pid = child.id();
        drop(child);
        assert!(!std::path::Path::new(&format!("/proc/{pid}")).exists());
    }

    #[tokio::test]
    async fn who_ends_early_is_told_with_its_last_words() {
        let mut child = Child::start("a shell", shell("echo no room >&2; exit 3"), |_| {}).unwrap();
        let error = child.line(PROMPTLY).await.unwrap_err().to_string();
        assert!(
            error.contains("a shell ended early") && error.contains("3"),
            "{error}"
        );
    }
}
