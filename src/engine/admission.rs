//! Admission at work: the state machines of all webhooks, their lines, and the worker's own budget.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::oneshot;
use tokio::time::{Instant, timeout_at};

use crate::domain::admission::{Admission, Bounds, Decision};
use crate::domain::webhook::WebhookKey;

/// Decides, for every webhook, whether an attempt may be made now.
#[derive(Debug, Clone)]
pub struct Gatekeeper {
    bounds: Bounds,
    gates: Arc<Mutex<HashMap<WebhookKey, Gate>>>,
}

#[derive(Debug)]
struct Gate {
    state: Admission,
    line: VecDeque<oneshot::Sender<Permit>>,
}

/// The answer to `admit`.
#[derive(Debug)]
pub enum Admitted {
    /// An attempt may be made while the permit is held.
    Go(Permit),
    /// The delivery is to be put off for this long.
    Later(Duration),
}

/// The right to have one request open to a webhook. Dropping it gives the place away.
#[derive(Debug)]
pub struct Permit {
    gates: Arc<Mutex<HashMap<WebhookKey, Gate>>>,
    key: Option<WebhookKey>,
    took: Option<Duration>,
}

impl Gatekeeper {
    /// Gives every webhook these bounds.
    pub fn new(bounds: Bounds) -> Self {
        Self {
            bounds,
            gates: Arc::default(),
        }
    }

    /// Asks for one attempt to `key`; waits in a short line if that is likely to be worth it.
    pub async fn admit(&self, key: &WebhookKey) -> Admitted {
        let now = Instant::now();
        let (until, place) = {
            let mut gates = lock(&self.gates);
            let gate = gates.entry(key.clone()).or_insert_with(|| Gate {
                state: Admission::new(self.bounds),
                line: VecDeque::new(),
            });
            match gate.state.admit(now.into_std()) {
                Decision::Go => return Admitted::Go(self.permit(key.clone())),
                Decision::Later(delay) => return Admitted::Later(delay),
                Decision::Wait(until) => {
                    let (give, place) = oneshot::channel();
                    gate.line.push_back(give);
                    (until, place)
                }
            }
        };
        self.wait_in_line(key, until.into(), place).await
    }

    async fn wait_in_line(
        &self,
        key: &WebhookKey,
        until: Instant,
        mut place: oneshot::Receiver<Permit>,
    ) -> Admitted {
        // If the wait is abandoned, the sender stays behind in the line and is passed over there.
        if let Ok(Ok(permit)) = timeout_at(until, &mut place).await {
            return Admitted::Go(permit);
        }
        let mut gates = lock(&self.gates);
        // Places are given away under the lock: only now is it certain that none was given since
        // the wait ended. Whoever has one is no longer in the line, and must not leave it twice.
        if let Ok(permit) = place.try_recv() {
            return Admitted::Go(permit);
        }
        place.close();
        let Some(gate) = gates.get_mut(key) else {
            return Admitted::Later(Duration::from_secs(1));
        };
        gate.line.retain(|waiting| !waiting.is_closed());
        Admitted::Later(gate.state.line_expired(Instant::now().into_std()))
    }

    /// Forgets webhooks of which nothing needs to be known, so that memory follows traffic.
    pub fn forget_idle(&self) {
        let now = Instant::now().into_std();
        lock(&self.gates).retain(|_, gate| !gate.state.is_idle(now));
    }

    fn permit(&self, key: WebhookKey) -> Permit {
        Permit {
            gates: self.gates.clone(),
            key: Some(key),
            took: None,
        }
    }
}

impl Permit {
    /// The request has ended after `took`.
    pub fn ended(mut self, took: Duration) {
        self.took = Some(took);
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        let Some(key) = self.key.take() else { return };
        let mut gates = lock(&self.gates);
        let Some(gate) = gates.get_mut(&key) else {
            return;
        };
        if !gate.state.ended(self.took) {
            return;
        }
        let next = Permit {
            gates: self.gates.clone(),
            key: Some(key),
            took: None,
        };
        let heir = std::iter::from_fn(|| gate.line.pop_front()).find(|place| !place.is_closed());
        let refused = match heir {
            Some(place) => place.send(next).err(),
            None => Some(next),
        };
        // Whoever left the line in this very moment gives the place on, without the lock held.
        drop(gates);
        drop(refused);
    }
}

fn lock(gates: &Mutex<HashMap<WebhookKey, Gate>>) -> MutexGuard<'_, HashMap<WebhookKey, Gate>> {
    // The state machine keeps its invariants at every step, so a panic elsewhere spoils nothing.
    gates.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::ids::{Organization, WebhookId};

    fn keeper(max_in_flight: u32) -> Gatekeeper {
        Gatekeeper::new(Bounds {
            max_in_flight,
            line_wait: Duration::from_millis(100),
            attempt_timeout: Duration::from_secs(10),
        })
    }

    fn key() -> WebhookKey {
        WebhookKey {
            organization: Organization::default(),
            id: WebhookId::new("w").unwrap(),
        }
    }

    async fn go(keeper: &Gatekeeper) -> Permit {
        match keeper.admit(&key()).await {
            Admitted::Go(permit) => permit,
            Admitted::Later(delay) => panic!("put off for {delay:?}"),
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_freed_place_goes_to_the_first_in_line() {
        let keeper = keeper(1);
        let first = go(&keeper).await;
        let waiting = tokio::spawn({
            let keeper = keeper.clone();
            async move { go(&keeper).await }
        });
        tokio::task::yield_now().await;
        first.ended(Duration::from_millis(1));
        drop(waiting.await.unwrap());
        keeper.forget_idle();
        assert!(lock(&keeper.gates).is_empty(), "every place was given back");
    }

    #[tokio::test(start_paused = true)]
    async fn a_receiver_that_hangs_puts_off_and_lets_nobody_wait() {
        let keeper = keeper(1);
        let _open = go(&keeper).await;
        let start = Instant::now();
        assert!(matches!(keeper.admit(&key()).await, Admitted::Later(_)));
        assert_eq!(start.elapsed(), Duration::from_millis(100));
        assert!(matches!(keeper.admit(&key()).await, Admitted::Later(_)));
        assert_eq!(
            start.elapsed(),
            Duration::from_millis(100),
            "the second did not wait at all"
        );
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 4)]
    async fn a_place_given_in_the_moment_the_wait_ends_is_counted_once() {
        let keeper = Gatekeeper::new(Bounds {
            line_wait: Duration::from_millis(1),
            ..keeper(1).bounds
        });
        let one = |keeper: Gatekeeper| async move {
            for _ in 0..200 {
                if let Admitted::Go(permit) = keeper.admit(&key()).await {
                    // As long as the others wait, so that both ends meet.
                    tokio::time::sleep(Duration::from_millis(1)).await;
                    permit.ended(Duration::from_micros(1));
                }
                tokio::task::yield_now().await;
            }
        };
        let all: Vec<_> = (0..16).map(|_| tokio::spawn(one(keeper.clone()))).collect();
        for task in all {
            task.await.unwrap();
        }
        let gates = lock(&keeper.gates);
        let state = &gates[&key()].state;
        assert_eq!((state.in_flight(), state.waiting()), (0, 0));
    }

    #[tokio::test(start_paused = true)]
    async fn an_abandoned_wait_blocks_nobody() {
        let keeper = keeper(1);
        let open = go(&keeper).await;
        {
            let key = key();
            let abandoned = timeout_at(
                Instant::now() + Duration::from_millis(5),
                keeper.admit(&key),
            );
            assert!(abandoned.await.is_err());
        }
        open.ended(Duration::from_millis(1));
        go(&keeper).await.ended(Duration::from_millis(1));
        keeper.forget_idle();
        assert!(lock(&keeper.gates).is_empty());
    }
}
