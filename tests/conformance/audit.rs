//! The audit log: one entry for each change, by whoever made it, with nothing secret.

use std::time::Duration;

use futures::future::join_all;
use jiff::{SignedDuration, Timestamp};
use prism_webhooks::domain::audit::{Action, Actor, AuditEntry, Through};
use prism_webhooks::domain::ids::Organization;
use prism_webhooks::domain::rotation::{Promote, Rotation};
use prism_webhooks::domain::secret::Secret;
use prism_webhooks::registry::webhooks::{NewWebhook, Target, Version, WebhookPatch};
use prism_webhooks::store::audit::AuditFilter;

use super::adapter::Adapter;
use crate::redis::kit::{AUDIT, LIMITS, at, new_webhook, organization, webhook_key};

fn alice() -> Actor {
    Actor::new("alice", Through::Api)
}

/// The whole log of an organization, newest first.
async fn all(adapter: &impl Adapter, organization: Option<&Organization>) -> Vec<AuditEntry> {
    let log = adapter.audit_log();
    let any = AuditFilter::default();
    let part = log.list(organization, &any, 1000, None).await.unwrap();
    assert_eq!((part.next, part.unreadable), (None, 0));
    part.entries
}

fn actions(entries: &[AuditEntry]) -> Vec<&'static str> {
    entries.iter().map(|entry| entry.action.name()).collect()
}

fn described(text: &str) -> WebhookPatch {
    WebhookPatch {
        description: Some(Some(text.to_owned())),
        ..WebhookPatch::default()
    }
}

pub async fn every_change_leaves_one_entry_that_says_who_and_what(adapter: &impl Adapter) {
    let (webhooks, acme) = (adapter.webhooks().by(alice()), organization());
    let new = NewWebhook {
        url: "https://example.com/hook?token=hunter2".to_owned(),
        secret: Some(Secret::new("hunter2-secret").unwrap()),
        headers: [("x-key".to_owned(), "hunter2-value".to_owned())].into(),
        ..new_webhook("n")
    };
    let created = webhooks.create(&acme, new.clone(), at(0)).await.unwrap();
    let patch = WebhookPatch {
        name: Some("m".to_owned()),
        url: Some("https://example.org/new?token=hunter2".to_owned()),
        // As they are: these do not change.
        headers: Some(new.headers.clone()),
        events: Some(Vec::new()),
        ..WebhookPatch::default()
    };
    webhooks.update(&acme, "n", &patch, at(1)).await.unwrap();
    let rotation = |promote| Rotation {
        promote,
        overlap: Duration::from_secs(60),
    };
    for (second, promote, secret) in [
        (2, Promote::ByHand, "hunter2-staged"),
        (3, Promote::ByHand, "hunter2-again"),
        (5, Promote::Now, "hunter2-now"),
    ] {
        let secret = Secret::new(secret).unwrap();
        let rotating = webhooks.rotate_secret(&acme, "m", &secret, rotation(promote), at(second));
        rotating.await.unwrap();
        if second == 2 {
            let dropping = webhooks.drop_staged_secrets(&acme, "m", at(2));
            dropping.await.unwrap();
        } else if second == 3 {
            let promoting = webhooks.promote_secret(&acme, "m", None, at(4));
            promoting.await.unwrap();
        }
    }
    webhooks.disable(&acme, "m", "why", at(6)).await.unwrap();
    webhooks.enable(&acme, "m", at(7)).await.unwrap();
    webhooks.delete(&acme, "m").await.unwrap();

    let mut entries = all(adapter, Some(&acme)).await;
    entries.reverse();
    let expected = [
        "webhook.created",
        "webhook.changed",
        "webhook.secret_staged",
        "webhook.staged_secret_dropped",
        "webhook.secret_staged",
        "webhook.secret_promoted",
        "webhook.secret_rotated",
        "webhook.disabled",
        "webhook.enabled",
        "webhook.deleted",
    ];
    assert_eq!(actions(&entries), expected);
    let seconds = [0, 1, 2, 2, 3, 4, 5, 6, 7];
    for (entry, second) in entries.iter().zip(seconds) {
        assert_eq!(entry.at, at(second), "{entry:?}");
    }
    for entry in &entries {
        assert_eq!(
            (entry.actor.as_str(), entry.through),
            ("alice", Through::Api)
        );
        assert_eq!(entry.organization.as_ref(), Some(&acme));
        assert_eq!(entry.webhook_id.as_ref(), Some(&created.webhook.id));
        let json = entry.to_json();
        assert!(!json.contains("hunter2"), "{json}");
    }
    let names: Vec<_> = entries.iter().map(AuditEntry::subject).collect();
    assert_eq!((names[0].as_str(), names[1].as_str()), ("n", "m"));
    assert_eq!(names[9], "m");
    let of = |index: usize| (entries[index].fields.join(","), entries[index].url.clone());
    let url = |text: &str| Some(text.to_owned());
    assert_eq!(of(0), (String::new(), url("https://example.com/hook?***")));
    assert_eq!(
        of(1),
        ("name,url".to_owned(), url("https://example.org/new?***"))
    );
    assert_eq!(of(6), ("secrets".to_owned(), None));
    assert_eq!(of(7), ("enabled,disabled_reason".to_owned(), None));
    assert_eq!(entries[7].reason.as_deref(), Some("why"));
    assert_eq!(entries[8].reason, None);
}

pub async fn a_refused_change_leaves_none(adapter: &impl Adapter) {
    let (webhooks, acme) = (adapter.webhooks().by(alice()), organization());
    for name in ["one", "two"] {
        webhooks
            .create(&acme, new_webhook(name), at(0))
            .await
            .unwrap();
    }
    let renamed = WebhookPatch {
        name: Some("two".to_owned()),
        ..WebhookPatch::default()
    };
    let nowhere = WebhookPatch {
        url: Some("ftp://example.com".to_owned()),
        ..WebhookPatch::default()
    };
    let large = described(&"a".repeat(LIMITS.size));
    let seen = Version::new("0123456789abcdef");
    let refused = [
        webhooks
            .create(&acme, new_webhook("one"), at(1))
            .await
            .is_err(),
        webhooks
            .update(&acme, "one", &renamed, at(1))
            .await
            .is_err(),
        webhooks
            .update(&acme, "one", &nowhere, at(1))
            .await
            .is_err(),
        webhooks.update(&acme, "one", &large, at(1)).await.is_err(),
        webhooks
            .update(&acme, "three", &described("d"), at(1))
            .await
            .is_err(),
        webhooks
            .disable(&acme, Target::seen("one", &seen), "why", at(1))
            .await
            .is_err(),
        webhooks
            .promote_secret(&acme, "one", None, at(1))
            .await
            .is_err(),
        webhooks
            .drop_staged_secrets(&acme, "one", at(1))
            .await
            .is_err(),
        webhooks
            .delete(&acme, Target::seen("one", &seen))
            .await
            .is_err(),
        webhooks.delete(&acme, "three").await.is_err(),
    ];
    assert_eq!(refused, [true; 10]);
    assert_eq!(all(adapter, Some(&acme)).await.len(), 2);
}

pub async fn two_changes_at_once_leave_two_entries(adapter: &impl Adapter) {
    let (webhooks, acme) = (adapter.webhooks(), organization());
    webhooks
        .create(&acme, new_webhook("n"), at(0))
        .await
        .unwrap();
    let change = async |who: &str| {
        let webhooks = webhooks.by(Actor::new(who, Through::Page));
        let changed = webhooks.update(&acme, "n", &described(who), at(1)).await;
        changed.is_ok().then(|| who.to_owned())
    };
    let mut made: Vec<_> = join_all(["a", "b", "c"].map(change)).await;
    made.retain(Option::is_some);
    let made: Vec<String> = made.into_iter().flatten().collect();
    assert!(made.len() >= 2, "{made:?}");
    let entries = all(adapter, Some(&acme)).await;
    let mut who: Vec<_> = entries.iter().map(|entry| entry.actor.clone()).collect();
    assert_eq!(
        who.pop().as_deref(),
        Some("prism-webhooks"),
        "it was created"
    );
    let last = webhooks.get(&acme, "n").await.unwrap().document.description;
    assert_eq!(last.as_ref(), who.first(), "in the order of the changes");
    who.sort();
    assert_eq!(who, made);
}

pub async fn what_disables_a_webhook_by_itself_is_entered_once(adapter: &impl Adapter) {
    let key = adapter.registered("n").await;
    let subscriptions = adapter.subscriptions();
    let disable = |_| subscriptions.disable(&key, "the endpoint is gone", at(9));
    join_all((0..4).map(disable)).await;
    subscriptions
        .disable(&webhook_key("nobody"), "why", at(9))
        .await;
    let entries = all(adapter, Some(&organization())).await;
    assert_eq!(actions(&entries), ["webhook.disabled", "webhook.created"]);
    let entry = &entries[0];
    let who = (entry.actor.as_str(), entry.through);
    assert_eq!(who, ("prism-webhooks", Through::Worker));
    assert_eq!(entry.webhook_id.as_ref(), Some(&key.id));
    assert_eq!(entry.webhook_name.as_deref(), Some("n"));
    assert_eq!(entry.reason.as_deref(), Some("the endpoint is gone"));
    assert_eq!(entry.at, at(9));
}

pub async fn a_document_that_could_not_be_read_is_compared_as_it_was_stored(
    adapter: &impl Adapter,
) {
    let (webhooks, acme) = (adapter.webhooks().by(alice()), organization());
    adapter
        .put_document("w1", r#"{"id":"w1","name":"n","url":"nonsense"}"#)
        .await;
    let patch = WebhookPatch {
        url: Some("https://example.com/a?hunter2".to_owned()),
        ..WebhookPatch::default()
    };
    webhooks.update(&acme, "w1", &patch, at(1)).await.unwrap();
    let entries = all(adapter, Some(&acme)).await;
    assert_eq!(
        entries.len(),
        1,
        "what another program wrote is not entered"
    );
    assert_eq!(entries[0].fields, ["url"]);
    let url = entries[0].url.as_deref();
    assert_eq!(url, Some("https://example.com/a?***"));
}

pub async fn an_audit_log_is_an_organizations_own_and_read_by_parts(adapter: &impl Adapter) {
    let log = adapter.audit_log();
    let (acme, other) = (organization(), Organization::new("other").unwrap());
    let now = Timestamp::now();
    for second in 0..6 {
        let at = now + SignedDuration::from_secs(second);
        let action = [Action::WebhookChanged, Action::WebhookDisabled][second as usize % 2];
        log.add(&AuditEntry::new(Some(&acme), &alice(), action, at))
            .await
            .unwrap();
    }
    let theirs = AuditEntry::new(Some(&other), &alice(), Action::WebhookCreated, now);
    log.add(&theirs).await.unwrap();
    let everybodys = AuditEntry::new(None, &alice(), Action::Purged, now);
    log.add(&everybodys).await.unwrap();
    assert_eq!(all(adapter, Some(&other)).await, [theirs]);
    assert_eq!(all(adapter, None).await, [everybodys]);

    let whole = all(adapter, Some(&acme)).await;
    let times = whole.iter().map(|entry| entry.at);
    assert!(times.is_sorted_by(|newer, older| newer > older));
    let (mut parts, mut before) = (Vec::new(), None);
    loop {
        let any = AuditFilter::default();
        let part = log.list(Some(&acme), &any, 4, before).await.unwrap();
        parts.extend(part.entries);
        before = part.next;
        if before.is_none() {
            break;
        }
    }
    assert_eq!(parts, whole);
    let filter = AuditFilter {
        action: Some(Action::WebhookDisabled),
        since: Some(now + SignedDuration::from_secs(2)),
        until: Some(now + SignedDuration::from_secs(5)),
        ..AuditFilter::default()
    };
    let found = log.list(Some(&acme), &filter, 10, None).await.unwrap();
    let found: Vec<_> = found.entries.iter().map(|entry| entry.at).collect();
    assert_eq!(found, [now + SignedDuration::from_secs(3)]);
}

pub async fn of_an_audit_log_so_many_are_kept_and_none_that_are_too_old(adapter: &impl Adapter) {
    let log = adapter.audit_log();
    let (acme, other) = (organization(), Organization::new("other").unwrap());
    let now = Timestamp::now();
    let entry = |whose: &Organization, at| {
        AuditEntry::new(Some(whose), &alice(), Action::WebhookChanged, at)
    };
    adapter.add_old_entry(&entry(&acme, now)).await;
    log.add(&entry(&other, now)).await.unwrap();
    log.add(&entry(&acme, now)).await.unwrap();
    assert_eq!(all(adapter, Some(&acme)).await.len(), 1, "the old one went");
    let many = i64::try_from(AUDIT.entries).unwrap() + 5;
    for second in 1..=many {
        let at = now + SignedDuration::from_secs(second);
        log.add(&entry(&acme, at)).await.unwrap();
    }
    let kept = all(adapter, Some(&acme)).await;
    assert_eq!(kept.len() as u64, AUDIT.entries);
    assert_eq!(kept[0].at, now + SignedDuration::from_secs(many));
    assert_eq!(all(adapter, Some(&other)).await.len(), 1);
}
