//! The `prism-webhooks` program: parse, call, exit code.

use std::io::Write as _;
use std::process::ExitCode;

use clap::Parser as _;
use prism_webhooks::{cli, http};

fn main() -> ExitCode {
    http::install_crypto();
    let program = cli::Program::parse();
    // Arguments that are not UTF-8 have been refused by now, wherever it matters.
    let arguments = std::env::args_os().map(|argument| argument.to_string_lossy().into_owned());
    match cli::run(program, arguments.collect()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            let failure_text = cli::printable::printable_lines(&failure.to_string());
            // The last word, when there is no console any more. Nobody may be there to hear it.
            let _ = writeln!(std::io::stderr(), "prism-webhooks: {failure_text}");
            failure.exit_code()
        }
    }
}
