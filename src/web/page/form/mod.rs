//! The form of a webhook, which [creating](create) and the [settings](super::settings) share.

pub mod check;
pub mod create;
pub mod show;
