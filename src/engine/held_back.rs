//! Tells everybody whose deliveries this worker holds back.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use tokio::time::sleep;

use super::Engine;
use super::admission::{WebhookLimiter, now};
use super::clock::Clock;
use super::ports::Board;
use crate::domain::held_back::{HeldBack, STANDS};
use crate::domain::webhook::WebhookKey;

/// How old what people see may be.
const EVERY: Duration = Duration::from_secs(1);

/// The news that was told last of each webhook, and when.
type Told = HashMap<WebhookKey, (HeldBack<Instant>, Instant)>;

impl WebhookLimiter {
    /// Puts up what is new, for ever.
    pub(super) async fn keep_board(&self, board: &dyn Board, clock: &Clock) {
        let mut told = Told::new();
        loop {
            sleep(EVERY).await;
            let now = now();
            let news = news(&mut told, self.shared.held_back(now), now);
            if !news.is_empty() {
                let today = clock.now();
                let said = news.into_iter().map(|(webhook, held)| {
                    let held = held.map(|held| held.told_in(|at| time_of_day(at, now, today)));
                    (webhook, held)
                });
                board.put_up(said.collect()).await;
            }
        }
    }
}

impl Engine {
    /// Says in the log what is open and held back, if anything is, or was put off since the counter
    /// stood at `deferred`. Gives how it stands now.
    pub(super) fn log_load(&self, deferred: u64) -> u64 {
        let now = self.counters.deferred.get();
        let load = self.limiter.shared.load();
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

/// What of `held` has to be told, or told again because what was told will not stand much longer,
/// and of whom there is nothing to tell any more.
fn news(
    told: &mut Told,
    held: Vec<(WebhookKey, HeldBack<Instant>)>,
    now: Instant,
) -> Vec<(WebhookKey, Option<HeldBack<Instant>>)> {
    let mut before = std::mem::take(told);
    let mut news = Vec::new();
    for (webhook, held) in held {
        let known = before.remove(&webhook);
        let known = known.filter(|(known, at)| held.is_like(known, now) && now < *at + STANDS / 3);
        if known.is_none() {
            news.push((webhook.clone(), Some(held)));
        }
        told.insert(webhook, known.unwrap_or((held, now)));
    }
    news.extend(before.into_keys().map(|webhook| (webhook, None)));
    news
}

/// What a clock that shows `today` at `now` shows at another time.
fn time_of_day(at: Instant, now: Instant, today: Timestamp) -> Timestamp {
    let shown = match at.checked_duration_since(now) {
        Some(ahead) => today.checked_add(ahead),
        None => today.checked_sub(now - at),
    };
    // Both are near: a receiver is left alone for days, not for centuries.
    shown.unwrap_or(today)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::admission::Why;
    use crate::domain::held_back::Phase;
    use crate::domain::ids::{Organization, WebhookId};

    const SECOND: Duration = Duration::from_secs(1);

    fn webhook(id: &str) -> WebhookKey {
        WebhookKey {
            organization: Organization::default(),
            id: WebhookId::new(id).unwrap(),
        }
    }

    #[test]
    fn what_is_known_is_not_told_again_and_what_is_over_is() {
        let now = Instant::now();
        let until = |seconds| HeldBack {
            why: Why::Line,
            since: now,
            until: now + seconds * SECOND,
            phase: Phase::Held,
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
    fn what_goes_on_is_told_again_before_it_stands_no_more() {
        let began = Instant::now();
        let held = HeldBack {
            why: Why::Asked,
            since: began,
            until: began + 3600 * SECOND,
            phase: Phase::Held,
        };
        let mut told = Told::new();
        let mut last = began;
        for second in 0..300 {
            let now = began + second * SECOND;
            if !news(&mut told, vec![(webhook("a"), held)], now).is_empty() {
                assert!(now - last < STANDS / 2);
                last = now;
            }
        }
        assert!(began + 300 * SECOND - last < STANDS / 2);
    }

    #[test]
    fn times_are_told_as_the_clock_on_the_wall_shows_them() {
        let (now, today) = (Instant::now(), Timestamp::UNIX_EPOCH);
        assert_eq!(time_of_day(now + SECOND, now, today).as_second(), 1);
        let earlier = now.checked_sub(SECOND).unwrap();
        assert_eq!(time_of_day(earlier, now, today).as_second(), -1);
    }
}
