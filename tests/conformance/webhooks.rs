//! Webhooks: registered, changed, disabled, and what the engine sees of that.

use std::time::Duration;

use futures::future::join_all;
use jiff::{SignedDuration, Timestamp};
use prism_webhooks::domain::attempt::Attempt;
use prism_webhooks::domain::matching::EventSubscription;
use prism_webhooks::domain::rotation::{Promote, Rotation, RotationError};
use prism_webhooks::domain::secret::Secret;
use prism_webhooks::engine::ports::Entry;
use prism_webhooks::registry::webhooks::{Listed, NewWebhook, Target, WebhookPatch, WebhooksError};
use prism_webhooks::store::delivery_log::AttemptFilter;
use prism_webhooks::store::statistics::Detail;

use super::adapter::Adapter;
use crate::redis::kit::{SOON, at, attempt, failing_since, new_webhook, organization, webhook_key};
use crate::support::deadline::eventually;

pub async fn a_change_acts_within_a_second(adapter: &impl Adapter) {
    let (subscriptions, webhooks) = (adapter.subscriptions(), adapter.webhooks());
    let known = async || {
        let known = subscriptions.webhooks(&organization()).await;
        let one = |webhook: &std::sync::Arc<_>| {
            let webhook: &prism_webhooks::domain::webhook::Webhook = webhook;
            (webhook.name.clone(), webhook.is_enabled())
        };
        known.webhooks.iter().map(one).collect::<Vec<_>>()
    };
    let becomes = async |expected: &[(&str, bool)]| {
        let what = format!("{expected:?} are known");
        eventually(Duration::from_secs(1), &what, async || {
            let known = known().await;
            let same = known.len() == expected.len()
                && known
                    .iter()
                    .zip(expected)
                    .all(|((name, on), expected)| (name.as_str(), *on) == *expected);
            same.then_some(())
        })
        .await;
    };
    becomes(&[]).await;
    let acme = organization();
    let new = new_webhook("n");
    webhooks.create(&acme, new, at(0)).await.unwrap();
    becomes(&[("n", true)]).await;
    let patch = WebhookPatch {
        name: Some("m".to_owned()),
        ..WebhookPatch::default()
    };
    webhooks.update(&acme, "n", &patch, at(1)).await.unwrap();
    becomes(&[("m", true)]).await;
    webhooks.disable(&acme, "m", "why", at(2)).await.unwrap();
    becomes(&[("m", false)]).await;
    webhooks.enable(&acme, "m", at(3)).await.unwrap();
    becomes(&[("m", true)]).await;
    webhooks.delete(&acme, "m").await.unwrap();
    becomes(&[]).await;
}

pub async fn a_webhook_is_found_by_id_and_name_and_names_are_unique(adapter: &impl Adapter) {
    let (webhooks, acme) = (adapter.webhooks(), organization());
    let new = NewWebhook {
        events: vec![EventSubscription::parse("guardrail.*").unwrap()],
        description: Some("for the pager".to_owned()),
        ..new_webhook(" pager ")
    };
    let created = webhooks.create(&acme, new, at(0)).await.unwrap();
    assert_eq!(created.document.name, "pager");
    for reference in [created.document.id.as_str(), "pager"] {
        let found = webhooks.get(&acme, reference).await.unwrap();
        assert_eq!(found.document, created.document);
    }
    let missing = webhooks.get(&acme, "nobody").await.unwrap_err();
    assert!(
        matches!(missing, WebhooksError::NotFound { .. }),
        "{missing}"
    );
    let create = async || {
        let webhooks = adapter.webhooks();
        webhooks.create(&acme, new_webhook("mine"), at(0)).await
    };
    let results = join_all((0..20).map(|_| create())).await;
    assert_eq!(results.iter().filter(|result| result.is_ok()).count(), 1);
    for refused in results.into_iter().filter_map(Result::err) {
        assert!(
            matches!(refused, WebhooksError::NameTaken { .. }),
            "{refused}"
        );
    }
    let patch = WebhookPatch {
        name: Some("mine".to_owned()),
        ..WebhookPatch::default()
    };
    let refused = webhooks.update(&acme, "pager", &patch, at(1)).await;
    let refused = refused.unwrap_err();
    assert!(
        matches!(refused, WebhooksError::NameTaken { .. }),
        "{refused}"
    );
    assert_eq!(webhooks.list(&acme).await.unwrap().len(), 2);
}

pub async fn changes_made_at_once_do_not_undo_each_other(adapter: &impl Adapter) {
    let (webhooks, acme) = (adapter.webhooks(), organization());
    webhooks
        .create(&acme, new_webhook("n"), at(0))
        .await
        .unwrap();
    let described = WebhookPatch {
        description: Some(Some("described".to_owned())),
        ..WebhookPatch::default()
    };
    let moved = WebhookPatch {
        url: Some("https://example.org/".to_owned()),
        ..WebhookPatch::default()
    };
    let (one, two, three) = tokio::join!(
        webhooks.update(&acme, "n", &described, at(1)),
        webhooks.update(&acme, "n", &moved, at(1)),
        webhooks.disable(&acme, "n", "by its owner", at(1)),
    );
    assert!(one.is_ok() && two.is_ok() && three.is_ok());
    let found = webhooks.get(&acme, "n").await.unwrap().document;
    assert_eq!(found.description.as_deref(), Some("described"));
    assert_eq!(found.url, "https://example.org/");
    assert_eq!(found.disabled_reason.as_deref(), Some("by its owner"));
}

pub async fn a_rotated_secret_is_staged_promoted_and_the_old_one_ends(adapter: &impl Adapter) {
    let (webhooks, acme) = (adapter.webhooks(), organization());
    let new = NewWebhook {
        secret: Some(Secret::new("old").unwrap()),
        ..new_webhook("n")
    };
    webhooks.create(&acme, new, at(0)).await.unwrap();
    // As a worker sees it: from what is stored, at its own time.
    let stored = async |second| -> Vec<String> {
        let stored = webhooks.get(&acme, "n").await.unwrap();
        let secrets = stored.webhook.active_secrets(at(second));
        secrets.map(|secret| secret.expose().to_owned()).collect()
    };
    let rotation = |promote| Rotation {
        promote,
        overlap: Duration::from_secs(60),
    };
    let by_hand = rotation(Promote::ByHand);
    let secret = |text| Secret::new(text).unwrap();
    let new = secret("new");
    let rotating = webhooks.rotate_secret(&acme, "n", &new, by_hand, at(10));
    rotating.await.unwrap();
    assert_eq!(stored(1_000).await, ["old", "new"]);
    let promoting = webhooks.promote_secret(&acme, "n", None, at(20));
    promoting.await.unwrap();
    assert_eq!(stored(79).await, ["new", "old"]);
    assert_eq!(stored(80).await, ["new"]);
    let set = rotation(Promote::At(at(200)));
    let third = secret("third");
    let rotating = webhooks.rotate_secret(&acme, "n", &third, set, at(100));
    rotating.await.unwrap();
    assert_eq!(stored(199).await, ["new", "third"]);
    assert_eq!(stored(200).await, ["third", "new"]);
    assert_eq!(stored(260).await, ["third"]);
    let dropping = webhooks.drop_staged_secrets(&acme, "n", at(150));
    dropping.await.unwrap();
    assert_eq!(stored(1_000).await, ["new"]);
    let none = webhooks.promote_secret(&acme, "n", None, at(151)).await;
    assert!(matches!(
        none,
        Err(WebhooksError::Rotation(RotationError::NoneStaged))
    ));
    let again = webhooks.rotate_secret(&acme, "n", &new, by_hand, at(152));
    assert!(matches!(
        again.await,
        Err(WebhooksError::Rotation(RotationError::Current))
    ));
}

pub async fn of_many_that_disable_a_webhook_at_once_one_did_it(adapter: &impl Adapter) {
    let (webhooks, subscriptions) = (adapter.webhooks(), adapter.subscriptions());
    let created = webhooks
        .create(&organization(), new_webhook("n"), at(0))
        .await
        .unwrap();
    let key = webhook_key(&created.document.id);
    let disable = |_| subscriptions.disable(&key, "the endpoint is gone", at(9));
    let did = join_all((0..8).map(disable)).await;
    assert_eq!(did.iter().filter(|&&did| did).count(), 1, "{did:?}");
    let found = webhooks.get(&organization(), "n").await.unwrap().document;
    assert_eq!(
        found.disabled_reason.as_deref(),
        Some("the endpoint is gone")
    );
    assert_eq!(
        (found.disabled_at, found.updated_at),
        (Some(at(9)), Some(at(9)))
    );
    let known = subscriptions.webhooks(&organization()).await;
    assert!(!known.webhooks[0].is_enabled());
    let nobody = webhook_key("nobody");
    assert!(!subscriptions.disable(&nobody, "why", at(9)).await);
}

pub async fn a_document_that_cannot_be_used_hurts_no_other(adapter: &impl Adapter) {
    let (webhooks, acme) = (adapter.webhooks(), organization());
    webhooks
        .create(&acme, new_webhook("good"), at(0))
        .await
        .unwrap();
    for (id, json) in [
        ("bad", r#"{"id":"bad","name":"bad","url":"nowhere"}"#),
        ("not-json", "{"),
        ("no id", "{"),
        (
            "other",
            r#"{"id":"else","name":"x","url":"https://example.com"}"#,
        ),
    ] {
        adapter.put_document(id, json).await;
    }
    let subscriptions = adapter.subscriptions();
    eventually(
        SOON,
        "one webhook is known and four are not usable",
        async || {
            let known = subscriptions.webhooks(&acme).await;
            (known.webhooks.len() == 1 && known.invalid.len() == 4).then_some(())
        },
    )
    .await;
    let known = subscriptions.webhooks(&acme).await;
    let names: Vec<&str> = known.webhooks.iter().map(|one| one.name.as_str()).collect();
    assert_eq!(names, ["good"]);
    let listed = webhooks.list(&acme).await.unwrap();
    let invalid: Vec<(&str, String)> = listed
        .iter()
        .filter_map(|one| match one {
            Listed::Valid(_) => None,
            Listed::Invalid { id, reason } => Some((id.as_str(), reason.to_string())),
        })
        .collect();
    let ids: Vec<&str> = invalid.iter().map(|(id, _)| *id).collect();
    assert_eq!(ids, ["bad", "no id", "not-json", "other"]);
    assert_eq!(listed.len(), 5, "and the good one");
    assert!(invalid[0].1.contains("write it in full"), "{invalid:?}");
    // Its name is taken all the same, and a change can mend it.
    let refused = webhooks.create(&acme, new_webhook("bad"), at(0)).await;
    assert!(matches!(refused, Err(WebhooksError::NameTaken { .. })));
    let patch = WebhookPatch {
        url: Some("https://example.com".to_owned()),
        ..WebhookPatch::default()
    };
    webhooks.update(&acme, "bad", &patch, at(1)).await.unwrap();
    webhooks.delete(&acme, "not-json").await.unwrap();
}

pub async fn an_update_keeps_what_this_version_does_not_know(adapter: &impl Adapter) {
    let (webhooks, acme) = (adapter.webhooks(), organization());
    let json = r#"{"id":"w1","name":"n","url":"https://example.com","big":123456789012345678901234567890}"#;
    adapter.put_document("w1", json).await;
    webhooks.disable(&acme, "n", "why", at(1)).await.unwrap();
    let enabled = webhooks.enable(&acme, "n", at(2)).await.unwrap();
    assert_eq!(enabled.document.updated_at, Some(at(2)));
    assert_eq!(enabled.document.disabled_reason, None);
    // A number beyond anybody's precision, and still there: or the document would differ from the
    // one that the next change is compared with.
    webhooks.disable(&acme, "n", "again", at(3)).await.unwrap();
}

pub async fn a_deleted_webhook_takes_its_attempts_along(adapter: &impl Adapter) {
    let (webhooks, log) = (adapter.webhooks(), adapter.log());
    let created = webhooks
        .create(&organization(), new_webhook("n"), at(0))
        .await
        .unwrap();
    let key = webhook_key(&created.document.id);
    let entry = Entry {
        attempt: Some(attempt("e1", key.id.as_str())),
        ..Entry::default()
    };
    log.write(entry).await;
    failing_since(&*log, &key, at(0)).await;
    let filter = AttemptFilter {
        organization: Some(organization()),
        webhook: Some(key.id.clone()),
        ..AttemptFilter::default()
    };
    assert_eq!(adapter.attempts(&filter, 10, None).await.0.len(), 1);
    // Recent, or it would not be kept at all.
    let recent = Attempt {
        started_at: Timestamp::now(),
        ..attempt("e2", key.id.as_str())
    };
    let entry = Entry {
        attempt: Some(recent),
        ..Entry::default()
    };
    log.write(entry).await;
    adapter.flush().await;
    let end = Timestamp::now() + SignedDuration::from_mins(15);
    let counts = || adapter.statistics(&key.id, (at(0), end), Detail::Outcomes);
    assert_eq!(counts().await.len(), 1);
    webhooks.delete(&organization(), "n").await.unwrap();
    assert_eq!(adapter.attempts(&filter, 10, None).await.0.len(), 0);
    assert_eq!(counts().await, []);
    assert_eq!(failing_since(&*log, &key, at(50)).await, at(50));
    let gone = webhooks.delete(&organization(), "n").await.unwrap_err();
    assert!(matches!(gone, WebhooksError::NotFound { .. }), "{gone}");
}

pub async fn a_change_made_on_an_older_version_is_refused(adapter: &impl Adapter) {
    let (webhooks, acme) = (adapter.webhooks(), organization());
    let seen = webhooks
        .create(&acme, new_webhook("n"), at(0))
        .await
        .unwrap()
        .version;
    let on = |version| Target {
        reference: "n",
        version: Some(version),
    };
    let described = |text: &str| WebhookPatch {
        description: Some(Some(text.to_owned())),
        ..WebhookPatch::default()
    };
    let patch = described("first");
    let first = webhooks.update(&acme, on(&seen), &patch, at(1)).await;
    let first = first.unwrap();
    assert_ne!(first.version, seen);
    let patch = described("second");
    let second = webhooks.update(&acme, on(&seen), &patch, at(2)).await;
    assert!(matches!(second, Err(WebhooksError::Changed { .. })));
    let deleted = webhooks.delete(&acme, on(&seen)).await;
    assert!(matches!(deleted, Err(WebhooksError::Changed { .. })));
    let now = webhooks.get(&acme, "n").await.unwrap();
    assert_eq!(now.document.description.as_deref(), Some("first"));
    assert_eq!(now.version, first.version);
    let rotated = webhooks
        .rotate_secret(
            &acme,
            on(&now.version),
            &Secret::new("s").unwrap(),
            Rotation {
                promote: Promote::Now,
                overlap: Duration::ZERO,
            },
            at(3),
        )
        .await
        .unwrap();
    assert_ne!(rotated.version, now.version);
    webhooks.delete(&acme, on(&rotated.version)).await.unwrap();
}
