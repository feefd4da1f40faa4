//! How a command fails: with a message that names cause and mend, and an exit code for scripts.

use std::error::Error;
use std::fmt;
use std::process::ExitCode;

/// The kind of a failure; the number is the exit code. 2 is clap's, for wrong usage.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ExitReason {
    /// The command ran and the answer is no: something not delivered, not published, not as wanted.
    Failed = 1,
    /// The settings are not usable.
    Settings = 3,
    /// RabbitMQ, Redis or the data cannot be reached, or refuses.
    Unavailable = 4,
    /// The thing named does not exist, or is in the way.
    Subject = 5,
}

impl ExitReason {
    /// The kind with this exit code; one that none has is [`Failed`](Self::Failed).
    pub fn of_code(code: u8) -> Self {
        let all = [Self::Settings, Self::Unavailable, Self::Subject];
        let same = |kind: &Self| *kind as u8 == code;
        all.into_iter().find(same).unwrap_or(Self::Failed)
    }
}

/// A failed command.
#[derive(Debug)]
pub struct Failure {
    kind: ExitReason,
    message: String,
}

impl Failure {
    /// A failure of this kind; `message` is for people.
    pub fn new(kind: ExitReason, message: impl fmt::Display) -> Self {
        Self {
            kind,
            message: message.to_string(),
        }
    }

    /// A failure of this kind caused by `error`, whose causes are told as well.
    pub fn caused(kind: ExitReason, error: &(dyn Error + 'static)) -> Self {
        let mut message = error.to_string();
        let mut source = error.source();
        while let Some(cause) = source {
            let cause_text = cause.to_string();
            // Many errors repeat their source in their own text.
            if !message.contains(&cause_text) {
                message = format!("{message}: {cause_text}");
            }
            source = cause.source();
        }
        Self { kind, message }
    }

    /// The exit code and the message.
    pub fn into_parts(self) -> (u8, String) {
        (self.kind as u8, self.message)
    }

    /// The exit code.
    pub fn exit_code(&self) -> ExitCode {
        ExitCode::from(self.kind as u8)
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl From<std::io::Error> for Failure {
    /// Standard output is gone, as under `| head`.
    fn from(error: std::io::Error) -> Self {
        Self::new(
            ExitReason::Failed,
            format_args!("cannot write the output: {error}"),
        )
    }
}
