//! Tells everybody whose deliveries this worker holds back.

use std::collections::HashMap;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use tokio::time::{Instant, sleep};

use super::Engine;
use super::admission::Gatekeeper;
use super::clock::Clock;
use super::ports::{Board, Notice};
use crate::domain::held_back::HeldBack;
use crate::domain::webhook::WebhookKey;

/// How old what people see may be.
const EVERY: Duration = Duration::from_secs(1);

/// What was told last.
type Told = HashMap<WebhookKey, HeldBack<std::time::Instant>>;

impl Gatekeeper {
    /// Puts up what is new, for ever.
    pub(super) async fn tell(&self, board: &dyn Board, clock: &Clock) {
        let mut told = Told::new();
        loop {
            sleep(EVERY).await;
            let now = Instant::now().into_std();
            let held = self.gate.held_back(now);
            let news = news(&mut told, held, now);
            if !news.is_empty() {
                let today = clock.now();
                let on_the_clock = |at| time_of_day(at, now, today);
                let notices = news.into_iter().map(|(webhook, held)| Notice {
                    webhook,
                    held: held.map(|HeldBack { why, since, until }| HeldBack {
                        why,
                        since: on_the_clock(since),
                        until: on_the_clock(until),
                    }),
                });
                board.put_up(notices.collect()).await;
            }
        }
    }
}

impl Engine {
    /// Says in the log what is open and held back, if anything is, or was put off since the counter
    /// stood at `deferred`. Gives how it stands now.
    pub(super) fn log_load(&self, deferred: u64) -> u64 {
        let now = self.counters.deferred.get();
        let load = self.gatekeeper.gate.load();
        if load.held_back > 0 || now > deferred {
            tracing::info!(
                held_back = load.held_back,
                left_alone = load.left_alone,
                deferred = now - deferred,
                in_hand = load.in_hand,
                quick_lane = format_args!("{}/{}", load.quick, load.bounds.quick),
                slow_lane = format_args!("{}/{}", load.slow, load.bounds.slow),
                "deliveries of so many webhooks are held back"
            );
        }
        now
    }
}

/// What of `held` has to be told, and of whom there is nothing to tell any more.
fn news(
    told: &mut Told,
    held: Vec<(WebhookKey, HeldBack<std::time::Instant>)>,
    now: std::time::Instant,
) -> Vec<(WebhookKey, Option<HeldBack<std::time::Instant>>)> {
    let mut before = std::mem::take(told);
    let mut news = Vec::new();
    for (webhook, held) in held {
        let known = before.remove(&webhook);
        let known = known.filter(|known| held.is_like(known, now, apart));
        if known.is_none() {
            news.push((webhook.clone(), Some(held)));
        }
        told.insert(webhook, known.unwrap_or(held));
    }
    news.extend(before.into_keys().map(|webhook| (webhook, None)));
    news
}

fn apart(a: std::time::Instant, b: std::time::Instant) -> Duration {
    a.max(b) - a.min(b)
}

/// What a clock that shows `today` at `now` shows at another time.
fn time_of_day(at: std::time::Instant, now: std::time::Instant, today: Timestamp) -> Timestamp {
    // Both are near: a receiver is left alone for days, not for centuries.
    let distance = SignedDuration::try_from(apart(at, now)).unwrap_or(SignedDuration::ZERO);
    let shown = match at < now {
        true => today.checked_sub(distance),
        false => today.checked_add(distance),
    };
    shown.unwrap_or(today)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::admission::Why;
    use crate::domain::ids::{Organization, WebhookId};

    #[test]
    fn what_is_known_is_not_told_again_and_what_is_over_is() {
        let now = std::time::Instant::now();
        let webhook = |id| WebhookKey {
            organization: Organization::default(),
            id: WebhookId::new(id).unwrap(),
        };
        let until = |seconds| HeldBack {
            why: Why::Line,
            since: now,
            until: now + Duration::from_secs(seconds),
        };
        let mut told = Told::new();
        let (a, b) = (webhook("a"), webhook("b"));
        let held = vec![(a.clone(), until(100)), (b.clone(), until(100))];
        assert_eq!(news(&mut told, held, now).len(), 2);
        let slightly = vec![(a.clone(), until(105)), (b.clone(), until(100))];
        assert_eq!(news(&mut told, slightly, now), []);
        // Many slight changes are no slight one.
        let more = vec![(a.clone(), until(112))];
        let expected = [(a.clone(), Some(until(112))), (b, None)];
        assert_eq!(news(&mut told, more, now), expected);
        assert_eq!(news(&mut told, vec![], now), [(a, None)]);
        assert_eq!(news(&mut told, vec![], now), []);
    }

    #[test]
    fn times_are_told_as_the_clock_on_the_wall_shows_them() {
        let (now, today) = (std::time::Instant::now(), Timestamp::UNIX_EPOCH);
        let second = Duration::from_secs(1);
        assert_eq!(time_of_day(now + second, now, today).as_second(), 1);
        let earlier = now.checked_sub(second).unwrap();
        assert_eq!(time_of_day(earlier, now, today).as_second(), -1);
    }
}
