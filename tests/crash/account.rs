//! The account of a crash test: what was asked of the workers, what arrived, what is on record,
//! what was given up, and whether it all agrees.

use super::plan::{Call, MAX_ATTEMPTS, status};
use super::publisher::Published;
use crate::support::receiver::Receiver;
use ::redis::streams::StreamRangeReply;
use serde_json::Value;
use std::collections::{BTreeMap, HashMap};
use std::io::Write;

/// How many entries are read from Redis at once.
const PAGE: usize = 500;

/// Fields of an entry that always have a value.
const ALWAYS: [&str; 16] = [
    "delivery_id",
    "event_id",
    "event_type",
    "organization",
    "webhook_id",
    "url",
    "attempt",
    "trigger",
    "outcome",
    "response_truncated",
    "started_at",
    "duration_ms",
    "worker",
    "version",
    "own_headers",
    "signed_by",
];

/// The other fields of an entry.
const SOMETIMES: [&str; 7] = [
    "status_code",
    "location",
    "error",
    "response_body",
    "remote_addr",
    "next_attempt_at",
    "traceparent",
];

/// What a test promises beyond "nothing lost, no holes".
#[derive(Debug, Clone, Copy)]
pub struct Promise {
    /// Repeated requests: the same attempt of the same delivery, once more. That is what was in
    /// flight; a repeated attempt that fails may have been followed by two messages, and of these
    /// a few come so close together that the attempt after it is repeated as well: at most an
    /// eighth beside.
    pub repeats: usize,
    /// How often any one attempt of a delivery may come at most.
    pub each: usize,
    /// Entries of the record beyond one for each request. Only a Redis that dies between carrying
    /// commands out and saying so makes any.
    pub surplus_entries: usize,
}

impl Promise {
    /// At most so many repeats; any one attempt comes twice at most.
    pub fn repeats(repeats: usize) -> Self {
        Self {
            repeats,
            each: 2,
            surplus_entries: 0,
        }
    }
}

/// A delivery: event id and webhook name.
type Key = (String, String);

/// What is known of one attempt of a delivery.
#[derive(Debug, Default)]
struct Attempt {
    requests: usize,
    entries: Vec<Entry>,
}

#[derive(Debug)]
struct Entry {
    outcome: String,
    next: bool,
}

#[derive(Debug, Default)]
struct Delivery {
    id: String,
    attempts: BTreeMap<u32, Attempt>,
    /// For each dead letter, the number of its last attempt and its reason.
    letters: Vec<(u64, String)>,
}

pub struct Account {
    redis: String,
    stream: String,
    webhooks: Vec<&'static str>,
    deliveries: BTreeMap<Key, Delivery>,
    /// From the webhooks' ids, as the record has them, to their names.
    names: HashMap<String, String>,
    read_to: String,
    on_record: usize,
}

impl Account {
    pub fn new(redis: &str, namespace: &str, webhooks: &[&'static str]) -> Self {
        Self {
            redis: redis.to_owned(),
            stream: format!("{namespace}:webhooks:attempts"),
            webhooks: webhooks.to_vec(),
            deliveries: BTreeMap::new(),
            names: HashMap::new(),
            read_to: "0".to_owned(),
            on_record: 0,
        }
    }

    /// Entries read so far.
    pub fn on_record(&self) -> usize {
        self.on_record
    }

    /// Reads the entries that have been added to the record.
    pub async fn read_on(&mut self) -> ::redis::RedisResult<()> {
        let mut connection = ::redis::Client::open(self.redis.as_str())?
            .get_multiplexed_async_connection()
            .await?;
        loop {
            let page: StreamRangeReply = ::redis::cmd("XRANGE")
                .arg(&self.stream)
                .arg(format!("({}", self.read_to))
                .arg("+")
                .arg("COUNT")
                .arg(PAGE)
                .query_async(&mut connection)
                .await?;
            let Some(last) = page.ids.last() else {
                return Ok(());
            };
            self.read_to.clone_from(&last.id);
            for entry in &page.ids {
                let fields: HashMap<&str, String> = entry
                    .map
                    .iter()
                    .map(|(name, value)| (name.as_str(), text(value)))
                    .collect();
                self.enter(&fields);
            }
        }
    }

    fn enter(&mut self, fields: &HashMap<&str, String>) {
        for name in ALWAYS {
            let value = fields.get(name);
            assert!(value.is_some_and(|v| !v.is_empty()), "{name} in {fields:?}");
        }
        assert!(SOMETIMES.iter().all(|name| fields.contains_key(name)));
        assert_eq!(fields.len(), ALWAYS.len() + SOMETIMES.len(), "{fields:?}");
        self.on_record += 1;
        let (_, webhook) = fields["url"].rsplit_once('/').expect("a path");
        self.names
            .insert(fields["webhook_id"].clone(), webhook.to_owned());
        let key = (fields["event_id"].clone(), webhook.to_owned());
        let delivery = self.deliveries.entry(key).or_default();
        delivery.named(&fields["delivery_id"]);
        let number = fields["attempt"].parse().expect("a number");
        let attempt = delivery.attempts.entry(number).or_default();
        attempt.entries.push(Entry {
            outcome: fields["outcome"].clone(),
            next: !fields["next_attempt_at"].is_empty(),
        });
    }

    /// How many deliveries of confirmed events have no end on record yet.
    pub fn open(&self, published: &Published) -> usize {
        let expected = published.confirmed.iter().flat_map(|event| {
            self.webhooks
                .iter()
                .map(|webhook| (event.clone(), (*webhook).to_owned()))
        });
        expected
            .filter(|key| !self.deliveries.get(key).is_some_and(Delivery::has_end))
            .count()
    }

    pub fn count_requests(&mut self, receiver: &Receiver) {
        for request in receiver.requests() {
            let call = Call::of(&request);
            let delivery = self
                .deliveries
                .entry((call.event, call.webhook))
                .or_default();
            delivery.named(&call.delivery);
            delivery.attempts.entry(call.attempt).or_default().requests += 1;
        }
    }

    /// Takes the output of `dead-letters list --json`.
    pub fn count_letters(&mut self, letters: &Value) {
        for letter in letters.as_array().expect("a list") {
            let text = |name: &str| letter[name].as_str().expect("a text").to_owned();
            let webhook = self.names[&text("webhook")].clone();
            let delivery = self.deliveries.entry((text("event"), webhook)).or_default();
            delivery.named(&text("delivery"));
            let attempts = letter["attempts"].as_u64().expect("a number");
            delivery.letters.push((attempts, text("reason")));
        }
    }

    /// Prints the counts in one line and holds them to `promise`.
    pub fn settle(&self, test: &str, seconds: u64, published: &Published, promise: Promise) {
        let expected = published.confirmed.len() * self.webhooks.len();
        let attempts = || self.deliveries.values().flat_map(|d| d.attempts.values());
        let repeats: usize = attempts().map(|a| a.requests.saturating_sub(1)).sum();
        let later: usize = self.deliveries.values().map(Delivery::later_repeats).sum();
        let distinct = attempts().filter(|a| !a.entries.is_empty()).count();
        let dead: usize = self.deliveries.values().map(|d| d.letters.len()).sum();
        let delivered = self.deliveries.values().filter(|d| d.delivered()).count();
        let arrived = attempts().map(|a| a.requests).sum::<usize>();
        // Straight to the file: the harness keeps what `println!` prints of tests that pass.
        let line = format!(
            "crash test {test}: {} events confirmed ({} in doubt), {expected} deliveries expected, \
             {delivered} delivered, {dead} dead letters, {arrived} requests, {repeats} repeats (at \
             most {}; {later} in a later attempt of one repeated before), {} attempts on record \
             ({distinct} distinct), {seconds} s\n",
            published.confirmed.len(),
            published.doubtful.len(),
            promise.repeats,
            self.on_record
        );
        std::io::stderr()
            .write_all(line.as_bytes())
            .expect("written");

        assert_eq!(self.open(published), 0, "lost");
        for event in &published.doubtful {
            let known = |webhook: &&&str| {
                let key = (event.clone(), (**webhook).to_owned());
                self.deliveries.get(&key).is_some_and(Delivery::has_end)
            };
            let known = self.webhooks.iter().filter(known).count();
            assert!([0, self.webhooks.len()].contains(&known), "half of {event}");
        }
        self.none("belongs to an event that was published", |(event, _), _| {
            published.confirmed.contains(event) || published.doubtful.contains(event)
        });
        self.none("is recorded from 1 on without holes", |_, d| {
            d.attempts.keys().copied().eq(1..=d.attempts.len() as u32)
                && d.attempts.values().all(|a| !a.entries.is_empty())
        });
        self.none("has an entry only for what was requested", |_, d| {
            d.attempts.values().all(|a| a.requests > 0)
        });
        self.none("is recorded as it was answered", |(_, webhook), d| {
            d.recorded_as_answered(webhook)
        });
        self.none("is a dead letter exactly if it was given up", |_, d| {
            d.given_up_rightly()
        });
        self.none("comes as often as promised", |_, d| {
            d.attempts.values().all(|a| a.requests <= promise.each)
        });
        let surplus: usize = attempts()
            .map(|a| a.entries.len().saturating_sub(a.requests))
            .sum();
        assert!(
            surplus <= promise.surplus_entries,
            "{surplus} entries too many"
        );
        let (first, few) = (repeats - later, promise.repeats.div_ceil(8));
        assert!(first <= promise.repeats, "{first} repeats");
        assert!(later <= few, "{later} repeats in a later attempt");
    }

    /// Panics with some of the deliveries for which `rule` does not hold.
    fn none(&self, name: &str, rule: impl Fn(&Key, &Delivery) -> bool) {
        let broken: Vec<_> = self
            .deliveries
            .iter()
            .filter(|(k, d)| !rule(k, d))
            .collect();
        assert!(
            broken.is_empty(),
            "not every delivery {name}: {} do not, such as {:#?}",
            broken.len(),
            &broken[..broken.len().min(3)]
        );
    }
}

impl Delivery {
    fn named(&mut self, id: &str) {
        if self.id.is_empty() {
            self.id = id.to_owned();
        }
        assert_eq!(self.id, id, "one delivery has one id");
    }

    /// Whether the record says how it ended.
    fn has_end(&self) -> bool {
        self.delivered()
            || (self.attempts.get(&MAX_ATTEMPTS)).is_some_and(|attempt| !attempt.entries.is_empty())
    }

    fn delivered(&self) -> bool {
        self.attempts
            .values()
            .flat_map(|attempt| &attempt.entries)
            .any(|entry| entry.outcome == "delivered")
    }

    /// Repeats of an attempt after another that was repeated: a crash made two messages of its
    /// retry, and both came at once.
    fn later_repeats(&self) -> usize {
        let repeats = self.attempts.values().map(|a| a.requests.saturating_sub(1));
        repeats.filter(|repeats| *repeats > 0).skip(1).sum()
    }

    /// Every entry says what was answered, and another attempt follows those that say so.
    fn recorded_as_answered(&self, webhook: &str) -> bool {
        let last = self.attempts.len() as u32;
        self.attempts.iter().all(|(number, attempt)| {
            let outcome = match status(webhook, &self.id, *number) {
                200 => "delivered",
                _ => "rejected",
            };
            let next = outcome == "rejected" && *number < MAX_ATTEMPTS;
            next == (*number < last)
                && attempt
                    .entries
                    .iter()
                    .all(|entry| entry.outcome == outcome && entry.next == next)
        })
    }

    /// Each last attempt that failed has a dead letter. A repeated one may have as many.
    fn given_up_rightly(&self) -> bool {
        let last = self.attempts.get(&MAX_ATTEMPTS);
        let allowed = match last.filter(|_| !self.delivered()) {
            None => 0..=0,
            Some(attempt) => 1..=attempt.requests,
        };
        let expected = (u64::from(MAX_ATTEMPTS), "attempts-exhausted".to_owned());
        allowed.contains(&self.letters.len()) && self.letters.iter().all(|l| *l == expected)
    }
}

fn text(value: &::redis::Value) -> String {
    ::redis::from_redis_value(value.clone()).expect("a text")
}
