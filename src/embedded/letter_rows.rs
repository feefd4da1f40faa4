//! Reading dead letters from their table: an organization's by an index of its own, past nobody else's.

use jiff::Timestamp;
use rusqlite::{Connection, params};
use sha2::{Digest as _, Sha256};

use super::handover::LetterKind;
use super::message::{DeliveryHead, EventHead, StoredHeader};
use crate::domain::ids::Organization;
use crate::store::dead_letters::{Position, Summary};

/// How many letters are looked at or moved at once.
pub(super) const AT_ONCE: usize = 256;

/// A letter as it was looked at.
pub(super) struct Looked {
    pub(super) id: i64,
    pub(super) summary: Summary,
    pub(super) usable: bool,
    /// Of what is no delivery, a digest that tells it from others.
    digest: Option<String>,
}

impl Looked {
    /// Its place, which says nothing of how many others there are.
    pub(super) fn position(&self) -> Position {
        let at = self.summary.dead_at.map_or(0, Timestamp::as_microsecond);
        let id = self
            .digest
            .clone()
            .or_else(|| self.summary.delivery.clone());
        Position {
            at,
            id: id.unwrap_or_default(),
        }
    }
}

/// What tells a message that is no delivery from others.
fn digest(head: &[u8]) -> String {
    hex::encode(&Sha256::digest(head)[..16])
}

/// Behind which letter a list goes on from a position: behind the letter that stood there, or if it
/// has gone, behind those that were given up before it.
pub(super) fn place(connection: &Connection, position: &Position) -> rusqlite::Result<i64> {
    let millis = position.at / 1000;
    let sql = "SELECT id, head, delivery FROM dead_letters WHERE dead_at = ?";
    let mut rows = connection.prepare_cached(sql)?;
    let mut rows = rows.query([millis])?;
    while let Some(row) = rows.next()? {
        let (head, delivery): (Vec<u8>, Option<String>) = (row.get(1)?, row.get(2)?);
        if delivery.unwrap_or_else(|| digest(&head)) == position.id {
            return row.get(0);
        }
    }
    let sql = "SELECT coalesce(min(id) - 1, (SELECT max(id) FROM dead_letters), 0) \
               FROM dead_letters WHERE dead_at >= ?";
    connection.query_row(sql, [millis], |row| row.get(0))
}

/// The next letters behind one, of everybody or of this organization.
pub(super) fn look(
    connection: &Connection,
    organization: Option<&str>,
    after: i64,
    last: i64,
) -> rusqlite::Result<Vec<Looked>> {
    let whose = match organization {
        Some(_) => "INDEXED BY dead_letters_in WHERE organization = ?4",
        None => "WHERE ?4 IS NULL",
    };
    let sql = format!(
        "SELECT id, kind, reason, detail, dead_at, head, length(body) FROM dead_letters \
         {whose} AND id > ?1 AND id <= ?2 ORDER BY id LIMIT ?3"
    );
    let mut rows = connection.prepare_cached(&sql)?;
    let rows = rows.query_map(params![after, last, AT_ONCE, organization], |row| {
        let (kind, head): (i64, Vec<u8>) = (row.get(1)?, row.get(5)?);
        let reason: String = row.get(2)?;
        let mut summary = Summary {
            reason: reason.parse().ok(),
            detail: Some(row.get(3)?),
            dead_at: Timestamp::from_millisecond(row.get(4)?).ok(),
            organization: None,
            webhook: None,
            event_type: None,
            event: None,
            delivery: None,
            attempts: None,
            last_outcome: None,
            last_status: None,
            size: row.get(6)?,
        };
        let usable = describe(kind, &head, &mut summary);
        let digest = summary.delivery.is_none().then(|| digest(&head));
        Ok(Looked {
            id: row.get(0)?,
            summary,
            usable,
            digest,
        })
    })?;
    rows.collect()
}

/// Says what the head knows. Returns whether something can come of the letter.
fn describe(kind: i64, head: &[u8], summary: &mut Summary) -> bool {
    if kind == LetterKind::Delivery as i64 {
        let Ok(head) = serde_json::from_slice::<DeliveryHead>(head) else {
            return false;
        };
        summary.organization = Some(head.organization.to_string());
        summary.webhook = Some(head.webhook.to_string());
        summary.event_type = Some(head.event_type.to_string());
        summary.event = Some(head.event.to_string());
        summary.delivery = Some(head.delivery.to_string());
        summary.attempts = Some(head.attempt);
        summary.last_outcome = head.last_outcome;
        summary.last_status = head.last_status;
        return true;
    }
    let Ok(head) = serde_json::from_slice::<EventHead>(head) else {
        return false;
    };
    summary.organization = match head.organization {
        // As an event has it. What was to be a delivery says whose it is, or it is nobody's.
        StoredHeader::Absent if kind == LetterKind::Event as i64 => {
            Some(Organization::default().to_string())
        }
        stated => stated.text(),
    };
    summary.event_type = Some(head.routing_key);
    summary.event = head.message_id;
    kind == LetterKind::Event as i64
}
