//! The registered webhooks, whatever store keeps their documents.
//!
//! | file | holds |
//! |---|---|
//! | [`webhooks`] | registering, finding and changing webhooks, for commands and the API |
//! | `stored` | a webhook to be registered, and one that is |
//! | [`documents`] | what a store of documents does, and how a document is read |
//! | `rotation` | staging, promoting and dropping secrets |
//! | [`secrets`] | how signing secrets are encrypted at rest |
//! | `error` | why a webhook could not be found or changed |
//! | [`limits`] | how many webhooks an organization may have, and how large one may be |
//! | `fields` | changing a document without touching what this version does not know |
//! | `patch` | what may be changed of a webhook |
//! | `version` | which version of a webhook somebody has seen |
//!
//! Redis and the embedded store keep the same JSON and answer the same [`documents::DocumentStore`].

pub mod documents;
mod error;
mod fields;
pub mod limits;
mod patch;
mod rotation;
pub mod secrets;
mod stored;
mod version;
pub mod webhooks;
