//! Where a command prints and what it reads: this process's own streams, or those of the process
//! that it was relayed from.

use std::io::{self, IsTerminal as _, Write};

use tokio::io::AsyncRead;

use super::printable::{PrintableWriter, printable_lines};

/// The streams of one command.
pub struct Console {
    /// Results.
    pub out: Box<dyn Write + Send>,
    /// Everything that is said beside them.
    pub err: Box<dyn Write + Send>,
    /// Standard input.
    pub input: Box<dyn AsyncRead + Send + Unpin>,
    /// What the streams can show.
    pub shows: Shows,
}

/// What a command's streams can show.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Shows {
    /// The width in columns of the terminal that results go to; none if it is no terminal.
    pub width: Option<u16>,
    /// Whether progress can be shown, which overwrites itself.
    pub progress: bool,
}

impl Console {
    /// The streams of this process.
    pub fn own() -> Self {
        Self {
            out: Box::new(PrintableWriter::new(io::stdout())),
            err: Box::new(io::stderr()),
            input: Box::new(tokio::io::stdin()),
            shows: Shows::own(),
        }
    }

    /// Says a line beside the results. Nobody may be there to hear it, which is no failure.
    pub fn say(&mut self, line: impl std::fmt::Display) {
        let line = printable_lines(&line.to_string());
        let _ = writeln!(self.err, "{line}");
    }

    /// Shows how far it is, in place of what was shown before.
    pub fn progress(&mut self, text: impl std::fmt::Display) {
        let _ = write!(self.err, "\r{text} ");
        let _ = self.err.flush();
    }
}

impl Shows {
    /// Finds out what this process's streams can show.
    pub fn own() -> Self {
        let width = io::stdout().is_terminal().then(|| {
            let table = comfy_table::Table::new();
            table.width().unwrap_or(80)
        });
        Self {
            width,
            progress: io::stderr().is_terminal(),
        }
    }
}
