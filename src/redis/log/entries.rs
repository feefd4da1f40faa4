//! Which commands put an entry on record.

use std::time::Duration;

use jiff::Timestamp;
use redis::{Cmd, Pipeline, Script};

use crate::domain::attempt::Attempt;
use crate::domain::identity::HandOut;
use crate::domain::ids::WebhookId;
use crate::domain::webhook::WebhookKey;
use crate::engine::ports::{DeliveryRecord, Entry, Keep, Mark};
use crate::records::statistics::Counted;
use crate::records::{HEALTH_KEPT, LogSettings, MARKS_KEPT, SEQUENCE_KEPT, SERVED_MARKS_KEPT};
use crate::redis::keys::Keys;
use crate::redis::{attempt_fields, delivery_fields, statistics};

/// Turns entries into commands.
#[derive(Debug)]
pub(super) struct Encoder {
    keys: Keys,
    settings: LogSettings,
    all_attempts: String,
    record: Script,
}

impl Encoder {
    pub(super) fn new(keys: Keys, settings: LogSettings) -> Self {
        Self {
            all_attempts: keys.attempts(),
            keys,
            settings,
            record: Script::new(include_str!("../scripts/record.lua")),
        }
    }

    /// The command that makes the scripts known to a server that forgot them.
    pub(super) fn load(&self) -> Cmd {
        let mut command = redis::cmd("SCRIPT");
        command
            .arg("LOAD")
            .arg(include_str!("../scripts/record.lua"));
        command
    }

    /// Appends what puts `entry` on record. Returns about how many bytes that takes.
    pub(super) fn entry(&self, entry: &Entry, pipeline: &mut Pipeline) -> usize {
        let mut size = 0;
        if let Some(attempt) = &entry.attempt {
            size += self.attempt(attempt, pipeline);
        }
        if let Some(mark) = &entry.mark {
            self.mark(mark, pipeline);
        }
        if let Some(record) = &entry.delivery {
            size += self.delivery(record, pipeline);
        }
        if let Some(mark) = &entry.unmark {
            self.unmark(mark, pipeline);
        }
        size
    }

    /// Appends what notes that a webhook answered well.
    pub(super) fn success(&self, webhook: &WebhookKey, at: Timestamp, pipeline: &mut Pipeline) {
        let key = self.keys.health(webhook);
        pipeline
            .cmd("HSET")
            .arg(&key)
            .arg("last_success")
            .arg(at.as_millisecond());
        expire(&key, HEALTH_KEPT, pipeline);
    }

    /// Appends what adds counts to those there are. Returns about how many bytes that takes.
    pub(super) fn counts(&self, counted: &Counted, pipeline: &mut Pipeline) -> usize {
        let all = counted.iter().flat_map(|(webhook, buckets)| {
            buckets
                .iter()
                .map(move |(bucket, counts)| (webhook, *bucket, counts))
        });
        all.map(|(webhook, bucket, counts)| {
            statistics::add(&self.keys, webhook, bucket, counts, pipeline)
        })
        .sum()
    }

    fn attempt(&self, attempt: &Attempt, pipeline: &mut Pipeline) -> usize {
        let own = self
            .keys
            .webhook_attempts(&attempt.organization, &attempt.webhook_id);
        let size = attempt_fields::size(attempt);
        for (stream, kept) in [
            (&self.all_attempts, self.settings.attempts_kept),
            (&own, self.settings.attempts_kept_per_webhook),
        ] {
            let mut command = Cmd::with_capacity(6 + 2 * attempt_fields::COUNT, size);
            command.arg("XADD").arg(stream);
            command.arg("MAXLEN").arg("~").arg(kept).arg("*");
            attempt_fields::write(attempt, &mut command);
            pipeline.add_command(command);
        }
        2 * size
    }

    fn mark(&self, mark: &Mark, pipeline: &mut Pipeline) {
        if mark.webhooks.is_empty() {
            return;
        }
        let key = self.keys.settled(&mark.organization, &mark.message);
        let returns = mark
            .hand_out
            .as_ref()
            .map_or(0, |hand_out| hand_out.returns);
        pipeline.cmd("HSET").arg(&key);
        for webhook in &mark.webhooks {
            pipeline
                .arg(field(webhook, mark.hand_out.as_ref()))
                .arg(returns);
        }
        expire(&key, MARKS_KEPT, pipeline);
    }

    fn unmark(&self, mark: &Mark, pipeline: &mut Pipeline) {
        let key = self.keys.settled(&mark.organization, &mark.message);
        if mark.hand_out.is_none() {
            expire(&key, SERVED_MARKS_KEPT, pipeline);
            return;
        }
        pipeline.cmd("HDEL").arg(&key);
        for webhook in &mark.webhooks {
            pipeline.arg(field(webhook, mark.hand_out.as_ref()));
        }
    }

    fn delivery(&self, record: &DeliveryRecord, pipeline: &mut Pipeline) -> usize {
        let delivery = &record.delivery;
        let (kept, fields, size) = match record.keep {
            Keep::Whole => {
                let size = delivery.event.body.len() + 1024;
                (self.settings.deliveries_kept, delivery_fields::COUNT, size)
            }
            Keep::Sequence => (SEQUENCE_KEPT, 0, 256),
        };
        let mut command = Cmd::with_capacity(6 + 2 * fields, size);
        command.arg("EVALSHA").arg(self.record.get_hash()).arg(1);
        command.arg(
            self.keys
                .delivery(&delivery.event.organization, &delivery.id),
        );
        command.arg(delivery.sequence).arg(kept.as_secs().max(1));
        if record.keep == Keep::Whole {
            delivery_fields::write(delivery, record.state, &mut command);
        }
        pipeline.add_command(command);
        size
    }
}

/// The field of a mark: the webhook, and the hand-out if there is one. No webhook's id has a space.
fn field(webhook: &WebhookId, hand_out: Option<&HandOut>) -> String {
    match hand_out {
        Some(hand_out) => format!("{webhook} {}", name(hand_out)),
        None => webhook.to_string(),
    }
}

/// A hand-out's name in the store.
pub(super) fn name(hand_out: &HandOut) -> String {
    format!("{:016x}", hand_out.id)
}

fn expire(key: &str, after: Duration, pipeline: &mut Pipeline) {
    pipeline.cmd("EXPIRE").arg(key).arg(after.as_secs());
}
