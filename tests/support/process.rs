//! The real program, started as an operator starts it.

use super::deadline::eventually;
use rustix::process::{Pid, kill_process};
use std::ffi::OsStr;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::time::Duration;
use tempfile::TempDir;

pub use rustix::process::Signal;

/// The program under test.
const PROGRAM: &str = env!("CARGO_BIN_EXE_prism-webhooks");

/// A running program in a working directory of its own, its output in files.
/// Dropping it kills it.
#[derive(Debug)]
pub struct Process {
    child: Child,
    directory: TempDir,
}

impl Process {
    /// Starts `prism-webhooks` with these arguments and variables, and none of
    /// the `PRISM_` variables that the tests themselves run with.
    pub fn start(arguments: &[&str], variables: &[(&str, &str)]) -> Self {
        let mut command = program(arguments);
        command.envs(variables.iter().copied());
        Self::spawn(command)
    }

    /// The same, allowed to have so many files open, and no more.
    pub fn start_limited(files: u64, arguments: &[&str], variables: &[(&str, &str)]) -> Self {
        let mut command = Command::new("sh");
        // The limits of a shell are those of what it becomes.
        command.args([
            "-c",
            r#"ulimit -n "$0" && exec "$@""#,
            &files.to_string(),
            PROGRAM,
        ]);
        without_settings(&mut command);
        command.args(arguments).envs(variables.iter().copied());
        Self::spawn(command)
    }

    /// Starts any command.
    pub fn spawn(mut command: Command) -> Self {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let file = |name| File::create(directory.path().join(name)).expect("a file for output");
        command
            .current_dir(directory.path())
            .stdin(Stdio::null())
            .stdout(file("stdout"))
            .stderr(file("stderr"));
        let child = command
            .spawn()
            .unwrap_or_else(|error| panic!("cannot start {command:?}: {error}"));
        Self { child, directory }
    }

    /// Its working directory, removed with it.
    pub fn directory(&self) -> &Path {
        self.directory.path()
    }

    /// Its process id.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Whether it has not ended yet.
    pub fn is_running(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(None))
    }

    /// What it has written to standard output so far.
    pub fn stdout(&self) -> String {
        self.read("stdout")
    }

    /// What it has written to standard error so far.
    pub fn stderr(&self) -> String {
        self.read("stderr")
    }

    fn read(&self, name: &str) -> String {
        let path: PathBuf = self.directory.path().join(name);
        String::from_utf8_lossy(&fs::read(path).unwrap_or_default()).into_owned()
    }

    /// Waits for a complete line, of either output, that contains `part`, and
    /// gives it. Panics with all output when none comes or the process ends.
    pub async fn wait_for_line(&mut self, part: &str, deadline: Duration) -> String {
        let what = format!("a line with {part:?}");
        eventually(deadline, &what, async || {
            let ended = self.child.try_wait().ok().flatten();
            let (stdout, stderr) = (self.stdout(), self.stderr());
            let line = complete_lines(&stdout)
                .chain(complete_lines(&stderr))
                .find(|line| line.contains(part))
                .map(str::to_owned);
            if let (None, Some(status)) = (&line, ended) {
                panic!("{what} never came: {status}\nstdout:\n{stdout}\nstderr:\n{stderr}");
            }
            line
        })
        .await
    }

    /// Sends a signal, `Signal::TERM` or `Signal::KILL` for instance.
    pub fn signal(&self, signal: Signal) {
        let pid = Pid::from_child(&self.child);
        kill_process(pid, signal).expect("a child that was not waited for can be signalled");
    }

    /// Waits until it ends. Panics with its output when it does not.
    pub async fn wait_exit(&mut self, deadline: Duration) -> ExitStatus {
        let what = format!("process {} ends", self.id());
        eventually(deadline, &what, async || {
            self.child.try_wait().expect("the state of a child")
        })
        .await
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // Fails when it has ended already, which is as well.
        let _ended = self.child.kill();
        let _status = self.child.wait();
        if std::thread::panicking() {
            // What the program said is half of why a test failed.
            eprintln!("stdout of {}:\n{}", self.id(), self.stdout());
            eprintln!("stderr of {}:\n{}", self.id(), self.stderr());
        }
    }
}

/// Runs `prism-webhooks` to its end and gives what it printed. For short
/// commands: it blocks.
pub fn run(arguments: &[&str], variables: &[(&str, &str)]) -> Output {
    run_with(arguments, variables, "")
}

/// The same, with something on its standard input, no more than a pipe holds.
pub fn run_with(arguments: &[&str], variables: &[(&str, &str)], input: &str) -> Output {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let mut child = program(arguments)
        .envs(variables.iter().copied())
        .current_dir(directory.path())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the program starts");
    let mut stdin = child.stdin.take().expect("it is piped");
    // A program that reads nothing may have closed it.
    let _ = std::io::Write::write_all(&mut stdin, input.as_bytes());
    drop(stdin);
    child.wait_with_output().expect("it ends")
}

/// What a run printed to standard output, as JSON. Panics with everything it
/// printed when it failed or printed something else.
pub fn json(output: &Output) -> serde_json::Value {
    let (stdout, stderr) = (
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr),
    );
    assert!(
        output.status.success(),
        "{}\nstdout:\n{stdout}\nstderr:\n{stderr}",
        output.status
    );
    serde_json::from_str(&stdout)
        .unwrap_or_else(|error| panic!("not JSON: {error}\nstdout:\n{stdout}\nstderr:\n{stderr}"))
}

fn program(arguments: &[&str]) -> Command {
    let mut command = Command::new(PROGRAM);
    command.args(arguments.iter().map(OsStr::new));
    without_settings(&mut command);
    command
}

/// Takes the `PRISM_` variables away that the tests themselves run with.
fn without_settings(command: &mut Command) {
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("PRISM_") {
            command.env_remove(name);
        }
    }
}

/// The lines that have their end: the last one may still be in the writing.
fn complete_lines(text: &str) -> impl Iterator<Item = &str> {
    text.split_inclusive('\n')
        .filter(|line| line.ends_with('\n'))
        .map(str::trim_end)
}
