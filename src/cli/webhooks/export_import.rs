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
    match left_out {
        0 => Ok(()),
        _ => Err(Failure::new(
            ExitReason::Failed,
            format_args!("{left_out} webhooks cannot be exported as they are"),
        )),
    }
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
    let unreadable =
        |error: io::Error| Failure::new(ExitReason::Failed, format_args!("cannot read: {error}"));
    while let Some(line) = lines.next_line().await.map_err(unreadable)? {
        number += 1;
        if line.trim().is_empty() {
            continue;
        }
        let problem = match serde_json::from_str::<WebhookDocument>(&line) {
            Ok(document) => match store.import(organization, document).await {
                Ok(_) => None,
                Err(error) => Some(error.to_string()),
            },
            // Only where, for the text may be a secret.
            Err(error) => Some(format!("no webhook at column {}", error.column())),
        };
        match problem {
            None => imported += 1,
            Some(problem) => {
                refused += 1;
                console.say(format_args!("line {number} is not imported: {problem}"));
            }
        }
    }
    writeln!(console.out, "{imported} webhooks imported")?;
    match refused {
        0 => Ok(()),
        _ => Err(Failure::new(
            ExitReason::Failed,
            format_args!("{refused} lines were not imported"),
        )),
    }
}
