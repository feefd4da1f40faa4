//! The registered webhooks, whatever store keeps their documents.
//!
//! | file | holds |
//! |---|---|
//! | [`webhooks`] | registering, finding and changing webhooks, for commands and the API |
//! | `stored` | a webhook to be registered, and one that is |
//! | [`documents`] | what a store of documents does, and how a document is read |
//! | `making` | making a change to its end, whoever waits for it |
//! | `entries` | what is entered in the audit log of a change |
//! | `disabling` | disabling a webhook without being told to |
//! | `rotation` | staging, promoting and dropping secrets |
//! | [`secrets`] | how what is secret is encrypted at rest |
//! | `cipher_error` | why something could not be encrypted or decrypted |
//! | [`sealing`] | which parts of a document that is |
//! | `error` | why a webhook could not be found or changed |
//! | [`limits`] | how many webhooks an organization may have, and how large one may be |
//! | `fields` | changing a document without touching what this version does not know |
//! | `patch` | what may be changed of a webhook |
//! | [`sweep`] | going through the webhooks of all organizations |
//! | `version` | which version of a webhook somebody has seen |
//!
//! Redis and the embedded store keep the same JSON and answer the same [`documents::DocumentStore`].

mod cipher_error;
pub(crate) mod disabling;
pub mod documents;
mod entries;
mod error;
mod fields;
pub mod limits;
mod making;
mod patch;
mod rotation;
pub mod sealing;
pub mod secrets;
mod stored;
pub mod sweep;
mod version;
pub mod webhooks;
