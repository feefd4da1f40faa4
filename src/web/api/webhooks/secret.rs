//! A webhook's secrets: rotate, promote, drop what is staged, and what the API shows of them.

use std::time::Duration;

use axum::extract::State;
use axum::response::Response;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::change::shown;
use super::model::WebhookView;
use super::tag::IfMatch;
use crate::domain::rotation::{Promote, Rotation};
use crate::domain::secret::{Secret, SecretId};
use crate::domain::stored_secret::Standing;
use crate::web::api::answers::{
    ForOrganization, OfChange, OfWebhook, Precondition, Usual, WithBody,
};
use crate::web::api::authentication::{CurrentActor, CurrentOrganization};
use crate::web::api::body::Json;
use crate::web::api::query::Path;
use crate::web::api::texts::SecretText;
use crate::web::api::whole;
use crate::web::problem::Problem;
use crate::web::state::AppState;

/// The longest time until a promotion, and the longest overlap, in seconds: 30 days.
const LONGEST: u64 = 30 * 86_400;

/// A new signing secret.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::web::api) struct RotateSecret {
    /// The new secret; one is generated, and shown in the answer, if none is given.
    #[schema(write_only, value_type = Option<SecretText>)]
    secret: Option<String>,
    /// After how many seconds the new secret is promoted by itself; 0: at once, for a secret that leaked.
    /// Null or absent: it stays staged until `promote-secret` says so.
    #[serde(default, deserialize_with = "whole::optional")]
    #[schema(maximum = 2592000)]
    promote_after_seconds: Option<u64>,
    /// For how many seconds the old secret signs beside the new one once that is promoted.
    #[serde(default = "a_day", deserialize_with = "whole::number")]
    #[schema(default = 86400, maximum = 2592000)]
    overlap_seconds: u64,
}

fn a_day() -> u64 {
    86_400
}

/// How a staged secret takes over.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::web::api) struct PromoteSecret {
    /// For how many seconds the old secret signs beside it from now on. Null or absent: as was said when
    /// it was staged.
    #[serde(default, deserialize_with = "whole::optional")]
    #[schema(maximum = 2592000)]
    overlap_seconds: Option<u64>,
}

/// A secret that signs, without the secret itself.
#[derive(Debug, Serialize, ToSchema)]
pub(in crate::web::api) struct SecretView {
    /// What names it in `signed_by` of the attempts that it signed: the beginning of a digest.
    id: String,
    /// What it does: `current` (it signs `X-Prism-Signature`, and `Webhook-Signature` too), `staged` (it
    /// signs `Webhook-Signature` beside the current one until it is promoted), `old` (another took
    /// over, and it signs `Webhook-Signature` until it ends).
    state: &'static str,
    /// When it is promoted by itself, if it is staged and that is set.
    #[schema(value_type = Option<String>, format = DateTime)]
    promote_at: Option<Timestamp>,
    /// When it stops signing, if that is set.
    #[schema(value_type = Option<String>, format = DateTime)]
    expires_at: Option<Timestamp>,
}

impl From<(SecretId, Standing)> for SecretView {
    fn from((id, standing): (SecretId, Standing)) -> Self {
        Self {
            id: id.to_string(),
            state: standing.name(),
            promote_at: standing.promote_at(),
            expires_at: standing.expires_at(),
        }
    }
}

/// Rotate a webhook's secret
///
/// The new secret is staged: it signs beside the old one in `Webhook-Signature`, and
/// `X-Prism-Signature` stays with the old one, so that the receiver can be taught the new one
/// meanwhile. Promoted, by `promote-secret` or after `promote_after_seconds`, it signs
/// `X-Prism-Signature`, and the old one beside it in `Webhook-Signature` for `overlap_seconds`. The
/// first secret of a webhook signs at once.
#[utoipa::path(
    post,
    path = "/webhooks/{id}/rotate-secret",
    operation_id = "rotate_webhook_secret",
    tag = "webhooks",
    params(ForOrganization, Precondition, ("id" = String, Path, description = "Its id, or its name")),
    request_body = RotateSecret,
    responses(
        (status = 200, description = "The webhook, with the secret if it was generated", body = WebhookView,
         headers(("ETag" = String, description = "Its version"))),
        Usual, OfWebhook, OfChange, WithBody,
        (status = 409, description = "Ten of its secrets are active, it is the current one already, or several webhooks have this name", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(in crate::web::api) async fn rotate_secret(
    State(app): State<AppState>,
    CurrentOrganization(organization): CurrentOrganization,
    CurrentActor(actor): CurrentActor,
    Path(id): Path<String>,
    version: IfMatch,
    Json(asked): Json<RotateSecret>,
) -> Result<Response, Problem> {
    let overlap = seconds("overlap_seconds", asked.overlap_seconds)?;
    let now = Timestamp::now();
    let promote = match asked.promote_after_seconds {
        None => Promote::ByHand,
        Some(0) => Promote::Now,
        Some(after) => Promote::At(now + seconds("promote_after_seconds", after)?),
    };
    let (secret, generated) = match asked.secret.as_deref().map(Secret::choose) {
        Some(Ok(secret)) => (secret, None),
        Some(Err(error)) => return Err(Problem::field("secret", error.to_string())),
        None => {
            let secret = Secret::generate(&mut rand::rng());
            let text = secret.expose().to_owned();
            (secret, Some(text))
        }
    };
    let webhooks = app.deployment.webhooks.by(actor);
    let (target, rotation) = (version.target(&id), Rotation { promote, overlap });
    let stored = webhooks
        .rotate_secret(&organization, target, &secret, rotation, now)
        .await?;
    Ok(shown(&app, &organization, stored, generated).await)
}

/// Promote a webhook's staged secret
///
/// The newest secret that is staged signs `X-Prism-Signature` from now on; the others sign beside it
/// in `Webhook-Signature` for `overlap_seconds`, and end.
#[utoipa::path(
    post,
    path = "/webhooks/{id}/promote-secret",
    operation_id = "promote_webhook_secret",
    tag = "webhooks",
    params(ForOrganization, Precondition, ("id" = String, Path, description = "Its id, or its name")),
    request_body = PromoteSecret,
    responses(
        (status = 200, description = "The webhook as it is now", body = WebhookView,
         headers(("ETag" = String, description = "Its version"))),
        Usual, OfWebhook, OfChange, WithBody,
        (status = 409, description = "No secret is staged, or several webhooks have this name", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(in crate::web::api) async fn promote_secret(
    State(app): State<AppState>,
    CurrentOrganization(organization): CurrentOrganization,
    CurrentActor(actor): CurrentActor,
    Path(id): Path<String>,
    version: IfMatch,
    Json(asked): Json<PromoteSecret>,
) -> Result<Response, Problem> {
    let overlap = asked
        .overlap_seconds
        .map(|overlap| seconds("overlap_seconds", overlap));
    let (overlap, target) = (overlap.transpose()?, version.target(&id));
    let webhooks = app.deployment.webhooks.by(actor);
    let stored = webhooks
        .promote_secret(&organization, target, overlap, Timestamp::now())
        .await?;
    Ok(shown(&app, &organization, stored, None).await)
}

/// Drop a webhook's staged secrets
///
/// What was staged by mistake signs no more; the current secret goes on.
#[utoipa::path(
    post,
    path = "/webhooks/{id}/drop-staged-secret",
    operation_id = "drop_staged_webhook_secret",
    tag = "webhooks",
    params(ForOrganization, Precondition, ("id" = String, Path, description = "Its id, or its name")),
    responses(
        (status = 200, description = "The webhook as it is now", body = WebhookView,
         headers(("ETag" = String, description = "Its version"))),
        Usual, OfWebhook, OfChange,
        (status = 409, description = "No secret is staged, or several webhooks have this name", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(in crate::web::api) async fn drop_staged_secret(
    State(app): State<AppState>,
    CurrentOrganization(organization): CurrentOrganization,
    CurrentActor(actor): CurrentActor,
    Path(id): Path<String>,
    version: IfMatch,
) -> Result<Response, Problem> {
    let webhooks = app.deployment.webhooks.by(actor);
    let (target, now) = (version.target(&id), Timestamp::now());
    let stored = webhooks
        .drop_staged_secrets(&organization, target, now)
        .await?;
    Ok(shown(&app, &organization, stored, None).await)
}

/// A duration that may be at most [`LONGEST`].
fn seconds(field: &str, number: u64) -> Result<Duration, Problem> {
    if number > LONGEST {
        let detail = format!("at most {LONGEST}: 30 days");
        return Err(Problem::field(field, detail));
    }
    Ok(Duration::from_secs(number))
}

#[cfg(test)]
mod tests {
    use serde_json::Value;
    use utoipa::PartialSchema;

    use super::*;
    use crate::domain::rotation::DEFAULT_OVERLAP;

    fn said<T: PartialSchema>(field: &str) -> Value {
        serde_json::to_value(T::schema()).unwrap()["properties"][field].clone()
    }

    #[test]
    fn the_document_says_how_long_an_overlap_may_be_and_is() {
        assert_eq!(DEFAULT_OVERLAP.as_secs(), a_day());
        let overlap = said::<RotateSecret>("overlap_seconds");
        assert_eq!(overlap["default"], a_day());
        let after = said::<RotateSecret>("promote_after_seconds");
        let of_promotion = said::<PromoteSecret>("overlap_seconds");
        for field in [overlap, after, of_promotion] {
            assert_eq!(field["maximum"], LONGEST);
        }
    }
}
