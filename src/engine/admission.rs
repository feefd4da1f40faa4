//! Admission at work: [the state machine](crate::domain::admission) behind a lock, those who wait
//! for its answer, and the clock that it goes by.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{Notify, oneshot};
use tokio::time::{Instant, sleep_until};
use url::Url;

use crate::domain::admission::{
    Admission, Answer, Bounds, Deferral, JobKind, Load, Notice, Pause, Shown, Ticket, WantedTimes,
    Why,
};
use crate::domain::held_back::HeldBack;
use crate::domain::webhook::WebhookKey;

/// How often the state machine is told the time while somebody waits.
const TICK: Duration = Duration::from_millis(25);

/// A timer is late by so much of itself: its grain is a millisecond.
const TIMER: Duration = Duration::from_millis(2);

/// Decides, for every webhook, whether an attempt may be made now.
#[derive(Debug, Clone)]
pub struct WebhookLimiter {
    pub(super) shared: Arc<Shared>,
}

#[derive(Debug)]
pub(super) struct Shared {
    state: Mutex<State>,
    /// Somebody began to wait.
    pub(super) waits: Notify,
    /// Fewer wait, or others: there may be room.
    room: Notify,
    /// Times are to be reserved.
    pub(super) wanted: Notify,
    /// A receiver asked to be left alone.
    pub(super) asked: Notify,
}

#[derive(Debug)]
pub(super) struct State {
    pub(super) admission: Admission,
    pub(super) waiting: HashMap<Ticket, oneshot::Sender<Answer>>,
}

/// The answer to whoever asked for an attempt.
#[derive(Debug)]
pub enum Admitted {
    /// An attempt may be made while the place is held.
    Go(Place),
    /// The delivery is to be put off.
    Later(Deferral),
}

/// A place for one request among those that this worker may have open. It is held until the request
/// is settled, so that what a crash could repeat is bounded; dropping it gives it away.
#[derive(Debug)]
pub struct Place {
    shared: Arc<Shared>,
    ticket: Ticket,
}

impl WebhookLimiter {
    /// Nothing is known of any webhook.
    pub fn new(bounds: Bounds) -> Self {
        let state = State {
            admission: Admission::new(bounds),
            waiting: HashMap::new(),
        };
        let shared = Shared {
            state: Mutex::new(state),
            waits: Notify::new(),
            room: Notify::new(),
            wanted: Notify::new(),
            asked: Notify::new(),
        };
        Self {
            shared: Arc::new(shared),
        }
    }

    /// Returns once one more message of this kind may be taken.
    pub async fn room(&self, kind: JobKind) {
        loop {
            let changed = self.shared.room.notified();
            if self.shared.lock().admission.has_room(kind, now()) {
                return;
            }
            changed.await;
        }
    }

    /// Lets time pass for those who wait, for ever.
    pub async fn keep_time(&self) {
        loop {
            let waits = self.shared.waits.notified();
            if self.shared.lock().admission.waits_for_time() {
                let due = Instant::now() + TICK;
                sleep_until(due).await;
                let lag = due.elapsed().saturating_sub(TIMER);
                self.shared
                    .change(|admission| admission.pass_time(now(), lag));
            } else {
                waits.await;
            }
        }
    }

    /// Forgets webhooks of which nothing needs to be known, so that memory follows traffic.
    pub fn forget_idle(&self) {
        self.shared.lock().admission.forget_idle(now());
    }
}

impl Place {
    /// Whether it is for a request to this endpoint.
    pub fn is_for(&self, url: &Url) -> bool {
        self.shared.lock().admission.is_for(self.ticket, url)
    }

    /// The request has ended after `took`: its webhook may have the next.
    pub fn ended(&self, took: Duration, shown: Shown) {
        let ticket = self.ticket;
        self.shared
            .change(|admission| admission.ended(ticket, took, shown, now()));
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let ticket = self.ticket;
        self.shared
            .change(|admission| admission.settled(ticket, now()));
    }
}

impl Shared {
    pub(super) fn lock(&self) -> MutexGuard<'_, State> {
        // The state machine keeps its invariants at every step, so a panic elsewhere spoils nothing.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn admitted(self: &Arc<Self>, ticket: Ticket, answer: Answer) -> Admitted {
        match answer {
            Answer::Go => Admitted::Go(Place {
                shared: self.clone(),
                ticket,
            }),
            Answer::Later(deferral) => Admitted::Later(deferral),
        }
    }

    /// The times that are to be reserved, new since this was called last.
    pub(super) fn wanted(&self) -> Vec<WantedTimes> {
        self.lock().admission.wanted().collect()
    }

    /// Who asked to be left alone, since this was called last.
    pub(super) fn pauses(&self) -> Vec<Pause> {
        self.lock().admission.pauses().collect()
    }

    /// The webhooks that have something waiting, open or put off.
    pub(super) fn concerned(&self) -> Vec<WebhookKey> {
        self.lock().admission.concerned(now())
    }

    /// How much is open and held back.
    pub(super) fn load(&self) -> Load {
        self.lock().admission.load(now())
    }

    /// Whose deliveries are held back.
    pub(super) fn held_back(
        &self,
        now: std::time::Instant,
    ) -> Vec<(WebhookKey, HeldBack<std::time::Instant>)> {
        self.lock().admission.held_back(now)
    }

    pub(super) fn change(&self, change: impl FnOnce(&mut Admission)) {
        let mut state = self.lock();
        change(&mut state.admission);
        self.hand_out(&mut state, None);
    }

    /// Gives every answer to whoever waits for it; returns that of `asking`, who does not wait yet.
    pub(super) fn hand_out(&self, state: &mut State, asking: Option<Ticket>) -> Option<Answer> {
        let mut own = None;
        for (ticket, answer) in state.admission.answers() {
            match state.waiting.remove(&ticket) {
                // If it is gone, it finds the answer when it gives the ticket up.
                Some(waiting) => drop(waiting.send(answer)),
                None if asking == Some(ticket) => own = Some(answer),
                None => {}
            }
        }
        for (webhook, notice) in state.admission.notices() {
            tell(&webhook, notice);
        }
        if state.admission.wants() {
            self.wanted.notify_one();
        }
        if state.admission.has_pauses() {
            self.asked.notify_one();
        }
        self.room.notify_waiters();
        own
    }
}

/// Says in the log what whoever is asked "why does nothing come?" looks for.
fn tell(webhook: &WebhookKey, notice: Notice) {
    let WebhookKey { organization, id } = webhook;
    match notice {
        Notice::LeftAlone(wait, Why::Failures) => tracing::warn!(
            %organization, webhook_id = %id, ?wait,
            "a receiver that fails is left alone and only probed; its deliveries are put off"
        ),
        Notice::LeftAlone(wait, _) => tracing::info!(
            %organization, webhook_id = %id, ?wait,
            "a receiver is left alone, as it asks; its deliveries are put off"
        ),
        Notice::TakenUp => tracing::info!(
            %organization, webhook_id = %id, "a receiver that was left alone is taken up again"
        ),
    }
}

/// The time that admission goes by: that of the paused clock, in tests.
pub(super) fn now() -> std::time::Instant {
    Instant::now().into_std()
}

#[cfg(test)]
mod tests {
    use url::Url;

    use super::*;
    use crate::domain::admission::Asked;
    use crate::domain::ids::{Organization, WebhookId};

    fn limiter(webhook_max_in_flight: u32) -> WebhookLimiter {
        WebhookLimiter::new(Bounds {
            webhook_max_in_flight,
            quick: 16,
            slow: 16,
            hand: 100,
            breaker_after: 20,
        })
    }

    async fn admit(limiter: &WebhookLimiter) -> Admitted {
        let key = WebhookKey {
            organization: Organization::default(),
            id: WebhookId::new("w").unwrap(),
        };
        let url = Url::parse("https://example.com/").unwrap();
        let asked = Asked {
            key: &key,
            url: &url,
            kind: JobKind::Event,
            by_hand: false,
            rate: None,
        };
        limiter.ask(asked).answer().await
    }

    async fn go(limiter: &WebhookLimiter) -> Place {
        match admit(limiter).await {
            Admitted::Go(place) => place,
            Admitted::Later(deferral) => panic!("put off: {deferral:?}"),
        }
    }

    fn places(limiter: &WebhookLimiter) -> (usize, usize) {
        limiter.shared.lock().admission.places()
    }

    #[tokio::test(start_paused = true)]
    async fn whoever_waits_goes_when_a_request_ends() {
        let limiter = limiter(1);
        let first = go(&limiter).await;
        let waiting = tokio::spawn({
            let limiter = limiter.clone();
            async move { go(&limiter).await }
        });
        tokio::task::yield_now().await;
        first.ended(Duration::from_millis(1), Shown::Delivered);
        drop((first, waiting.await.unwrap()));
        assert_eq!(places(&limiter), (0, 0), "every place was given back");
    }

    #[tokio::test(start_paused = true)]
    async fn an_abandoned_wait_blocks_nobody() {
        let limiter = limiter(1);
        let open = go(&limiter).await;
        let wait = Duration::from_millis(5);
        assert!(tokio::time::timeout(wait, admit(&limiter)).await.is_err());
        assert!(!limiter.shared.lock().admission.waits_for_time());
        open.ended(Duration::from_millis(1), Shown::Delivered);
        drop(open);
        drop(go(&limiter).await);
        assert_eq!(places(&limiter), (0, 0));
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 4)]
    async fn places_are_counted_once_however_waits_end() {
        let limiter = limiter(2);
        let one = |limiter: WebhookLimiter| async move {
            for n in 0..300_u64 {
                let wait = Duration::from_micros(n % 7 * 100);
                // Some waits end in the very moment that the answer is given.
                if let Ok(Admitted::Go(place)) = tokio::time::timeout(wait, admit(&limiter)).await {
                    tokio::task::yield_now().await;
                    place.ended(Duration::from_micros(100), Shown::Delivered);
                }
                tokio::task::yield_now().await;
            }
        };
        let all: Vec<_> = (0..16)
            .map(|_| tokio::spawn(one(limiter.clone())))
            .collect();
        for task in all {
            task.await.unwrap();
        }
        assert_eq!(places(&limiter), (0, 0));
        assert!(!limiter.shared.lock().admission.waits_for_time());
        assert!(limiter.shared.lock().waiting.is_empty());
    }
}
