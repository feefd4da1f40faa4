//! Who runs a command, as the audit log calls them.

use std::env;

/// The user's name as the environment says it, or else the number that the system has. Whoever may
/// run commands can do anything to the store: they are asked, not checked.
pub(super) fn user() -> String {
    let named = ["LOGNAME", "USER"].into_iter().find_map(|name| {
        let value = env::var(name).ok()?;
        (!value.trim().is_empty()).then(|| value.trim().to_owned())
    });
    named.unwrap_or_else(|| format!("uid {}", rustix::process::getuid().as_raw()))
}
