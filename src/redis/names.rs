//! The index of an organization's names: made anew when others wrote webhooks without it.

use std::collections::BTreeMap;

use redis::{Script, cmd};

use super::connection::Connection;
use super::error::StoreError;
use super::keys::Keys;
use crate::domain::ids::Organization;
use crate::registry::documents;

/// So many documents are read at a time: Redis serves others in between.
const AT_ONCE: usize = 100;

/// The field of a document, and its JSON.
type Document = (Vec<u8>, Vec<u8>);

/// A script that works with the index.
pub(super) fn asking(script: &str) -> Script {
    let functions = include_str!("scripts/names.lua");
    Script::new(&format!("{functions}\n{script}"))
}

/// Makes the index anew if it has changed `changes` times until then, and no more since.
pub(super) async fn learn(
    connection: &Connection,
    keys: &Keys,
    script: &Script,
    organization: &Organization,
    changes: &str,
) -> Result<(), StoreError> {
    let documents = keys.webhooks(organization);
    let mut names = BTreeMap::new();
    let mut cursor = 0_u64;
    loop {
        let mut scan = cmd("HSCAN");
        scan.arg(&documents).arg(cursor).arg("COUNT").arg(AT_ONCE);
        let (next, read): (u64, Vec<Document>) = connection.call(&scan).await?;
        for (id, json) in read {
            names.insert(id, documents::name(&json));
        }
        cursor = next;
        if cursor == 0 {
            break;
        }
    }
    let mut call = script.key(&documents);
    call.key(keys.names(organization));
    call.arg(changes).arg(names.len());
    for (id, name) in &names {
        if let Some(name) = name {
            call.arg(name).arg(id);
        }
    }
    // If others were quicker, whoever asks again is told so.
    connection.script::<u8>(&call).await.map(drop)
}
