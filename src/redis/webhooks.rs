//! The registered webhooks in Redis, for commands and the API.

use std::sync::Arc;

use super::connection::Connection;
use super::documents::Documents;
use super::keys::Keys;
use crate::registry::documents::DocumentReader;
use crate::registry::webhooks::Webhooks;
use crate::store::audit::AuditKept;

/// The webhooks of the deployment whose keys these are; `kept` is how much of the audit log is.
pub fn webhooks(
    connection: Connection,
    keys: Keys,
    reader: DocumentReader,
    kept: AuditKept,
) -> Webhooks {
    Webhooks::new(Arc::new(Documents::new(connection, keys, kept)), reader)
}
