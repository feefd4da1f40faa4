//! The account of a simulation: what became of each delivery and each webhook, and everything that
//! happened, in virtual time. What must hold at each step is checked as it is written down.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::time::Duration;

use prism_webhooks::domain::dead_letter::Reason;
use prism_webhooks::domain::ids::MessageKey;

use super::receivers::Answer;
use super::scenario::{End, Scenario};

/// Something that happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum What {
    Published,
    /// An attempt with this number began.
    Began(u32),
    Ended(Answer),
    /// The worker that made the request is gone, or gave it up.
    CutOff,
    /// Put off without an attempt.
    Deferred(Duration),
    /// The attempt with this number is to be made after so long.
    Retried(u32, Duration),
    /// Put off for the rest of a wait.
    WaitsOn(Duration),
    Due,
    /// Sent round as a message of its own.
    Split,
    Settled,
    Returned,
    Dead(Reason),
    Disabled,
    WorkerStarted,
    WorkerEnded(End),
}

/// Something that happened, when, and to whom.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Happened {
    pub at: Duration,
    pub what: What,
    pub delivery: Option<usize>,
    pub webhook: Option<usize>,
}

/// Where a delivery is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    /// In a queue, or in the worker's hand, without a request open.
    Waiting,
    Open,
    /// In a delay queue.
    Delayed,
    /// Its message is settled, or about to be.
    Done,
}

/// One delivery.
#[derive(Debug, Clone)]
pub struct DeliveryAccount {
    pub event: usize,
    pub webhook: usize,
    pub published: Duration,
    /// How many deliveries of its webhook were not done when it was published.
    pub ahead: usize,
    pub first_began: Option<Duration>,
    pub phase: Phase,
    /// The number of the last attempt that began.
    pub attempt: u32,
    /// An attempt has ended and nothing followed from it yet.
    pub undecided: bool,
    /// An attempt was made that a crash now would repeat.
    pub unsettled: bool,
    /// A crash may have it repeated.
    pub repeatable: bool,
    /// A crash may have made several messages of it.
    pub copies: bool,
    /// The message in hand has the rest of a wait to keep.
    pub waits_on: bool,
    pub delivered: u32,
    pub dead: bool,
    pub deferrals: u32,
    pub hand_overs: u32,
}

/// One webhook.
#[derive(Debug, Clone, Default)]
pub struct WebhookAccount {
    /// When each open request began.
    pub open: Vec<Duration>,
    pub most_open: usize,
    pub waiting: usize,
    /// Deliveries that are not done.
    pub undone: usize,
    pub began: usize,
    pub deferrals: u32,
    pub hand_overs: u32,
    pub last_ended: Duration,
    /// Whether it ever answered this worker.
    pub answered: bool,
    /// Nothing may begin before this time: the receiver asked for it.
    pub closed_until: Option<Duration>,
    /// When it did so last. What the worker let go in that very moment it had let go before.
    pub closed_at: Duration,
    /// The requests begun since the last such time, within a second of it.
    pub begun_after_pause: usize,
    /// Since when a place has been left unused that somebody could have used.
    pub idle_since: Option<Duration>,
    /// When its requests of the last second began, if it has a rate limit.
    pub begun_lately: VecDeque<Duration>,
}

/// A promise that was not kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Broken {
    pub at: Duration,
    pub promise: &'static str,
    /// What was seen instead.
    pub seen: String,
    pub delivery: Option<usize>,
    pub webhook: usize,
}

/// The account of one simulation.
#[derive(Debug)]
pub struct Account {
    pub scenario: Scenario,
    pub now: Duration,
    pub trace: Vec<Happened>,
    pub webhooks: Vec<WebhookAccount>,
    pub deliveries: Vec<DeliveryAccount>,
    pub broken: Vec<Broken>,
    /// How often each promise was broken.
    pub times_broken: BTreeMap<&'static str, usize>,
    pub most_open: usize,
    pub worker_up: bool,
    pub worker_ends: u32,
    pub(super) open: usize,
    /// The events by what their marks are kept under.
    pub(super) marks: HashMap<MessageKey, usize>,
    index: HashMap<(usize, usize), usize>,
}

impl Account {
    pub fn new(scenario: &Scenario) -> Self {
        Self {
            webhooks: vec![WebhookAccount::default(); scenario.webhooks.len()],
            scenario: scenario.clone(),
            now: Duration::ZERO,
            trace: Vec::new(),
            deliveries: Vec::new(),
            broken: Vec::new(),
            times_broken: BTreeMap::new(),
            most_open: 0,
            worker_up: false,
            worker_ends: 0,
            open: 0,
            marks: HashMap::new(),
            index: HashMap::new(),
        }
    }

    /// The delivery of an event to a webhook.
    pub fn delivery(&self, event: usize, webhook: usize) -> Option<usize> {
        self.index.get(&(event, webhook)).copied()
    }

    pub fn published(&mut self, event: usize) {
        let publication = self.scenario.traffic[event];
        let wanting: Vec<usize> = self.scenario.wanting(&publication).collect();
        for webhook in wanting {
            let delivery = self.deliveries.len();
            self.index.insert((event, webhook), delivery);
            self.deliveries.push(DeliveryAccount {
                event,
                webhook,
                published: self.now,
                ahead: self.webhooks[webhook].undone,
                first_began: None,
                phase: Phase::Done,
                attempt: 0,
                undecided: false,
                unsettled: false,
                repeatable: false,
                copies: false,
                waits_on: false,
                delivered: 0,
                dead: false,
                deferrals: 0,
                hand_overs: 0,
            });
            self.enter(delivery, Phase::Waiting);
            self.note(What::Published, Some(delivery), Some(webhook));
        }
    }

    pub fn began(&mut self, delivery: usize, attempt: u32) {
        self.check_beginning(delivery, attempt);
        let (now, webhook) = (self.now, self.deliveries[delivery].webhook);
        self.enter(delivery, Phase::Open);
        let one = &mut self.deliveries[delivery];
        one.first_began.get_or_insert(now);
        one.attempt = one.attempt.max(attempt);
        (one.unsettled, one.repeatable, one.undecided) = (true, false, false);
        let receiver = &mut self.webhooks[webhook];
        receiver.open.push(now);
        receiver.began += 1;
        receiver.most_open = receiver.most_open.max(receiver.open.len());
        self.open += 1;
        self.most_open = self.most_open.max(self.open);
        self.note(What::Began(attempt), Some(delivery), Some(webhook));
        self.check_open(webhook);
        self.check_rate(webhook);
    }

    /// The request that began at `began` has ended, or was cut off.
    pub fn ended(&mut self, delivery: usize, began: Duration, answer: Option<Answer>) {
        let (now, webhook) = (self.now, self.deliveries[delivery].webhook);
        let receiver = &mut self.webhooks[webhook];
        let position = receiver.open.iter().position(|open| *open == began);
        receiver.open.remove(position.expect("it was open"));
        self.open -= 1;
        let what = match answer {
            Some(answer) => What::Ended(answer),
            None => What::CutOff,
        };
        if let Some(Answer::Status(_, asked)) = answer {
            receiver.answered = true;
            if let Some(seconds) = asked {
                let until = now + Duration::from_secs(seconds);
                receiver.closed_until = receiver.closed_until.max(Some(until));
                receiver.closed_at = now;
                receiver.begun_after_pause = 0;
            }
        }
        let one = &mut self.deliveries[delivery];
        one.undecided = answer.is_some();
        one.delivered += u32::from(matches!(answer, Some(Answer::Status(200..=299, _))));
        let next = match answer {
            Some(_) => Phase::Done,
            None => Phase::Waiting,
        };
        if one.phase == Phase::Open {
            self.enter(delivery, next);
        }
        self.webhooks[webhook].last_ended = now;
        self.note(what, Some(delivery), Some(webhook));
    }

    /// The broker keeps the delivery for `wait`. What follows from an attempt is a retry, what
    /// follows from a wait that no delay queue could keep whole is its rest; all else is a deferral.
    pub fn delayed(&mut self, delivery: usize, attempt: u32, wait: Duration) {
        let one = &mut self.deliveries[delivery];
        let webhook = one.webhook;
        one.hand_overs += 1;
        self.webhooks[webhook].hand_overs += 1;
        let what = if one.undecided {
            What::Retried(attempt, wait)
        } else if one.waits_on {
            What::WaitsOn(wait)
        } else {
            one.deferrals += 1;
            self.webhooks[webhook].deferrals += 1;
            What::Deferred(wait)
        };
        self.deliveries[delivery].undecided = false;
        self.note(what, Some(delivery), Some(webhook));
        if let What::Deferred(_) = what {
            self.check_deferral(delivery);
        }
        self.enter(delivery, Phase::Delayed);
    }

    /// A message of the delivery is back in the deliveries queue.
    pub fn due(&mut self, delivery: usize, what: What) {
        if self.deliveries[delivery].phase != Phase::Open {
            self.enter(delivery, Phase::Waiting);
        }
        self.note(
            what,
            Some(delivery),
            Some(self.deliveries[delivery].webhook),
        );
    }

    /// The delivery will not be sent again for the attempts made so far, crash or not.
    pub fn settled(&mut self, delivery: usize, what: What) {
        let one = &mut self.deliveries[delivery];
        (one.unsettled, one.undecided) = (false, false);
        if let What::Dead(_) = what {
            one.dead = true;
        }
        let phase = one.phase;
        if phase == Phase::Waiting {
            self.enter(delivery, Phase::Done);
        }
        // The message of one that was put off is settled too, but that is not what became of it.
        if phase == Phase::Delayed && what == What::Settled {
            return;
        }
        self.note(
            what,
            Some(delivery),
            Some(self.deliveries[delivery].webhook),
        );
    }

    pub fn disabled(&mut self, webhook: usize) {
        self.note(What::Disabled, None, Some(webhook));
    }

    pub fn worker_started(&mut self) {
        self.worker_up = true;
        self.note(What::WorkerStarted, None, None);
    }

    /// The worker takes nothing new any more.
    pub fn worker_stops(&mut self) {
        self.worker_up = false;
    }

    /// The worker is gone. What it had open is cut off before.
    pub fn worker_ended(&mut self, end: End) {
        (self.worker_up, self.worker_ends) = (false, self.worker_ends + 1);
        self.note(What::WorkerEnded(end), None, None);
        if end == End::Crash {
            self.check_crash();
        }
        for one in &mut self.deliveries {
            if one.unsettled && end == End::Crash {
                (one.repeatable, one.copies) = (true, true);
            }
            (one.unsettled, one.undecided) = (false, false);
        }
        // Whatever was known of the receivers is forgotten.
        for receiver in &mut self.webhooks {
            (receiver.answered, receiver.closed_until) = (false, None);
        }
    }

    pub fn note(&mut self, what: What, delivery: Option<usize>, webhook: Option<usize>) {
        self.trace.push(Happened {
            at: self.now,
            what,
            delivery,
            webhook,
        });
        self.check_places();
    }

    fn enter(&mut self, delivery: usize, phase: Phase) {
        let one = &mut self.deliveries[delivery];
        let receiver = &mut self.webhooks[one.webhook];
        receiver.waiting -= usize::from(one.phase == Phase::Waiting);
        receiver.waiting += usize::from(phase == Phase::Waiting);
        receiver.undone -= usize::from(one.phase != Phase::Done);
        receiver.undone += usize::from(phase != Phase::Done);
        one.phase = phase;
    }
}
