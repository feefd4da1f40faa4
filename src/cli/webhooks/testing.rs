//! `webhooks test`: one request now, and what came of it.

use crate::cli::console::Console;
use crate::cli::failure::{ExitReason, Failure};
use crate::domain::ids::Organization;
use crate::operations::test::{TestError, Tester};
use crate::registry::webhooks::StoredWebhook;

/// Sends a test event and prints what came back. The command fails if the endpoint did not take it.
pub async fn test(
    tester: &Tester,
    organization: &Organization,
    stored: &StoredWebhook,
    json: bool,
    console: &mut Console,
) -> Result<(), Failure> {
    let tested = tester.test(organization, &stored.webhook).await;
    let attempt = tested.map_err(|error| {
        let kind = match error {
            TestError::Invalid(_) => ExitReason::Failed,
            TestError::Own(_) => ExitReason::Unavailable,
        };
        Failure::new(kind, error)
    })?;
    let out = &mut console.out;
    if json {
        let text = serde_json::to_string_pretty(&attempt).map_err(std::io::Error::from)?;
        writeln!(out, "{text}")?;
    } else {
        let status = match attempt.status_code {
            Some(status) => format!("status {status}"),
            None => "no answer".to_owned(),
        };
        let took = attempt.duration_ms();
        writeln!(out, "{}: {status} after {took:.0} ms", attempt.outcome)?;
        if let Some(error) = &attempt.error {
            writeln!(out, "{error}")?;
        }
        if let Some(location) = &attempt.location {
            writeln!(out, "it redirects to {location}, which is not followed")?;
        }
        if !attempt.response_body.is_empty() {
            writeln!(out, "{}", attempt.response_body)?;
        }
    }
    if attempt.is_delivered() {
        Ok(())
    } else {
        let url = &attempt.url;
        Err(Failure::new(
            ExitReason::Failed,
            format_args!("{url} did not take it"),
        ))
    }
}
