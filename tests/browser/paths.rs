//! Where things are on the page, in one place: addresses change more often than what they show.

/// The list of webhooks.
pub const LIST: &str = "/webhooks";
/// The form that creates one.
pub const NEW: &str = "/webhooks/new";
/// Where visitors without a token end up.
pub const SIGN_IN: &str = "/sign-in";

/// The dead letters of all webhooks.
pub const DEAD_LETTERS: &str = "/dead-letters";

/// Who changed what.
pub const AUDIT: &str = "/audit";

/// The Delivery Log of a webhook.
pub fn log(id: &str) -> String {
    format!("/webhooks/{id}/log")
}

/// The dead letters of a webhook.
pub fn dead_letters(id: &str) -> String {
    format!("/webhooks/{id}/dead-letters")
}

/// The settings of a webhook.
pub fn settings(id: &str) -> String {
    format!("/webhooks/{id}/settings")
}

/// The other pages about a webhook, by the names that their pictures get.
pub fn tabs(id: &str) -> [(&'static str, String); 5] {
    [
        ("overview", format!("/webhooks/{id}")),
        ("dead-letters", dead_letters(id)),
        ("settings", settings(id)),
        ("verify", format!("/webhooks/{id}/verify")),
        ("delete", format!("/webhooks/{id}/delete")),
    ]
}
