//! The `prism-webhooks` program: parse, call, exit code.

use std::process::ExitCode;

use clap::Parser as _;
use prism_webhooks::{cli, http};

fn main() -> ExitCode {
    http::install_crypto();
    let program = cli::Program::parse();
    match cli::run(program) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("prism-webhooks: {failure}");
            failure.exit_code()
        }
    }
}
