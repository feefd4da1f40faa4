//! The checks can fail: an account of what must not happen says so.

use std::time::Duration;

use super::account::{Account, What};
use super::receivers::{Answer, Receiver};
use super::scenario::{End, Scenario};

const OK: Answer = Answer::Status(200, None);

/// One event for one webhook, published.
fn account(receiver: Receiver) -> Account {
    let mut scenario = Scenario::new();
    let webhook = scenario.webhook(0, receiver);
    scenario.send(webhook, 1, Duration::ZERO, Duration::ZERO);
    let mut account = Account::new(&scenario);
    account.worker_started();
    account.published(0);
    account
}

fn quick() -> Account {
    account(Receiver::Quick { millis: 20 })
}

fn attempt(account: &mut Account, number: u32, answer: Answer) {
    account.began(0, number);
    account.ended(0, account.now, Some(answer));
}

#[track_caller]
fn broke(account: &Account, promise: &str) {
    let broken = &account.times_broken;
    assert!(broken.contains_key(promise), "{broken:?}");
}

#[test]
fn a_delivery_sent_twice_breaks_a_promise_unless_a_crash_repeats_it() {
    let promise = "what was delivered is not sent again, but for a crash";
    let mut account = quick();
    attempt(&mut account, 1, OK);
    account.worker_ended(End::Crash);
    attempt(&mut account, 1, OK);
    assert!(account.broken.is_empty(), "{:?}", account.broken);
    account.settled(0, What::Settled);
    account.worker_ended(End::Crash);
    attempt(&mut account, 1, OK);
    broke(&account, promise);
}

#[test]
fn an_attempt_left_out_breaks_a_promise_and_a_deferral_counts_for_none() {
    let mut account = account(Receiver::Erring);
    attempt(&mut account, 1, Answer::Status(500, None));
    account.delayed(0, 2, Duration::from_secs(1));
    account.due(0, What::Due);
    account.delayed(0, 2, Duration::from_secs(1));
    account.due(0, What::Due);
    assert_eq!(account.deliveries[0].deferrals, 1);
    attempt(&mut account, 2, OK);
    assert!(account.broken.is_empty(), "{:?}", account.broken);
    attempt(&mut account, 4, OK);
    broke(&account, "attempts are numbered 1, 2, 3");
}

#[test]
fn a_delivery_that_is_lost_breaks_a_promise() {
    let mut account = quick();
    attempt(&mut account, 1, Answer::Status(500, None));
    account.settled(0, What::Settled);
    account.check_ending();
    broke(&account, "what was accepted is delivered or a dead letter");
}

#[test]
fn a_healthy_delivery_put_off_or_left_waiting_breaks_a_promise() {
    let mut account = quick();
    account.delayed(0, 1, Duration::from_secs(1));
    broke(&account, "no delivery to a healthy webhook is put off");
    let mut account = quick();
    account.now = Duration::from_secs(2);
    attempt(&mut account, 1, OK);
    broke(
        &account,
        "a delivery to a healthy webhook takes a free place at once",
    );
    account.check_ending();
    broke(
        &account,
        "the first request to a healthy webhook comes at once",
    );
}

#[test]
fn a_request_while_the_receiver_asks_for_patience_breaks_a_promise() {
    let mut account = account(Receiver::Throttling { seconds: 10 });
    attempt(&mut account, 1, Answer::Status(429, Some(10)));
    account.now = Duration::from_secs(9);
    attempt(&mut account, 2, OK);
    broke(
        &account,
        "nothing begins while the receiver asks for patience",
    );
}

#[test]
fn requests_beyond_a_rate_limit_break_a_promise() {
    let mut account = account(Receiver::Limited { a_second: 5 });
    for attempt in 1..=7 {
        account.check_rate(0);
        assert!(account.broken.is_empty(), "{attempt}: {:?}", account.broken);
    }
    account.check_rate(0);
    broke(
        &account,
        "no more requests begin in a second than the rate limit allows",
    );
}
