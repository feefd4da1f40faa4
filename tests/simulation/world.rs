//! The world around the engine: broker, record and receivers in one place, under one lock, in
//! virtual time.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use prism_webhooks::domain::delivery::Delivery;
use prism_webhooks::domain::event::{self, Header, RawEvent};
use prism_webhooks::domain::identity::Identity;
use prism_webhooks::embedded::calendars::EmbeddedCalendars;
use prism_webhooks::engine::ports::{Entry, FollowUp, SettledMarker, Settlement};
use tokio::sync::{Notify, mpsc};
use tokio::time::Instant;

use super::account::{Account, What};
use super::broker::{Broker, Content, Next, as_message};
use super::receivers::{Answer, Memory};
use super::record::Record;
use super::scenario::{End, Scenario, To};
use super::settings::{FOR_ALL, event_rules};

/// The world of one simulation.
pub struct World {
    pub scenario: Scenario,
    pub settled: Notify,
    pub calendars: EmbeddedCalendars,
    start: Instant,
    state: Mutex<State>,
}

/// All of it that changes.
pub struct State {
    pub account: Account,
    pub broker: Broker,
    pub record: Record,
    receivers: Vec<Memory>,
    /// The requests that are open: to which delivery, since when.
    open: BTreeMap<u64, (usize, Duration)>,
    requests: u64,
    /// Events still to be published.
    coming: usize,
}

impl World {
    pub fn new(scenario: &Scenario) -> Arc<Self> {
        let state = State {
            account: Account::new(scenario),
            broker: Broker::new(scenario.limits.prefetch),
            record: Record::new(scenario),
            receivers: vec![Memory::default(); scenario.webhooks.len()],
            open: BTreeMap::new(),
            requests: 0,
            coming: scenario.traffic.len(),
        };
        Arc::new(Self {
            scenario: scenario.clone(),
            settled: Notify::new(),
            calendars: EmbeddedCalendars::default(),
            start: Instant::now(),
            state: Mutex::new(state),
        })
    }

    /// The state at this moment.
    pub fn now(&self) -> MutexGuard<'_, State> {
        let mut state = self.state.lock().unwrap();
        state.account.now = self.start.elapsed();
        state
    }

    /// The account as it is now. Nothing is written down from now on.
    pub fn finish(&self) -> Account {
        let mut state = self.now();
        state.open.clear();
        std::mem::replace(&mut state.account, Account::new(&self.scenario))
    }

    pub fn at(&self, time: Duration) -> Instant {
        self.start + time
    }

    /// Publishes everything when its time has come.
    pub async fn publish(&self) {
        let rules = event_rules(&self.scenario);
        for (number, event) in self.scenario.traffic.iter().enumerate() {
            tokio::time::sleep_until(self.at(event.at)).await;
            let event_type = match event.to {
                To::All => FOR_ALL.to_owned(),
                To::One(webhook) => format!("w{webhook}"),
            };
            let mut state = self.now();
            state.account.published(number);
            state.coming -= 1;
            let raw = RawEvent {
                stamp: None,
                message_id: Some(format!("e{number}")),
                organization: Header::Text(format!("o{}", event.organization).into()),
                traceparent: Header::Absent,
                body: format!(r#"{{"event":"{event_type}","n":{number}}}"#).into(),
                routing_key: event_type,
            };
            let mark = Identity::of(&event::decode(&raw, &rules).unwrap(), None, 0).key;
            state.account.marks.insert(mark, number);
            state.broker.put(Content::Event(raw));
            self.hand_out(state);
        }
    }

    /// A request begins: to which delivery, what it gets, and when.
    pub fn request_begins(&self, body: &[u8], webhook: usize, attempt: u32) -> Request {
        let event = event_number(body).expect("a request carries an event of the scenario");
        let mut state = self.now();
        let state = &mut *state;
        let delivery = state.account.delivery(event, webhook).unwrap();
        state.account.began(delivery, attempt);
        let (now, receiver) = (state.account.now, self.scenario.webhooks[webhook].receiver);
        let words = (event, webhook, attempt);
        let chance = crate::embedded::mixed(self.scenario.seed, &words);
        let planned = receiver.answer(&mut state.receivers[webhook], now, chance);
        state.requests += 1;
        state.open.insert(state.requests, (delivery, now));
        Request {
            id: state.requests,
            after: planned.after,
            answer: planned.answer,
        }
    }

    /// A request has ended, or was cut off; it may have been cut off before.
    pub fn request_ends(&self, id: u64, answer: Option<Answer>) {
        let mut state = self.now();
        if let Some((delivery, began)) = state.open.remove(&id) {
            state.account.ended(delivery, began, answer);
        }
    }

    /// The broker keeps what the engine hands over.
    pub fn hand_over(self: &Arc<Self>, follow_up: FollowUp) {
        let mut state = self.now();
        match Next::from(follow_up) {
            Next::Later(delivery, wait) => {
                let number = state.account.number_of(&delivery);
                state.account.delayed(number, delivery.attempt, wait);
                state.broker.delayed += 1;
                tokio::spawn(self.clone().come_back(delivery, wait));
            }
            Next::Now(delivery) => {
                let number = state.account.number_of(&delivery);
                state.account.due(number, What::Split);
                state.broker.put(Content::Delivery(delivery));
            }
            Next::Dead(Some(delivery), reason) => {
                let number = state.account.number_of(&delivery);
                state.account.settled(number, What::Dead(reason));
            }
            Next::Dead(None, reason) => panic!("a message of the scenario is refused: {reason}"),
            Next::Publish(event) => state.broker.put(Content::Event(as_message(&event))),
        }
        self.hand_out(state);
    }

    async fn come_back(self: Arc<Self>, delivery: Delivery, wait: Duration) {
        tokio::time::sleep(wait).await;
        let mut state = self.now();
        let number = state.account.number_of(&delivery);
        state.account.due(number, What::Due);
        state.broker.delayed -= 1;
        state.broker.put(Content::Delivery(delivery));
        self.hand_out(state);
    }

    /// Carries out what a worker settles. Its acknowledgements take no time, and all arrive.
    pub async fn settle(
        self: Arc<Self>,
        mut settlements: mpsc::UnboundedReceiver<Settlement>,
        proven: mpsc::UnboundedSender<SettledMarker>,
    ) {
        while let Some(settlement) = settlements.recv().await {
            let mut state = self.now();
            match settlement {
                Settlement::Done { tag, mark, .. } => {
                    if let Some(content) = state.broker.acked(tag) {
                        state.account.acked(&content);
                    }
                    mark.map(|mark| proven.send(mark));
                }
                Settlement::Returned { tag } => {
                    if let Some(Content::Delivery(delivery)) = state.broker.returned(tag) {
                        let number = state.account.number_of(&delivery);
                        state.account.due(number, What::Returned);
                    }
                }
            }
            self.hand_out(state);
        }
    }

    /// A worker is gone: what it had open is cut off, what it had in hand goes back.
    pub fn worker_ended(&self, end: End) {
        let mut state = self.now();
        let open = std::mem::take(&mut state.open);
        for (delivery, began) in open.into_values() {
            state.account.ended(delivery, began, None);
        }
        state.broker.lose_consumer();
        state.account.worker_ended(end);
    }

    /// Hands out what may be handed out, and tells whoever waits for the end.
    pub fn hand_out(&self, mut state: MutexGuard<'_, State>) {
        for delivery in state.broker.hand_out() {
            let number = state.account.number_of(&delivery);
            state.account.deliveries[number].waits_on = delivery.remaining_wait.is_some();
        }
        if state.coming == 0 && state.broker.is_empty() {
            self.settled.notify_one();
        }
    }
}

/// A request under way.
pub struct Request {
    pub id: u64,
    pub after: Duration,
    pub answer: Answer,
}

impl Account {
    fn number_of(&self, delivery: &Delivery) -> usize {
        let event = event_number(&delivery.event.body).unwrap();
        self.delivery(event, webhook_number(delivery.webhook.as_str()))
            .unwrap()
    }

    /// What is put on record is settled.
    pub fn recorded(&mut self, entry: &Entry) {
        if let Some(record) = &entry.delivery {
            let number = self.number_of(&record.delivery);
            self.deliveries[number].unsettled = false;
        }
        let Some(mark) = &entry.mark else { return };
        let Some(event) = self.marks.get(&mark.message).copied() else {
            return;
        };
        for webhook in &mark.webhooks {
            if let Some(number) = self.delivery(event, webhook_number(webhook.as_str())) {
                self.deliveries[number].unsettled = false;
            }
        }
    }

    fn acked(&mut self, content: &Content) {
        match content {
            Content::Delivery(delivery) => self.settled(self.number_of(delivery), What::Settled),
            Content::Event(raw) => {
                let Some(event) = event_number(&raw.body) else {
                    return;
                };
                for webhook in 0..self.webhooks.len() {
                    if let Some(delivery) = self.delivery(event, webhook) {
                        self.settled(delivery, What::Settled);
                    }
                }
            }
        }
    }
}

/// The number of the event with this body; `None` if it is one of the engine's own.
pub fn event_number(body: &[u8]) -> Option<usize> {
    let text = std::str::from_utf8(body).unwrap();
    let (_, number) = text.split_once(r#""n":"#)?;
    Some(number.trim_end_matches('}').parse().unwrap())
}

/// The number of the webhook with this id.
pub fn webhook_number(id: &str) -> usize {
    id.trim_start_matches('w').parse().unwrap()
}
