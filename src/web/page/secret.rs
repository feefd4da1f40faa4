//! Secrets on the page: shown once when they are generated, and never again; and rotating one.

use std::time::Duration;

use maud::{Markup, html};

use super::form::check::Errors;
use super::form::show::error;
use crate::domain::secret::Secret;

/// The hours that may be chosen for which the old secret signs beside the new one.
const OVERLAPS: [(u64, &str); 4] = [
    (0, "not at all"),
    (1, "for an hour"),
    (24, "for a day"),
    (168, "for a week"),
];

/// The choice to have a secret generated.
pub fn generating(checked: bool) -> Markup {
    html! {
        label.check { input type="checkbox" name="generate" checked[checked]; "Generate a secret, and show it once" }
    }
}

/// A generated secret, this once.
pub fn shown_once(webhook: &str, secret: &Secret) -> Markup {
    html! {
        div.card.notice.good role="status" {
            p { strong { "Its secret, shown this once." } " Copy it now and give it to the receiver, which verifies requests with it:" }
            div.copy { pre #generated-secret { (secret.expose()) } button type="button" data-copy="generated-secret" hidden { "Copy" } }
        }
        div.actions {
            a.button.first href={ "/webhooks/" (webhook) "/verify" } { "How the receiver verifies" }
            a.button href={ "/webhooks/" (webhook) "/log" } { "To the Delivery Log" }
        }
    }
}

/// The form that rotates a secret.
pub fn rotation(webhook: &str, version: &str, signed: bool, errors: &Errors) -> Markup {
    let invalid = errors.contains_key("secret").then_some("true");
    html! {
        form.card.wide method="post" action={ "/webhooks/" (webhook) "/rotate-secret" } novalidate {
            input type="hidden" name="version" value=(version);
            @if !signed { p { "Requests to this webhook are not signed. Give it a secret to sign them:" } }
            div.field {
                label for="secret" { "New secret" }
                p.hint #secret-hint { "Leave it empty to have one generated and shown once." }
                input #secret type="password" name="secret" autocomplete="new-password" spellcheck="false"
                    aria-describedby="secret-hint secret-error" aria-invalid=[invalid];
                (error("secret", errors))
            }
            @if signed {
                div.field {
                    label for="overlap" { "The old secret signs beside it" }
                    select #overlap name="overlap" {
                        @for (hours, name) in OVERLAPS { option value=(hours) selected[hours == 24] { (name) } }
                    }
                }
            }
            button { @if signed { "Rotate secret" } @else { "Set secret" } }
        }
    }
}

/// For how long the old secret signs beside the new one, as was chosen.
pub fn overlap(form: &[u8]) -> Duration {
    let hours = url::form_urlencoded::parse(form).find(|(name, _)| name == "overlap");
    let hours = hours.and_then(|(_, value)| value.parse().ok());
    let allowed = OVERLAPS.iter().find(|(known, _)| Some(*known) == hours);
    Duration::from_secs(allowed.map_or(0, |(hours, _)| hours * 3600))
}
