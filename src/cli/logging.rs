//! Where log lines go and how they look: text on a terminal, JSON otherwise, always on standard
//! error, so that what a command prints can be piped.

use std::io::{self, IsTerminal as _, Stderr};

use tracing_subscriber::EnvFilter;

use super::printable::PrintableWriter;
use crate::config::{LogFormat, Logging};

/// Starts logging as the settings say. A second call in one process changes nothing.
pub fn start(logging: &Logging) {
    let json = match logging.format {
        LogFormat::Json => true,
        LogFormat::Text => false,
        LogFormat::Auto => !io::stderr().is_terminal(),
    };
    // RabbitMQ's client logs as an error what we ask for: a connection closed, an object that is
    // not there, and the verifier of certificates every one that does not hold, as if it were a fault
    // of ours. What matters of that is told in our own words; a level that names them wins.
    let level = format!("lapin=off,rustls_platform_verifier=off,{}", logging.level);
    // The settings were checked when they were read; a filter that still does not parse logs all.
    let filter = EnvFilter::try_new(level).unwrap_or_else(|_| EnvFilter::new("info"));
    let lines = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_target(false);
    let started = if json {
        lines
            .with_writer(|| PrintableWriter::new(io::stderr()))
            .json()
            .flatten_event(true)
            .with_current_span(false)
            .try_init()
    } else {
        let coloured = io::stderr().is_terminal();
        lines
            .with_writer(move || text_writer(coloured))
            .with_ansi(coloured)
            .try_init()
    };
    // Already started by whoever embeds this library: theirs stands.
    drop(started);
}

/// What others wrote holds no colours any more when it comes here: the format of text escapes them.
fn text_writer(coloured: bool) -> PrintableWriter<Stderr> {
    match coloured {
        true => PrintableWriter::coloured(io::stderr()),
        false => PrintableWriter::new(io::stderr()),
    }
}
