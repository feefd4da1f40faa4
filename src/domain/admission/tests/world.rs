//! A world for the state machine: time passes as told, receivers answer as told.

use std::collections::HashMap;

use url::Url;

use super::super::*;
use crate::domain::endpoint::fingerprint;
use crate::domain::held_back::HeldBack;
use crate::domain::ids::{Organization, WebhookId};
use crate::domain::rate_limit::Calendar;
use crate::domain::returns::Returns;

pub const MS: Duration = Duration::from_millis(1);
pub const SECOND: Duration = Duration::from_secs(1);

/// Where every receiver is.
pub const ENDPOINT: &str = "https://example.com";

/// Where one is after it moved.
pub const OTHER_ENDPOINT: &str = "https://example.com/other";

pub const BOUNDS: Bounds = Bounds {
    webhook_max_in_flight: 64,
    quick: 64,
    slow: 256,
    hand: 1000,
    breaker_after: 20,
};

/// A world in which time passes as told, and receivers answer as told.
pub struct World {
    pub admission: Admission,
    pub now: Instant,
    pub start: Instant,
    /// What everybody got so far.
    pub answers: HashMap<Ticket, Answer>,
    pub open: Vec<(Ticket, Instant, String)>,
    pub later: Vec<(String, Deferral)>,
    pub names: HashMap<Ticket, String>,
    pub begun: usize,
    /// The times reserved for webhooks with a rate limit.
    pub calendars: HashMap<WebhookKey, Calendar>,
    /// When those come back that are put off.
    pub returns: HashMap<WebhookKey, Returns>,
    /// Which of several workers it is.
    pub number: u128,
    /// How many there are.
    pub workers: u32,
}

impl World {
    pub fn new(bounds: Bounds) -> Self {
        let now = Instant::now();
        Self {
            admission: Admission::new(bounds),
            now,
            start: now,
            answers: HashMap::new(),
            open: Vec::new(),
            later: Vec::new(),
            names: HashMap::new(),
            begun: 0,
            calendars: HashMap::new(),
            returns: HashMap::new(),
            number: 0,
            workers: 1,
        }
    }

    pub fn key(name: &str) -> WebhookKey {
        let (organization, id) = name.split_once('/').unwrap();
        WebhookKey {
            organization: Organization::new(organization).unwrap(),
            id: WebhookId::new(id).unwrap(),
        }
    }

    /// A webhook called `limited-5` may be sent five requests a second, `limited-5-a-minute` twelve
    /// seconds apart.
    fn rate(name: &str) -> Option<RateLimit> {
        let (_, limit) = name.split_once("limited-")?;
        let unit = if limit.ends_with("-a-minute") {
            "min"
        } else {
            "s"
        };
        let limit = limit.split('-').next().unwrap();
        Some(format!("{limit}/{unit}").parse().unwrap())
    }

    /// Another worker tells that this webhook's receiver asked to be left alone.
    pub fn hear(&mut self, name: &str, url: &str, wait: Duration) {
        self.heed(Heard::Told, name, url, wait);
    }

    /// The same is on record.
    pub fn recall(&mut self, name: &str, url: &str, wait: Duration) {
        self.heed(Heard::Recalled, name, url, wait);
    }

    fn heed(&mut self, heard: fn(Pause) -> Heard, name: &str, url: &str, wait: Duration) {
        let pause = Pause {
            webhook: Self::key(name),
            endpoint: fingerprint(&Url::parse(url).unwrap()),
            wait,
        };
        self.admission.paused(&heard(pause), self.now);
        self.look();
    }

    pub fn ask(&mut self, name: &str, kind: JobKind) {
        self.ask_for(name, kind, false);
    }

    pub fn ask_for(&mut self, name: &str, kind: JobKind, by_hand: bool) {
        self.ask_at(ENDPOINT, name, kind, by_hand, Self::rate(name));
    }

    /// The webhook has this rate limit, and one more delivery.
    pub fn ask_limited(&mut self, name: &str, rate: Option<&str>) {
        let rate = rate.map(|rate| rate.parse().unwrap());
        self.ask_at(ENDPOINT, name, JobKind::Event, false, rate);
    }

    /// The webhook has no rate limit any more, and one more delivery.
    pub fn lift(&mut self, name: &str) {
        self.ask_at(ENDPOINT, name, JobKind::Event, false, None);
    }

    /// The webhook has another endpoint, and one more delivery.
    pub fn moved(&mut self, name: &str) {
        let rate = Self::rate(name);
        self.ask_at(OTHER_ENDPOINT, name, JobKind::Event, false, rate);
    }

    /// Nothing new comes of the webhook, but it is known to be this now.
    pub fn changed(&mut self, name: &str, url: &str, rate: Option<&str>) {
        let url = Url::parse(url).unwrap();
        let rate = rate.map(|rate| rate.parse().unwrap());
        self.admission
            .changed(&Self::key(name), &url, rate, self.now);
        self.look();
    }

    /// Nobody wants anything to be sent to the webhook any more.
    pub fn unwanted(&mut self, name: &str) {
        self.admission.unwanted(&Self::key(name), self.now);
        self.look();
    }

    pub fn ask_at(
        &mut self,
        url: &str,
        name: &str,
        kind: JobKind,
        by_hand: bool,
        rate: Option<RateLimit>,
    ) {
        let (url, key) = (Url::parse(url).unwrap(), Self::key(name));
        let asked = Asked {
            key: &key,
            url: &url,
            kind,
            by_hand,
            rate,
        };
        let ticket = self.admission.ask(asked, self.now);
        self.look();
        // Answers to others come first, and may be to an older use of the same ticket.
        self.names.insert(ticket, name.to_owned());
        self.take(ticket);
    }

    /// Looks at what came of those who wait, and reserves what they want.
    pub fn look(&mut self) {
        self.look_at_answers();
        while self.admission.wants() {
            for wanted in self.admission.wanted().collect::<Vec<_>>() {
                let reserved = self.reserve(&wanted.webhook, wanted.rate, wanted.count);
                let (webhook, rate) = (&wanted.webhook, wanted.rate);
                self.admission.reserved(webhook, rate, reserved, self.now);
            }
            self.look_at_answers();
        }
    }

    fn reserve(&mut self, webhook: &WebhookKey, rate: RateLimit, count: u32) -> Reserved {
        let calendar = self.calendars.entry(webhook.clone()).or_default();
        let now = SECOND + self.now.duration_since(self.start);
        calendar.reserve(rate, count, now)
    }

    fn placed(&mut self, name: &str, deferral: Deferral) -> Deferral {
        let Some(in_line) = deferral.in_line else {
            return deferral;
        };
        let webhook = Self::key(name);
        let returns = self.returns.entry(webhook.clone()).or_default();
        let now = SECOND + self.now.duration_since(self.start);
        let delay = returns.put_off(self.number, self.workers, in_line, deferral.delay, now);
        let deferral = Deferral { delay, ..deferral };
        self.admission.comes_back(&webhook, deferral, self.now);
        deferral
    }

    fn look_at_answers(&mut self) {
        let answers: Vec<_> = self.admission.answers().collect();
        for (ticket, answer) in answers {
            if self.names.contains_key(&ticket) {
                self.answers.insert(ticket, answer);
                self.take(ticket);
            } else {
                self.answers.insert(ticket, answer);
            }
        }
    }

    fn take(&mut self, ticket: Ticket) {
        match self.answers.remove(&ticket) {
            None => {}
            Some(Answer::Go) => {
                let name = self.names[&ticket].clone();
                self.open.push((ticket, self.now, name));
                self.begun += 1;
            }
            Some(Answer::Later(deferral)) => {
                let name = self.names.remove(&ticket).unwrap();
                let deferral = self.placed(&name, deferral);
                self.later.push((name, deferral));
            }
        }
    }

    /// Ends the open request number `index`, and settles it.
    pub fn end(&mut self, index: usize, shown: Shown) {
        let (ticket, began, _) = self.open.remove(index);
        let took = self.now - began;
        self.admission.ended(ticket, took, shown, self.now);
        self.look();
        self.names.remove(&ticket);
        self.admission.settled(ticket, self.now);
        self.look();
    }

    /// Whoever has the open request number `index` does not make it.
    pub fn give_up(&mut self, index: usize) {
        let (ticket, ..) = self.open.remove(index);
        self.names.remove(&ticket);
        self.admission.settled(ticket, self.now);
        self.look();
    }

    pub fn pass(&mut self, time: Duration) {
        self.now += time;
        self.admission.pass_time(self.now, Duration::ZERO);
        self.look();
    }

    /// Lets time pass in small steps; each open request ends when `takes` says so, in good order.
    pub fn run(&mut self, time: Duration, takes: impl Fn(&str) -> Option<(Duration, Shown)>) {
        let until = self.now + time;
        while self.now < until {
            self.pass(5 * MS);
            let now = self.now;
            while let Some((index, shown)) =
                self.open.iter().enumerate().find_map(|(index, one)| {
                    let (took, shown) = takes(&one.2)?;
                    (now >= one.1 + took).then_some((index, shown))
                })
            {
                self.end(index, shown);
            }
        }
    }

    pub fn open_to(&self, name: &str) -> usize {
        self.open.iter().filter(|one| one.2 == name).count()
    }

    /// What is told of a webhook.
    pub fn held(&mut self, name: &str) -> Option<HeldBack<Instant>> {
        let key = Self::key(name);
        let held = self.admission.held_back(self.now);
        held.into_iter().find(|one| one.0 == key).map(|one| one.1)
    }

    pub fn deferred(&self, name: &str) -> usize {
        self.later.iter().filter(|one| one.0 == name).count()
    }

    pub fn waiting(&self) -> usize {
        self.admission.waiting.iter().sum()
    }
}
