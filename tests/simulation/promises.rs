//! The promise, row by row: what each kind of trouble does to others, which is nothing.

use std::time::Duration;

use super::account::{Account, What};
use super::receivers::Receiver;
use super::run::kept;
use super::scenario::{End, Ending, Scenario};

const NOW: Duration = Duration::ZERO;
const QUICK: Receiver = Receiver::Quick { millis: 20 };

/// A healthy webhook of an organization of its own, with an event every 50 ms for half a minute.
fn healthy(scenario: &mut Scenario) -> usize {
    let webhook = scenario.webhook(99, QUICK);
    scenario.send(webhook, 600, NOW, Duration::from_millis(50));
    webhook
}

/// The latencies of a webhook's deliveries, from publication to the first request, in order.
fn latencies(account: &Account, webhook: usize) -> Vec<Duration> {
    let own = account.deliveries.iter();
    own.filter(|one| one.webhook == webhook)
        .map(|one| one.first_began.unwrap() - one.published)
        .collect()
}

/// Whatever is put beside a healthy webhook, its latencies are as if it were alone.
fn hurts_nobody(add: impl FnOnce(&mut Scenario)) -> Account {
    hurts_nobody_by(Duration::from_millis(20), add)
}

/// The same, give or take `most`.
fn hurts_nobody_by(most: Duration, add: impl FnOnce(&mut Scenario)) -> Account {
    let mut scenario = Scenario::new();
    // Enough to see what fails, and not the tenth time over.
    scenario.retry.max_attempts = 4;
    let webhook = healthy(&mut scenario);
    let alone = latencies(&kept(&scenario), webhook);
    add(&mut scenario);
    let account = kept(&scenario);
    let beside = latencies(&account, webhook);
    let longest = |all: &[Duration]| all.iter().max().copied().unwrap();
    let (alone, beside) = (longest(&alone), longest(&beside));
    assert!(
        beside <= alone + most,
        "{beside:?} at most beside trouble, {alone:?} alone"
    );
    assert_eq!(account.webhooks[webhook].deferrals, 0);
    account
}

/// As many webhooks of one organization, each with events for half a minute, all alike.
fn many(receiver: Receiver, count: usize, every: u64) -> impl FnOnce(&mut Scenario) {
    move |scenario| {
        for _ in 0..count {
            scenario.webhook(0, receiver);
        }
        let events = usize::try_from(30_000 / every).unwrap();
        scenario.send_all(0, events, NOW, Duration::from_millis(every));
    }
}

#[test]
fn thirty_two_hanging_webhooks_of_one_organization_delay_nobody_else() {
    hurts_nobody(many(Receiver::Hanging, 32, 1_000));
}

#[test]
fn a_backlog_for_hanging_webhooks_delays_nobody_else() {
    hurts_nobody(|scenario| {
        for _ in 0..10 {
            let webhook = scenario.webhook(0, Receiver::Hanging);
            scenario.send(webhook, 60, NOW, NOW);
        }
    });
}

#[test]
fn a_backlog_for_hanging_webhooks_larger_than_the_workers_hand_delays_others_by_a_moment_once() {
    // Until it is known how they are the intake waits: half a second at most.
    hurts_nobody_by(Duration::from_millis(500), |scenario| {
        scenario.retry.max_attempts = 1;
        for _ in 0..10 {
            let webhook = scenario.webhook(0, Receiver::Hanging);
            scenario.send(webhook, 150, NOW, NOW);
        }
    });
}

#[test]
fn a_full_slow_lane_puts_off_only_what_is_slow() {
    let account = hurts_nobody(|scenario| {
        scenario.limits.slow = 16;
        scenario.limits.quick = 64;
        many(Receiver::Steady { millis: 2_000 }, 10, 200)(scenario);
    });
    assert!(account.most_open <= 80);
}

#[test]
fn events_for_a_hundred_webhooks_of_which_some_hang_or_fail_delay_nobody_and_no_sibling() {
    let account = hurts_nobody(|scenario| {
        for number in 0..100 {
            let receiver = match number % 10 {
                0 => Receiver::Hanging,
                5 => Receiver::Erring,
                _ => QUICK,
            };
            scenario.webhook(0, receiver);
        }
        scenario.send_all(0, 20, NOW, Duration::from_secs(1));
    });
    // The healthy one of another organization is the first.
    let siblings = account.webhooks[1..].iter().enumerate();
    for (number, webhook) in siblings.filter(|(number, _)| number % 5 != 0) {
        assert_eq!(webhook.deferrals, 0, "webhook {number}");
    }
}

#[test]
fn webhooks_that_drip_delay_nobody_else() {
    hurts_nobody(many(Receiver::Dripping, 10, 1_000));
}

#[test]
fn ten_webhooks_that_flood_errors_delay_nobody_else() {
    hurts_nobody(many(Receiver::Erring, 10, 100));
}

#[test]
fn an_organization_that_floods_delays_nobody_else() {
    hurts_nobody(|scenario| {
        let webhook = scenario.webhook(0, Receiver::Steady { millis: 150 });
        for second in 0..10 {
            scenario.send(webhook, 400, Duration::from_secs(second), NOW);
        }
    });
}

#[test]
fn an_organization_that_fills_every_place_makes_others_wait_for_one_request_at_most() {
    // Ten webhooks may have 640 requests open, and there are 256 places: whoever comes while all
    // are taken gets the next that is free.
    hurts_nobody_by(Duration::from_millis(310), |scenario| {
        for _ in 0..10 {
            scenario.webhook(0, Receiver::Steady { millis: 300 });
        }
        for second in [0, 3, 6, 9] {
            scenario.send_all(0, 80, Duration::from_secs(second), NOW);
        }
    });
}

#[test]
fn receivers_that_are_good_and_bad_by_turns_delay_nobody_else() {
    hurts_nobody(|scenario| {
        for hangs in [true, false] {
            let seconds = 3;
            many(Receiver::Flapping { seconds, hangs }, 4, 500)(scenario);
        }
    });
}

#[test]
fn slow_receivers_beside_a_quick_one_of_their_own_organization_do_not_delay_it() {
    hurts_nobody(|scenario| {
        let quick = scenario.webhook(0, QUICK);
        scenario.send(quick, 100, NOW, Duration::from_millis(100));
        many(Receiver::Steady { millis: 2_000 }, 4, 200)(scenario);
    });
}

/// How long a burst took from its publication to the last answer.
fn burst(receiver: Receiver, events: usize) -> (Account, Duration) {
    let mut scenario = Scenario::new();
    let webhook = scenario.webhook(0, receiver);
    scenario.send(webhook, events, NOW, NOW);
    let account = kept(&scenario);
    let took = account.webhooks[webhook].last_ended;
    (account, took)
}

/// A burst is done in what its concurrency allows, give or take, and nothing is put off.
fn a_burst_for(millis: u64) {
    let (account, took) = burst(Receiver::Steady { millis }, 1_000);
    let at_once = f64::from(account.scenario.limits.webhook);
    let ideal = Duration::from_millis(millis).mul_f64((1_000.0 / at_once).ceil());
    assert_eq!(account.webhooks[0].deferrals, 0, "deferrals");
    assert!(
        took <= ideal.mul_f64(1.3),
        "{took:?}, where {ideal:?} is ideal"
    );
}

#[test]
fn a_burst_for_a_receiver_of_150_ms_is_done_in_the_time_that_its_concurrency_allows() {
    a_burst_for(150);
}

#[test]
fn a_burst_for_a_receiver_of_300_ms_is_done_in_the_time_that_its_concurrency_allows() {
    a_burst_for(300);
}

#[test]
fn ten_thousand_events_for_a_receiver_of_ten_a_second_come_back_about_once_each() {
    let mut scenario = Scenario::new();
    let slow = scenario.webhook(0, Receiver::OneByOne { millis: 100 });
    scenario.send(slow, 10_000, NOW, NOW);
    let quick = scenario.webhook(1, QUICK);
    scenario.send(quick, 500, Duration::from_secs(10), Duration::from_secs(1));
    let account = kept(&scenario);
    let seen = &account.webhooks[slow];
    assert!(
        seen.hand_overs <= 13_000 && seen.began <= 10_100,
        "{} hand-overs and {} requests for 10000 deliveries",
        seen.hand_overs,
        seen.began
    );
    let took = seen.last_ended;
    assert!(
        took <= Duration::from_secs(1_300),
        "{took:?} for 1000 s of work"
    );
    let longest = latencies(&account, quick).into_iter().max().unwrap();
    assert!(
        longest <= Duration::from_millis(100),
        "{longest:?} beside it"
    );
}

#[test]
fn a_burst_for_a_webhook_with_a_rate_limit_is_sent_at_that_rate_and_nothing_is_put_off() {
    for (a_second, seconds) in [(2, 20), (10, 20), (100, 9), (1_000, 1)] {
        let events = (seconds * a_second) as usize;
        let (account, took) = burst(Receiver::Limited { a_second }, events);
        assert_eq!(account.webhooks[0].deferrals, 0, "{a_second}/s");
        let ideal = Duration::from_secs(1) * (seconds * a_second - 1) / a_second;
        let span = ideal..=ideal.mul_f64(1.05) + Duration::from_millis(50);
        assert!(span.contains(&took), "{took:?} at {a_second}/s");
    }
}

#[test]
fn ten_thousand_events_for_a_rate_limit_of_ten_a_second_come_back_about_once_each() {
    let account = hurts_nobody(|scenario| {
        let limited = scenario.webhook(0, Receiver::Limited { a_second: 10 });
        scenario.send(limited, 10_000, NOW, NOW);
    });
    let seen = &account.webhooks[1];
    assert!(seen.hand_overs <= 13_000, "{} hand-overs", seen.hand_overs);
    let took = seen.last_ended;
    assert!(took <= Duration::from_secs(1_100), "{took:?} for 1000 s");
}

#[test]
fn a_receiver_that_asks_for_patience_gets_it_and_is_taken_up_slowly() {
    for seconds in [3, 30] {
        let account = hurts_nobody(|scenario| {
            let webhook = scenario.webhook(0, Receiver::Throttling { seconds });
            scenario.send(webhook, 200, NOW, Duration::from_millis(50));
        });
        let delivered = account.deliveries.iter().filter(|one| one.delivered > 0);
        assert_eq!(delivered.count(), 800);
    }
}

#[test]
fn a_receiver_that_is_dead_for_an_hour_gets_everything_once_it_is_back() {
    for hangs in [true, false] {
        let until = Duration::from_secs(3_600);
        let account = hurts_nobody(|scenario| {
            scenario.retry.max_attempts = 10;
            let webhook = scenario.webhook(0, Receiver::Dead { until, hangs });
            scenario.send(webhook, 200, NOW, Duration::from_secs(10));
        });
        assert!(account.deliveries.iter().all(|one| one.delivered == 1));
    }
}

#[test]
fn a_receiver_that_begins_to_hang_has_few_requests_open_after_a_few_timeouts() {
    let mut scenario = Scenario::new();
    // Good for a minute, and then not.
    let receiver = Receiver::Flapping {
        seconds: 60,
        hangs: true,
    };
    let webhook = scenario.webhook(0, receiver);
    scenario.send(webhook, 1_100, NOW, Duration::from_millis(100));
    let account = kept(&scenario);
    let begun = |from: u64, to: u64| {
        let span = Duration::from_secs(from)..Duration::from_secs(to);
        let events = account.trace.iter();
        let begun = events.filter(|one| matches!(one.what, What::Began(_)));
        begun.filter(|one| span.contains(&one.at)).count()
    };
    let few = begun(85, 115);
    assert!(
        few <= 12,
        "{few} requests in the half minute after its third timeout"
    );
}

#[test]
fn what_a_killed_worker_had_in_flight_is_all_that_is_repeated() {
    let mut scenario = Scenario::new();
    for receiver in [QUICK, Receiver::Steady { millis: 300 }, Receiver::Hanging] {
        let webhook = scenario.webhook(0, receiver);
        scenario.send(webhook, 100, NOW, Duration::from_millis(40));
    }
    scenario.endings = [1_017, 2_503, 3_999]
        .map(|at| Ending {
            at: Duration::from_millis(at),
            end: End::Crash,
            pause: Duration::from_millis(300),
        })
        .into();
    let account = kept(&scenario);
    assert_eq!(account.worker_ends, 3);
}
