//! The tables, and how an older database is brought up to date.
//!
//! `user_version` counts the steps that a database has been through; each step runs once, in a
//! transaction with its number. A step that has been released is never changed.

use rusqlite::{Connection, TransactionBehavior};

/// The steps, oldest first.
const STEPS: [&str; 10] = [
    STEP_1, STEP_2, STEP_3, STEP_4, STEP_5, STEP_6, STEP_7, STEP_8, STEP_9, STEP_10,
];

/// Times are milliseconds since 1970. `head` is JSON: everything of a message but its body.
const STEP_1: &str = "
-- kind: 0 an event, 1 a delivery, later also 3, a part. A message is there until it is settled.
CREATE TABLE messages (
    id INTEGER PRIMARY KEY,
    kind INTEGER NOT NULL,
    due_at INTEGER NOT NULL,
    head BLOB NOT NULL,
    body BLOB NOT NULL
) STRICT;
CREATE INDEX messages_due ON messages (kind, due_at);

-- kind: as above, and 2 for what was in the place of a delivery and is none.
CREATE TABLE dead_letters (
    id INTEGER PRIMARY KEY,
    kind INTEGER NOT NULL,
    reason TEXT NOT NULL,
    detail TEXT NOT NULL,
    dead_at INTEGER NOT NULL,
    head BLOB NOT NULL,
    body BLOB NOT NULL
) STRICT;

CREATE TABLE webhooks (
    organization TEXT NOT NULL,
    id TEXT NOT NULL,
    document BLOB NOT NULL,
    PRIMARY KEY (organization, id)
) STRICT, WITHOUT ROWID;

-- Every attempt: the feed for pipelines.
CREATE TABLE attempts (
    id INTEGER PRIMARY KEY,
    attempt BLOB NOT NULL
) STRICT;

-- The attempts of each webhook: its delivery log, capped by itself.
CREATE TABLE webhook_attempts (
    organization TEXT NOT NULL,
    webhook TEXT NOT NULL,
    id INTEGER NOT NULL,
    attempt BLOB NOT NULL,
    PRIMARY KEY (organization, webhook, id)
) STRICT, WITHOUT ROWID;

-- head and body are absent where the sequence alone is kept.
CREATE TABLE deliveries (
    id TEXT NOT NULL,
    organization TEXT NOT NULL,
    sequence INTEGER NOT NULL,
    state TEXT,
    reason TEXT,
    next_attempt_at TEXT,
    head BLOB,
    body BLOB,
    expires_at INTEGER NOT NULL,
    UNIQUE (id, organization)
) STRICT;
CREATE INDEX deliveries_expiring ON deliveries (expires_at);

-- The webhooks for which an event is settled while others are still open.
CREATE TABLE marks (
    event TEXT NOT NULL,
    organization TEXT NOT NULL,
    webhook TEXT NOT NULL,
    expires_at INTEGER NOT NULL,
    PRIMARY KEY (event, organization, webhook)
) STRICT, WITHOUT ROWID;
CREATE INDEX marks_expiring ON marks (expires_at);

CREATE TABLE health (
    organization TEXT NOT NULL,
    webhook TEXT NOT NULL,
    failing_since INTEGER,
    last_success INTEGER,
    expires_at INTEGER NOT NULL,
    PRIMARY KEY (organization, webhook)
) STRICT, WITHOUT ROWID;
";

/// `bucket` is a quarter of an hour, counted from 1970; `what` an outcome or the number of a bin of
/// durations.
const STEP_2: &str = "
CREATE TABLE statistics (
    organization TEXT NOT NULL,
    webhook TEXT NOT NULL,
    bucket INTEGER NOT NULL,
    what TEXT NOT NULL,
    count INTEGER NOT NULL,
    PRIMARY KEY (organization, webhook, bucket, what)
) STRICT, WITHOUT ROWID;
CREATE INDEX statistics_bucket ON statistics (bucket);
";

/// How many failures a streak has, and when the last one was; nothing of a webhook outlives it.
const STEP_3: &str = "
ALTER TABLE health ADD COLUMN failures INTEGER;
ALTER TABLE health ADD COLUMN last_failure INTEGER;
-- Left behind by attempts that ended after their webhook was deleted.
DELETE FROM webhook_attempts WHERE NOT EXISTS (SELECT 1 FROM webhooks
    WHERE webhooks.organization = webhook_attempts.organization AND webhooks.id = webhook);
";

/// How many bytes of bodies an organization's deliveries have: counted by the database itself, so that
/// it is right whatever removes them.
const STEP_4: &str = "
CREATE TABLE bodies (
    organization TEXT PRIMARY KEY,
    bytes INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
INSERT INTO bodies SELECT organization, sum(length(body)) FROM deliveries
    WHERE body IS NOT NULL GROUP BY organization;
CREATE INDEX deliveries_with_body ON deliveries (organization, expires_at) WHERE body IS NOT NULL;
CREATE TRIGGER body_added AFTER INSERT ON deliveries WHEN new.body IS NOT NULL BEGIN
    INSERT INTO bodies VALUES (new.organization, length(new.body))
        ON CONFLICT DO UPDATE SET bytes = bytes + excluded.bytes;
END;
CREATE TRIGGER body_changed AFTER UPDATE OF body ON deliveries BEGIN
    INSERT INTO bodies VALUES (new.organization,
            coalesce(length(new.body), 0) - coalesce(length(old.body), 0))
        ON CONFLICT DO UPDATE SET bytes = bytes + excluded.bytes;
END;
CREATE TRIGGER body_removed AFTER DELETE ON deliveries WHEN old.body IS NOT NULL BEGIN
    UPDATE bodies SET bytes = bytes - length(old.body) WHERE organization = old.organization;
    DELETE FROM bodies WHERE organization = old.organization AND bytes <= 0;
END;
";

/// Until when webhooks' endpoints asked to be left alone; `endpoint` is a fingerprint in decimals, for
/// it does not fit into a number of SQLite's.
const STEP_5: &str = "
CREATE TABLE pauses (
    organization TEXT NOT NULL,
    webhook TEXT NOT NULL,
    endpoint TEXT NOT NULL,
    expires_at INTEGER NOT NULL,
    PRIMARY KEY (organization, webhook, endpoint)
) STRICT, WITHOUT ROWID;
";

/// The name of each webhook, as its document says it; and what the readiness of the store is tried with.
const STEP_6: &str = "
ALTER TABLE webhooks ADD COLUMN name TEXT;
UPDATE webhooks SET name = trim(json_extract(CAST(document AS TEXT), '$.name'))
    WHERE json_valid(CAST(document AS TEXT)) AND json_type(CAST(document AS TEXT), '$.name') = 'text';
CREATE INDEX webhooks_by_name ON webhooks (organization, name);
-- Written and removed to find out whether there is room.
CREATE TABLE probe (filler BLOB NOT NULL) STRICT;
";

/// Whose a dead letter is, if that is a text, and of which delivery: there is one of each. Which retries
/// by hand are under way.
const STEP_7: &str = "
-- Of an event the head says text, bytes or other, or nothing where the default one is meant.
ALTER TABLE dead_letters ADD COLUMN organization TEXT AS (CASE
    WHEN NOT json_valid(CAST(head AS TEXT)) THEN NULL
    WHEN json_type(CAST(head AS TEXT), '$.organization') IS NULL THEN iif(kind = 0, 'default', NULL)
    WHEN json_type(CAST(head AS TEXT), '$.organization') = 'text' AND kind = 1
        THEN json_extract(CAST(head AS TEXT), '$.organization')
    WHEN json_type(CAST(head AS TEXT), '$.organization') = 'object'
        THEN json_extract(CAST(head AS TEXT), '$.organization.text')
    END);
ALTER TABLE dead_letters ADD COLUMN delivery TEXT AS (CASE
    WHEN kind = 1 AND json_valid(CAST(head AS TEXT))
        THEN json_extract(CAST(head AS TEXT), '$.delivery')
    END);
CREATE INDEX dead_letters_of ON dead_letters (organization, delivery);

CREATE TABLE retries (
    organization TEXT NOT NULL,
    delivery TEXT NOT NULL,
    sequence INTEGER NOT NULL,
    expires_at INTEGER NOT NULL,
    PRIMARY KEY (organization, delivery, sequence)
) STRICT, WITHOUT ROWID;
";

/// Whose an attempt is, so that each organization's are read by themselves; and what places in the record
/// are sealed with.
const STEP_8: &str = "
ALTER TABLE attempts ADD COLUMN organization TEXT;
UPDATE attempts SET organization = json_extract(CAST(attempt AS TEXT), '$.organization')
    WHERE json_valid(CAST(attempt AS TEXT))
        AND json_type(CAST(attempt AS TEXT), '$.organization') = 'text';
CREATE INDEX attempts_of ON attempts (organization, id);
CREATE TABLE cursor_key (key BLOB NOT NULL) STRICT;
INSERT INTO cursor_key VALUES (randomblob(32));
";

/// Who changed what, and when: `entry` is JSON. The organization is empty where all of them are meant.
const STEP_9: &str = "
CREATE TABLE audit (
    id INTEGER PRIMARY KEY,
    organization TEXT NOT NULL,
    at INTEGER NOT NULL,
    entry BLOB NOT NULL
) STRICT;
CREATE INDEX audit_of ON audit (organization, id);
CREATE INDEX audit_at ON audit (at);
";

/// Each organization's dead letters in their order, so that looking at them passes over nobody else's.
const STEP_10: &str = "
CREATE INDEX dead_letters_in ON dead_letters (organization, id);
CREATE INDEX dead_letters_at ON dead_letters (dead_at);
";

/// The version that this program writes.
pub(super) const VERSION: usize = STEPS.len();

/// Brings the database up to date. `Err(Ok(version))` if it is of a later program, of which
/// nothing is known here.
pub(super) fn migrate(connection: &mut Connection) -> Result<(), Result<usize, rusqlite::Error>> {
    let version: i64 = connection
        .query_row("PRAGMA user_version", [], |row| row.get(0))
        .map_err(Err)?;
    let version = usize::try_from(version).unwrap_or(usize::MAX);
    let Some(steps) = STEPS.get(version..) else {
        return Err(Ok(version));
    };
    for (step, number) in steps.iter().zip(version + 1..) {
        let run = |connection: &mut Connection| {
            let transaction =
                connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
            transaction.execute_batch(step)?;
            transaction.pragma_update(None, "user_version", number as i64)?;
            transaction.commit()
        };
        run(connection).map_err(Err)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use rusqlite::params;

    use super::*;
    use crate::domain::audit::{Action, Actor, AuditEntry};
    use crate::domain::ids::Organization;
    use crate::embedded::audit::enter;
    use crate::store::audit::AuditKept;

    #[test]
    fn a_database_from_before_the_audit_log_gets_one_and_keeps_its_webhooks() {
        let mut connection = Connection::open_in_memory().unwrap();
        let before = 7;
        connection.execute_batch(&STEPS[..before].concat()).unwrap();
        connection
            .pragma_update(None, "user_version", before as i64)
            .unwrap();
        let sql = "INSERT INTO webhooks (organization, id, document) VALUES ('acme', 'w', x'')";
        connection.execute(sql, []).unwrap();
        migrate(&mut connection).unwrap();
        let webhooks = "SELECT count(*) FROM webhooks";
        let webhooks: i64 = connection
            .query_row(webhooks, [], |row| row.get(0))
            .unwrap();
        assert_eq!(webhooks, 1);
        let at = jiff::Timestamp::UNIX_EPOCH;
        let acme = Organization::new("acme").unwrap();
        let (actor, action) = (Actor::program(), Action::WebhookChanged);
        let entry = AuditEntry::new(Some(&acme), &actor, action, at);
        enter(&connection, &entry, AuditKept::default()).unwrap();
        let whose = "SELECT organization FROM audit";
        let whose: String = connection.query_row(whose, [], |row| row.get(0)).unwrap();
        assert_eq!(whose, "acme");
    }

    #[test]
    fn a_database_of_before_is_brought_up_to_date_with_what_is_in_it() {
        let mut connection = Connection::open_in_memory().unwrap();
        let before = 5;
        connection.execute_batch(&STEPS[..before].concat()).unwrap();
        connection
            .pragma_update(None, "user_version", before as i64)
            .unwrap();
        for (id, document) in [
            ("named", r#"{"id":"named","name":" pager "}"#),
            ("number", r#"{"id":"number","name":7}"#),
            ("broken", "{"),
        ] {
            let sql = "INSERT INTO webhooks (organization, id, document) VALUES ('acme', ?, ?)";
            let document = document.as_bytes();
            connection.execute(sql, params![id, document]).unwrap();
        }
        for (kind, head) in [
            (0, r#"{"routing_key":"t"}"#),
            (0, r#"{"organization":{"text":"acme"}}"#),
            (1, r#"{"organization":"acme","delivery":"d"}"#),
            (1, "{"),
            (2, "{}"),
        ] {
            let sql = "INSERT INTO dead_letters (kind, reason, detail, dead_at, head, body) \
                       VALUES (?, '', '', 0, ?, x'')";
            let head = head.as_bytes();
            connection.execute(sql, params![kind, head]).unwrap();
        }
        for attempt in [r#"{"organization":"acme"}"#, "{", "{}"] {
            let sql = "INSERT INTO attempts (attempt) VALUES (?)";
            connection.execute(sql, [attempt.as_bytes()]).unwrap();
        }
        migrate(&mut connection).unwrap();
        let own = "SELECT count(*) FROM attempts WHERE organization = 'acme'";
        let own: i64 = connection.query_row(own, [], |row| row.get(0)).unwrap();
        assert_eq!(own, 1);
        let key: [u8; 32] = connection
            .query_row("SELECT key FROM cursor_key", [], |row| row.get(0))
            .unwrap();
        assert_ne!(key, [0; 32]);
        let names = "SELECT id FROM webhooks WHERE organization = 'acme' AND name = 'pager'";
        let named: String = connection.query_row(names, [], |row| row.get(0)).unwrap();
        assert_eq!(named, "named");
        let unnamed = "SELECT count(*) FROM webhooks WHERE name IS NULL";
        let unnamed: i64 = connection.query_row(unnamed, [], |row| row.get(0)).unwrap();
        assert_eq!(unnamed, 2);
        let whose = "SELECT organization, delivery FROM dead_letters ORDER BY id";
        let mut whose = connection.prepare(whose).unwrap();
        let whose = whose.query_map([], |row| Ok((row.get(0)?, row.get(1)?)));
        let whose: rusqlite::Result<Vec<(Option<String>, Option<String>)>> =
            whose.unwrap().collect();
        let text = |text: &str| Some(text.to_owned());
        let expected = [
            (text("default"), None),
            (text("acme"), None),
            (text("acme"), text("d")),
            (None, None),
            (None, None),
        ];
        assert_eq!(whose.unwrap(), expected);
    }
}
