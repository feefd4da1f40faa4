//! The story of a simulation that broke a promise: who was there, what was broken, and everything
//! that happened to the webhook or delivery in question, in virtual time.

use std::fmt::Write as _;
use std::time::Duration;

use super::account::{Account, Broken, Happened, What};

/// At most so many lines are told of what led to it.
const LINES: usize = 60;

/// Tells what was broken and how it came to that.
pub fn of(account: &Account) -> String {
    let mut story = String::new();
    let scenario = &account.scenario;
    let _ = writeln!(story, "\nBroken:");
    for (promise, times) in &account.times_broken {
        let _ = writeln!(story, "  {times} times: {promise}");
    }
    let _ = writeln!(story, "First:");
    for broken in &account.broken {
        let who = name(broken.delivery, Some(broken.webhook));
        let (at, promise) = (time(broken.at), broken.promise);
        let _ = writeln!(story, "  {at} {who}: {promise}: {}", broken.seen);
    }
    let _ = writeln!(
        story,
        "\nThe scenario: {:?}, {:?}, {:?}",
        scenario.limits, scenario.costs, scenario.retry
    );
    for ending in &scenario.endings {
        let _ = writeln!(story, "  {ending:?}");
    }
    let counts = scenario.deliveries();
    for (number, webhook) in scenario.webhooks.iter().enumerate() {
        let seen = &account.webhooks[number];
        let _ = writeln!(
            story,
            "  w{number} of o{} {:?}: {} deliveries, {} requests, at most {} open, {} deferrals, \
             {} hand-overs",
            webhook.organization,
            webhook.receiver,
            counts[number],
            seen.began,
            seen.most_open,
            seen.deferrals,
            seen.hand_overs
        );
    }
    if let Some(first) = account.broken.first() {
        tell(&mut story, account, first);
    }
    story
}

fn tell(story: &mut String, account: &Account, broken: &Broken) {
    let who = name(broken.delivery, Some(broken.webhook));
    let _ = writeln!(story, "\nWhat happened to {who}:");
    let concerns = |one: &&Happened| match broken.delivery {
        _ if one.webhook.is_none() => true,
        Some(delivery) => one.delivery == Some(delivery),
        None => one.webhook == Some(broken.webhook),
    };
    let all: Vec<_> = account.trace.iter().filter(concerns).collect();
    let until = all.iter().take_while(|one| one.at <= broken.at).count();
    let shown = &all[until.saturating_sub(LINES)..all.len().min(until + 5)];
    for one in shown {
        let _ = writeln!(story, "  {}", line(account, one));
    }
}

/// One line of the trace.
pub fn line(account: &Account, one: &Happened) -> String {
    let what = match one.what {
        What::Began(attempt) => format!("attempt {attempt} began"),
        What::Ended(answer) => format!("answered: {answer:?}"),
        What::Deferred(wait) => format!("put off for {wait:?}"),
        What::Retried(attempt, wait) => format!("attempt {attempt} to come in {wait:?}"),
        What::WaitsOn(wait) => format!("waits on for {wait:?}"),
        other => format!("{other:?}"),
    };
    let delivery = one.delivery.map(|number| {
        let delivery = &account.deliveries[number];
        format!("e{}/w{}", delivery.event, delivery.webhook)
    });
    let who = delivery.unwrap_or_else(|| name(None, one.webhook));
    format!("{} {who} {what}", time(one.at))
}

fn name(delivery: Option<usize>, webhook: Option<usize>) -> String {
    match (delivery, webhook) {
        (Some(delivery), Some(webhook)) => format!("delivery {delivery} to w{webhook}"),
        (_, Some(webhook)) => format!("w{webhook}"),
        _ => String::new(),
    }
}

fn time(at: Duration) -> String {
    format!("{:>10.3}s", at.as_secs_f64())
}
