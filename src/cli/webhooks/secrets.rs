//! `webhooks rotate-secret`, `promote-secret` and `drop-staged-secret`.

use std::time::Duration;

use clap::Args;
use jiff::Timestamp;
use tokio::io::AsyncRead;

use super::view::View;
use super::{Which, duration};
use crate::cli::failure::{ExitReason, Failure};
use crate::cli::secret_text::{SecretArgs, SecretError};
use crate::domain::ids::Organization;
use crate::domain::rotation::{Promote, Rotation};
use crate::domain::secret::Secret;
use crate::registry::webhooks::Webhooks;

#[derive(Debug, Args)]
#[command(after_help = "How a receiver changes over without losing a request:
  1. webhooks rotate-secret NAME    stages a new secret, and prints it once
  2. teach the receiver the new secret beside the old one
  3. webhooks promote-secret NAME   X-Prism-Signature is made with the new one from now on
  4. take the old one from the receiver; it stops signing when its overlap is over

A secret that leaked is replaced at once: rotate-secret NAME --promote --overlap 0s")]
pub(super) struct RotateArgs {
    #[command(flatten)]
    which: Which,
    #[command(flatten)]
    pub(super) secret: SecretArgs,
    /// Promote the new secret at once, as for one that leaked: a receiver that does not know it yet refuses
    /// what comes
    #[arg(long, conflicts_with_all = ["promote_after", "promote_at"])]
    promote: bool,
    /// Promote it by itself after so long, as in 12h
    #[arg(long, value_name = "DURATION", value_parser = duration, conflicts_with = "promote_at")]
    promote_after: Option<Duration>,
    /// Promote it by itself at a time, as in 2026-12-01T09:00:00Z
    #[arg(long, value_name = "TIME")]
    promote_at: Option<Timestamp>,
    /// For how long the old secret signs beside the new one once that is promoted
    #[arg(long, default_value = "24h", value_name = "DURATION", value_parser = duration)]
    overlap: Duration,
}

#[derive(Debug, Args)]
pub(super) struct PromoteArgs {
    #[command(flatten)]
    which: Which,
    /// For how long the old secret signs beside it from now on [default: as was said when it was staged]
    #[arg(long, value_name = "DURATION", value_parser = duration)]
    overlap: Option<Duration>,
}

impl RotateArgs {
    fn when(&self, now: Timestamp) -> Result<Promote, Failure> {
        match (self.promote, self.promote_after, self.promote_at) {
            (true, ..) => Ok(Promote::Now),
            (false, Some(after), _) => {
                let at = now.checked_add(after).unwrap_or(Timestamp::MAX);
                Ok(Promote::At(at))
            }
            (false, None, Some(at)) if at <= now => {
                let message = format_args!(
                    "--promote-at {at} is over; give a time to come, or --promote for at once"
                );
                Err(Failure::new(ExitReason::Failed, message))
            }
            (false, None, Some(at)) => Ok(Promote::At(at)),
            (false, None, None) => Ok(Promote::ByHand),
        }
    }
}

/// Stages a new secret, or promotes it at once.
pub(super) async fn rotate(
    args: &RotateArgs,
    store: &Webhooks,
    organization: &Organization,
    now: Timestamp,
    input: &mut (dyn AsyncRead + Send + Unpin),
) -> Result<View, Failure> {
    let rotation = Rotation {
        promote: args.when(now)?,
        overlap: args.overlap,
    };
    let given = args.secret.secret(input).await?;
    let generated = given.is_none();
    let secret = given.unwrap_or_else(generate);
    let which = &args.which.webhook;
    let stored = store
        .rotate_secret(organization, which, &secret, rotation, now)
        .await?;
    Ok(View::of(stored, now).with_secret(generated.then_some(&secret)))
}

/// Promotes what is staged.
pub(super) async fn promote(
    args: &PromoteArgs,
    store: &Webhooks,
    organization: &Organization,
    now: Timestamp,
) -> Result<View, Failure> {
    let which = &args.which.webhook;
    let stored = store
        .promote_secret(organization, which, args.overlap, now)
        .await?;
    Ok(View::of(stored, now))
}

/// A new secret.
pub(super) fn generate() -> Secret {
    Secret::generate(&mut rand::rng())
}

impl From<SecretError> for Failure {
    fn from(error: SecretError) -> Self {
        Self::new(ExitReason::Failed, error)
    }
}
