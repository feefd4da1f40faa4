//! Which commands put an entry on record.

use std::time::Duration;

use jiff::Timestamp;
use redis::{Arg, Cmd, Pipeline, Script};

use crate::domain::attempt::Attempt;
use crate::domain::delivery::Delivery;
use crate::domain::delivery_state::DeliveryState;
use crate::domain::ids::{MessageKey, Organization};
use crate::domain::webhook::WebhookKey;
use crate::engine::ports::{DeliveryRecord, Entry, Keep, SettledMarker};
use crate::redis::keys::Keys;
use crate::redis::{attempt_fields, delivery_fields, letters, statistics};
use crate::store::retention::{
    DeliveryLogSettings, HEALTH_KEPT, MARKS_KEPT, QUIET_KEPT, SEQUENCE_KEPT, SERVED_MARKS_KEPT,
};
use crate::store::statistics::Counted;

const ATTEMPT: &str = include_str!("../scripts/attempt.lua");
const RECORD: &str = include_str!("../scripts/delivery_state.lua");
const TEND: &str = include_str!("../scripts/tend.lua");

/// Turns entries into commands.
#[derive(Debug)]
pub(super) struct Encoder {
    keys: Keys,
    settings: DeliveryLogSettings,
    all_attempts: String,
    attempt: Script,
    record: Script,
    delivered: Script,
    tend: Script,
}

impl Encoder {
    pub(super) fn new(keys: Keys, settings: DeliveryLogSettings) -> Self {
        Self {
            all_attempts: keys.attempts(),
            keys,
            settings,
            attempt: Script::new(ATTEMPT),
            record: Script::new(RECORD),
            delivered: Script::new(&letters::delivered()),
            tend: Script::new(TEND),
        }
    }

    /// The commands that make the scripts known to a server that forgot them.
    pub(super) fn load(&self) -> [Cmd; 4] {
        [ATTEMPT, RECORD, TEND, &letters::delivered()].map(|script| {
            let mut command = redis::cmd("SCRIPT");
            command.arg("LOAD").arg(script);
            command
        })
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
        if let Some((organization, event)) = &entry.unmark {
            self.unmark(organization, event, pipeline);
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

    /// Appends what sees to it that nothing of a webhook is kept for ever, to come behind all that
    /// was written of it: one command for each webhook and pipeline, however much that is.
    pub(super) fn tend(&self, webhook: &WebhookKey, now: Timestamp, pipeline: &mut Pipeline) {
        let WebhookKey { organization, id } = webhook;
        let [outcomes, durations] = self.keys.counts(organization, id);
        let (first, last) = statistics::days(now);
        pipeline.cmd("EVALSHA").arg(self.tend.get_hash()).arg(5);
        pipeline.arg(self.keys.webhooks(organization));
        pipeline.arg(self.keys.webhook_attempts(organization, id));
        pipeline.arg(self.keys.health(webhook));
        pipeline.arg(self.keys.organization_attempts(organization));
        pipeline.arg(&self.all_attempts);
        pipeline.arg(id.as_str()).arg(QUIET_KEPT.as_secs());
        pipeline.arg(outcomes).arg(durations).arg(first).arg(last);
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

    /// The same command without the body, if it is one that keeps a delivery with its body: for when
    /// there is no room for that. As many bytes of the organization's oldest bodies go instead.
    pub(super) fn without_body(&self, command: &Cmd) -> Option<Cmd> {
        /// Where the budget stands, behind name, hash, three keys with their number, and two more.
        const BUDGET: usize = 8;
        let arguments: Vec<&[u8]> = command.args_iter().map_while(simple).collect();
        let is_record = arguments.get(1..3) == Some(&[self.record.get_hash().as_bytes(), b"3"]);
        let body = arguments
            .last()
            .filter(|body| is_record && !body.is_empty())?;
        let mut without = Cmd::with_capacity(arguments.len(), 1024);
        for (place, argument) in arguments[..arguments.len() - 1].iter().enumerate() {
            match place {
                BUDGET => without.arg(format!("-{}", body.len())),
                _ => without.arg(argument),
            };
        }
        without.arg("");
        Some(without)
    }

    fn attempt(&self, attempt: &Attempt, pipeline: &mut Pipeline) -> usize {
        let Attempt {
            organization,
            webhook_id,
            ..
        } = attempt;
        let size = attempt_fields::size(attempt);
        let mut command = Cmd::with_capacity(8 + 2 * attempt_fields::COUNT, size);
        command.arg("EVALSHA").arg(self.attempt.get_hash()).arg(3);
        command.arg(&self.all_attempts);
        command.arg(self.keys.webhook_attempts(organization, webhook_id));
        command.arg(self.keys.organization_attempts(organization));
        command.arg(self.settings.attempts_kept);
        command.arg(self.settings.attempts_kept_per_webhook);
        attempt_fields::write(attempt, &mut command);
        pipeline.add_command(command);
        size
    }

    fn mark(&self, mark: &SettledMarker, pipeline: &mut Pipeline) {
        if mark.webhooks.is_empty() {
            return;
        }
        let key = self.keys.settled(&mark.organization, &mark.message);
        pipeline.cmd("SADD").arg(&key);
        for webhook in &mark.webhooks {
            pipeline.arg(webhook.as_str());
        }
        expire(&key, MARKS_KEPT, pipeline);
    }

    fn unmark(&self, organization: &Organization, message: &MessageKey, pipeline: &mut Pipeline) {
        let key = self.keys.settled(organization, message);
        expire(&key, SERVED_MARKS_KEPT, pipeline);
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
        let organization = &delivery.event.organization;
        let whole = record.keep == Keep::Whole;
        let mut command = Cmd::with_capacity(11 + 2 * fields, size);
        command.arg("EVALSHA").arg(self.record.get_hash());
        command.arg(if whole { 3 } else { 1 });
        command.arg(self.keys.delivery(organization, &delivery.id));
        if whole {
            command.arg(self.keys.bodies(organization));
            command.arg(self.keys.body_sizes(organization));
        }
        command.arg(delivery.sequence).arg(kept.as_secs().max(1));
        if whole {
            command.arg(self.settings.bodies_per_organization);
            command.arg(self.keys.deliveries(organization));
            command.arg(delivery.id.as_str());
            delivery_fields::write(delivery, record.state, &mut command);
        }
        pipeline.add_command(command);
        if record.state == DeliveryState::Delivered {
            self.delivered(delivery, pipeline);
        }
        size
    }

    /// Appends what makes the dead letter of a delivery void, if there is one.
    fn delivered(&self, delivery: &Delivery, pipeline: &mut Pipeline) {
        let keys = letters::script_keys(&self.keys);
        pipeline.cmd("EVALSHA").arg(self.delivered.get_hash());
        pipeline.arg(keys.len()).arg(&keys);
        pipeline.arg(&letters::around_organization(&self.keys));
        pipeline.arg(delivery.id.as_str()).arg(delivery.sequence);
    }
}

fn simple(argument: Arg<&[u8]>) -> Option<&[u8]> {
    match argument {
        Arg::Simple(bytes) => Some(bytes),
        _ => None,
    }
}

fn expire(key: &str, after: Duration, pipeline: &mut Pipeline) {
    pipeline.cmd("EXPIRE").arg(key).arg(after.as_secs());
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::domain::event::Event;

    fn arguments(command: &Cmd) -> Vec<Vec<u8>> {
        let all = command.args_iter().map_while(simple);
        all.map(<[u8]>::to_vec).collect()
    }

    #[test]
    fn a_record_goes_without_its_body_if_there_is_no_room_for_it_and_nothing_else_does() {
        let encoder = Encoder::new(Keys::new("ns"), DeliveryLogSettings::default());
        let event = Event {
            id: "e".parse().unwrap(),
            event_type: "a.b".parse().unwrap(),
            organization: Organization::default(),
            traceparent: None,
            body: "0123456789".into(),
        };
        let delivery = Delivery::first(Arc::new(event), "w".parse().unwrap());
        let record = |keep| DeliveryRecord {
            delivery: delivery.clone(),
            state: DeliveryState::Delivered,
            keep,
        };
        let command = |keep| {
            let mut pipeline = Pipeline::new();
            encoder.delivery(&record(keep), &mut pipeline);
            pipeline.cmd_iter().next().unwrap().clone()
        };
        let whole = command(Keep::Whole);
        let without = encoder.without_body(&whole).unwrap();
        let (before, after) = (arguments(&whole), arguments(&without));
        let budget = DeliveryLogSettings::default().bodies_per_organization;
        let differs: Vec<_> = before.iter().zip(&after).filter(|(a, b)| a != b).collect();
        let budget = budget.to_string().into_bytes();
        assert_eq!(before.len(), after.len());
        assert_eq!(
            differs,
            [
                (&budget, &b"-10".to_vec()),
                (&b"0123456789".to_vec(), &vec![])
            ]
        );
        assert!(encoder.without_body(&without).is_none(), "once is enough");
        assert!(encoder.without_body(&command(Keep::Sequence)).is_none());
    }
}
