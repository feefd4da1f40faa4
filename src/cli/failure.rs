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
            message: in_words(&message.to_string()),
        }
    }

    /// A failure of this kind caused by `error`, whose causes are told as well.
    pub fn caused(kind: ExitReason, error: &(dyn Error + 'static)) -> Self {
        let mut message = error.to_string();
        let mut source = error.source();
        while let Some(cause) = source {
            // What these say is in our own text already, in words.
            let told = cause.is::<redis::RedisError>() || cause.is::<rusqlite::Error>();
            if told || cause.is::<url::ParseError>() {
                break;
            }
            let cause_text = cause.to_string();
            // Many errors repeat their source in their own text.
            if !message.contains(&cause_text) {
                message = format!("{message}: {cause_text}");
            }
            source = cause.source();
        }
        Self::new(kind, message)
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

/// A message without what libraries put around the words of the system and of the broker.
fn in_words(message: &str) -> String {
    let mut words = String::with_capacity(message.len());
    let mut rest = message;
    // The number that the system has for what it says in words: `Connection refused (os error 111)`.
    while let Some((before, behind)) = rest.split_once(" (os error ") {
        words.push_str(before);
        rest = behind.split_once(')').map_or("", |(_, behind)| behind);
    }
    words.push_str(rest);
    let words = words.replace("IO error: ", "");
    let words = words.replace(NO_TLS, "what answers there does not speak TLS");
    match words.split_once("protocol error: AMQP ") {
        None => words,
        // `soft error: NOT-FOUND: NOT_FOUND - no exchange`: the name comes twice.
        Some((before, behind)) => match behind.splitn(3, ": ").nth(2) {
            Some(said) => format!("{before}RabbitMQ says {said}"),
            None => words,
        },
    }
}

/// What rustls says of an answer that is none of TLS.
const NO_TLS: &str = "received corrupt message of type InvalidContentType";

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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_is_in_words_and_has_no_number_of_the_system_in_it() {
        let words = |message: &str| Failure::new(ExitReason::Failed, message).to_string();
        for (message, said) in [
            (
                "cannot read: Is a directory (os error 21); choose another",
                "cannot read: Is a directory; choose another",
            ),
            (
                "no login: protocol error: AMQP soft error: NOT-FOUND: NOT_FOUND - no exchange 'x': y",
                "no login: RabbitMQ says NOT_FOUND - no exchange 'x': y",
            ),
            (
                "x: IO error: received corrupt message of type InvalidContentType",
                "x: what answers there does not speak TLS",
            ),
            ("as it is (really)", "as it is (really)"),
        ] {
            assert_eq!(words(message), said);
        }
    }
}
