//! Where log lines go and how they look: text on a terminal, JSON otherwise, always on standard
//! error, so that what a command prints can be piped.

use std::io::IsTerminal as _;

use tracing_subscriber::EnvFilter;

use crate::config::{LogFormat, Logging};

/// Starts logging as the settings say. A second call in one process changes nothing.
pub fn start(logging: &Logging) {
    let json = match logging.format {
        LogFormat::Json => true,
        LogFormat::Text => false,
        LogFormat::Auto => !std::io::stderr().is_terminal(),
    };
    // RabbitMQ's client logs as an error what we ask for: a connection closed, an object that is
    // not there. What matters of that is told in our own words; a level that names lapin wins.
    let level = format!("lapin=off,{}", logging.level);
    // The settings were checked when they were read; a filter that still does not parse logs all.
    let filter = EnvFilter::try_new(level).unwrap_or_else(|_| EnvFilter::new("info"));
    let lines = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_target(false);
    let started = if json {
        lines
            .json()
            .flatten_event(true)
            .with_current_span(false)
            .try_init()
    } else {
        lines.with_ansi(std::io::stderr().is_terminal()).try_init()
    };
    // Already started by whoever embeds this library: theirs stands.
    drop(started);
}
