//! Starting, watching and ending programs.

use super::SOON;
use crate::support::process::{Process, Signal, json, run};
use std::os::unix::process::ExitStatusExt;
use std::process::{Command, Output};

fn shell(script: &str) -> Process {
    let mut command = Command::new("sh");
    command.args(["-c", script]);
    Process::spawn(command)
}

#[tokio::test]
async fn the_real_program_runs_to_its_end() {
    let mut program = Process::start(&["--help"], &[]);
    assert!(program.wait_exit(SOON).await.success());
    assert!(
        run(&["--help"], &[("PRISM_NAMESPACE", "other")])
            .status
            .success()
    );
}

#[tokio::test]
async fn a_line_is_found_in_either_output() {
    let mut process = shell("echo listening on 80; echo warned of it >&2; exec sleep 60");
    assert_eq!(
        process.wait_for_line("listening", SOON).await,
        "listening on 80"
    );
    assert_eq!(process.wait_for_line("warned", SOON).await, "warned of it");
    assert!(process.stdout().contains("80") && process.stderr().contains("warned"));
}

#[tokio::test]
#[should_panic(expected = "never came")]
async fn waiting_for_a_line_ends_when_the_program_does() {
    shell("echo something else")
        .wait_for_line("ready", SOON)
        .await;
}

#[tokio::test]
async fn sigterm_can_be_handled_and_sigkill_cannot() {
    let handler = "trap 'echo bye; exit 7' TERM; echo ready; while :; do sleep 0.02; done";
    let mut process = shell(handler);
    process.wait_for_line("ready", SOON).await;
    process.signal(Signal::TERM);
    assert_eq!(process.wait_exit(SOON).await.code(), Some(7));
    assert_eq!(process.stdout(), "ready\nbye\n");

    let mut process = shell(handler);
    process.wait_for_line("ready", SOON).await;
    process.signal(Signal::KILL);
    assert_eq!(process.wait_exit(SOON).await.signal(), Some(9));
}

#[tokio::test]
async fn a_dropped_process_is_dead_and_its_directory_gone() {
    let mut process = shell("pwd; exec sleep 60");
    let printed = process.wait_for_line("/", SOON).await;
    let directory = process.directory().to_owned();
    assert_eq!(
        printed,
        directory
            .canonicalize()
            .expect("it exists")
            .to_string_lossy()
    );
    let id = process.id();
    drop(process);
    assert!(!directory.exists());
    assert!(!std::path::Path::new(&format!("/proc/{id}")).exists());
}

#[test]
fn json_is_read_from_standard_output() {
    let output = |script: &str| -> Output {
        Command::new("sh")
            .args(["-c", script])
            .output()
            .expect("sh runs")
    };
    assert_eq!(json(&output("echo '{\"a\": 1}'; echo noise >&2"))["a"], 1);
    let failed = std::panic::catch_unwind(|| json(&output("echo '{}'; exit 1")));
    assert!(failed.is_err());
}
