//! Which messages are due and may be handed out.

use std::collections::HashSet;

use rusqlite::{Connection, OptionalExtension as _, params};

/// A message as it was loaded.
pub(super) struct Row {
    pub id: i64,
    pub head: Vec<u8>,
    pub body: Vec<u8>,
}

/// The messages that loading found.
pub(super) struct Loaded {
    pub rows: Vec<Row>,
    /// When there will be more, as far as is known.
    pub more: More,
}

/// When to look again.
pub(super) enum More {
    /// At once.
    Now,
    /// At this time, in milliseconds.
    At(i64),
    /// Nobody knows.
    Unknown,
}

/// Finds what is due at `now` and not claimed, oldest first, and when there will be more.
pub(super) fn find(
    connection: &Connection,
    kind: i64,
    now: i64,
    claims: &HashSet<i64>,
    room: usize,
) -> rusqlite::Result<Loaded> {
    let limit = claims.len() + room;
    let sql = "SELECT id FROM messages WHERE kind = ? AND due_at <= ? ORDER BY due_at, id LIMIT ?";
    let mut due = connection.prepare_cached(sql)?;
    let due = due.query_map(params![kind, now, limit], |row| row.get(0))?;
    let due: Vec<i64> = due.collect::<rusqlite::Result<_>>()?;
    let mut one = connection.prepare_cached("SELECT head, body FROM messages WHERE id = ?")?;
    let mut rows = Vec::with_capacity(room);
    let mut unclaimed = due.iter().filter(|id| !claims.contains(id));
    for id in unclaimed.by_ref().take(room) {
        let row = one.query_row([id], |row| {
            Ok(Row {
                id: *id,
                head: row.get(0)?,
                body: row.get(1)?,
            })
        });
        rows.extend(row.optional()?);
    }
    // A claim outlives its message by a moment, so that even a look that found fewer than its limit
    // may leave some.
    let more = if due.len() == limit || unclaimed.next().is_some() {
        More::Now
    } else {
        let sql = "SELECT due_at FROM messages WHERE kind = ? AND due_at > ? \
                   ORDER BY due_at LIMIT 1";
        let mut next = connection.prepare_cached(sql)?;
        let next = next.query_row([kind, now], |row| row.get(0)).optional()?;
        next.map_or(More::Unknown, More::At)
    };
    Ok(Loaded { rows, more })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::embedded::database::Database;

    #[test]
    fn what_is_left_behind_claims_on_deleted_messages_is_looked_for_again() {
        let database = Database::in_memory().unwrap();
        let connection = database.writer();
        for id in 1..=20 {
            let sql =
                "INSERT INTO messages (id, kind, due_at, head, body) VALUES (?, 0, 0, x'', x'')";
            connection.execute(sql, [id]).unwrap();
        }
        // Ten are handed out, and eight of these are deleted already.
        let claims: HashSet<i64> = (1..=10).collect();
        let sql = "DELETE FROM messages WHERE id <= 8";
        connection.execute(sql, []).unwrap();
        let loaded = find(&connection, 0, 0, &claims, 5).unwrap();
        let ids: Vec<i64> = loaded.rows.iter().map(|row| row.id).collect();
        assert_eq!(ids, [11, 12, 13, 14, 15]);
        assert!(matches!(loaded.more, More::Now), "five more are due");
        let claims: HashSet<i64> = (1..=15).collect();
        let loaded = find(&connection, 0, 0, &claims, 5).unwrap();
        assert_eq!(loaded.rows.len(), 5);
        assert!(matches!(loaded.more, More::Unknown), "there are no more");
    }
}
