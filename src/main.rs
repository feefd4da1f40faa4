//! The `prism-webhooks` program: parse, call, exit code.

use std::process::ExitCode;

use clap::Parser as _;
use prism_webhooks::{cli, http};

#[expect(
    clippy::print_stderr,
    reason = "the last word, when there is no console any more"
)]
fn main() -> ExitCode {
    http::install_crypto();
    let program = cli::Program::parse();
    // Arguments that are not UTF-8 have been refused by now, wherever it matters.
    let arguments = std::env::args_os().map(|argument| argument.to_string_lossy().into_owned());
    match cli::run(program, arguments.collect()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            let failure_text = cli::printable::printable_lines(&failure.to_string());
            eprintln!("prism-webhooks: {failure_text}");
            failure.exit_code()
        }
    }
}
