//! Moving webhooks from one deployment to another: one document a line, secrets included.

use std::io::{self, Write as _};

use tokio::io::{AsyncBufReadExt as _, BufReader};

use crate::cli::console::Console;
use crate::cli::failure::{ExitReason, Failure};
use crate::domain::ids::Organization;
use crate::domain::webhook::WebhookDocument;
use crate::registry::webhooks::{Listed, Webhooks};

/// Prints every webhook that can be used; the others are told.
pub(super) async fn export(
    store: &Webhooks,
    organization: &Organization,
    console: &mut Console,
) -> Result<(), Failure> {
    let mut left_out = 0;
    for listed in store.list(organization).await? {
        match listed {
            Listed::Valid(stored) => {
                let line = serde_json::to_string(&stored.exported()).map_err(io::Error::from)?;
                writeln!(console.out, "{line}")?;
            }
            Listed::Invalid { id, reason } => {
                left_out += 1;
                console.say(format_args!("webhook {id} is left out: {reason}"));
            }
        }
    }
    let message = match left_out {
        0 => return Ok(()),
        1 => "one webhook cannot be exported as it is".to_owned(),
        many => format!("{many} webhooks cannot be exported as they are"),
    };
    Err(Failure::new(ExitReason::Failed, message))
}

/// Registers what comes, all that can be; what is in the way is told.
pub(super) async fn import(
    store: &Webhooks,
    organization: &Organization,
    console: &mut Console,
) -> Result<(), Failure> {
    let input = std::mem::replace(&mut console.input, Box::new(tokio::io::empty()));
    let mut lines = BufReader::new(input).lines();
    let (mut number, mut imported, mut refused) = (0, 0, 0);
    let unreadable = |error: io::Error| {
        let why = match error.kind() {
            io::ErrorKind::InvalidData => "it is not text in UTF-8".to_owned(),
            _ => error.to_string(),
        };
        Failure::new(
            ExitReason::Failed,
            format_args!("standard input cannot be read: {why}"),
        )
    };
    while let Some(line) = lines.next_line().await.map_err(unreadable)? {
        number += 1;
        if line.trim().is_empty() {
            continue;
        }
        let problem = match read(&line) {
            Ok(document) => match store.import(organization, document).await {
                Ok(_) => None,
                Err(error) => Some(error.to_string()),
            },
            Err(problem) => Some(problem),
        };
        match problem {
            None => imported += 1,
            Some(problem) => {
                refused += 1;
                console.say(format_args!("line {number} is not imported: {problem}"));
            }
        }
    }
    let webhooks = if imported == 1 { "webhook" } else { "webhooks" };
    writeln!(console.out, "{imported} {webhooks} imported")?;
    let message = match refused {
        0 => return Ok(()),
        1 => "one line was not imported".to_owned(),
        many => format!("{many} lines were not imported"),
    };
    Err(Failure::new(ExitReason::Failed, message))
}

/// Reads a line. What is wrong with it quotes no value, for that may be a secret.
fn read(line: &str) -> Result<WebhookDocument, String> {
    if line.starts_with('\u{feff}') {
        return Err("it begins with a byte order mark (EF BB BF); leave it out".to_owned());
    }
    if line.trim_start().starts_with('[') {
        return Err("it is a list; write one webhook a line, as export does".to_owned());
    }
    let mut json = serde_json::Deserializer::from_str(line);
    let read = serde_path_to_error::deserialize(&mut json);
    let wrong = |path: String, error: &serde_json::Error| {
        let column = error.column();
        let said = error.to_string();
        let missing = said.strip_prefix("missing field `");
        let missing = missing.and_then(|rest| rest.split_once('`'));
        match (missing, path.as_str()) {
            _ if !error.is_data() => format!("it is no JSON from column {column} on"),
            (Some((name, _)), ".") => format!("its {name} is missing"),
            (Some((name, _)), path) => format!("{name} is missing in its {path}"),
            (None, ".") => "it is no JSON object".to_owned(),
            (None, path) => {
                format!("its {path} is not what a webhook has there (`schema webhook`)")
            }
        }
    };
    let document = read.map_err(|error| wrong(error.path().to_string(), error.inner()))?;
    json.end().map_err(|error| wrong(".".to_owned(), &error))?;
    Ok(document)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_that_is_no_webhook_says_why_and_quotes_no_value() {
        for (line, said) in [
            ("{", "it is no JSON from column 1 on"),
            (r#"{"id":"a"} x"#, "its name is missing"),
            ("5", "it is no JSON object"),
            (
                r#"[{"id":"a"}]"#,
                "it is a list; write one webhook a line, as export does",
            ),
            (r#"{"id":"a","name":"n"}"#, "its url is missing"),
            (
                r#"{"id":"a","name":"n","url":"u","secrets":[{"value":5}]}"#,
                "its secrets[0].value is not what a webhook has there (`schema webhook`)",
            ),
            (
                "\u{feff}{}",
                "it begins with a byte order mark (EF BB BF); leave it out",
            ),
        ] {
            assert_eq!(read(line).unwrap_err(), said, "{line}");
        }
    }
}
