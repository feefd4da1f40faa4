//! What is secret of webhooks: sealed in the store, with one of several keys, and sealed anew.

use std::collections::BTreeMap;
use std::ops::ControlFlow;

use prism_webhooks::domain::ids::Organization;
use prism_webhooks::domain::secret::{Secret, SecretKey};
use prism_webhooks::registry::sealing::Stands;
use prism_webhooks::registry::secrets::SecretCipher;
use prism_webhooks::registry::sweep::{Purpose, Tally};
use prism_webhooks::registry::webhooks::{NewWebhook, WebhookPatch, Webhooks, WebhooksError};

use super::adapter::Adapter;
use crate::redis::kit::{SOON, at, new_webhook, organization};
use crate::support::deadline::eventually;

const URL: &str = "https://example.com/hook?token=s3cr3t-query";

fn cipher(keys: &[u8]) -> SecretCipher {
    SecretCipher::new(keys.iter().map(|byte| SecretKey::new([*byte; 32])))
}

fn secretive(name: &str) -> NewWebhook {
    let header = (
        "Authorization".to_owned(),
        "Bearer s3cr3t-header".to_owned(),
    );
    NewWebhook {
        url: URL.to_owned(),
        secret: Some(Secret::new("s3cr3t-signing").unwrap()),
        headers: BTreeMap::from([header]),
        ..new_webhook(name)
    }
}

async fn sweep(webhooks: &Webhooks, purpose: Purpose) -> Tally {
    let mut report = |_: &Tally| ControlFlow::Continue(());
    webhooks.sweep(purpose, &mut report).await.unwrap()
}

pub async fn what_is_secret_of_a_webhook_lies_sealed_in_the_store(adapter: &impl Adapter) {
    let (webhooks, acme) = (adapter.webhooks_with(cipher(&[1])), organization());
    let created = webhooks.create(&acme, secretive("n"), at(0)).await.unwrap();
    assert_eq!(created.document.url, URL);
    let id = &created.document.id;
    let before = adapter.stored(id).await;
    assert!(!before.contains("s3cr3t"), "{before}");
    assert!(before.contains("https://example.com/hook?sealed:v2:"));
    let found = webhooks.get(&acme, "n").await.unwrap();
    assert_eq!(found.webhook.url.as_str(), URL);
    assert_eq!(found.webhook.headers[0].1, "Bearer s3cr3t-header");
    assert_eq!(found.version, created.version);

    let other = "https://example.com/else?s3cr3t".to_owned();
    let patch = WebhookPatch {
        url: Some(other.clone()),
        headers: Some(BTreeMap::from([("X-A".to_owned(), "s3cr3t".to_owned())])),
        ..WebhookPatch::default()
    };
    let changed = webhooks.update(&acme, "n", &patch, at(1)).await.unwrap();
    assert_eq!(changed.webhook.url.as_str(), other);
    assert_eq!(changed.webhook.headers[0].1, "s3cr3t");
    let after = adapter.stored(id).await;
    assert!(!after.contains("s3cr3t"), "{after}");

    let exported = changed.exported();
    assert_eq!(exported.url, other);
    assert_eq!(exported.headers["X-A"], "s3cr3t");
    webhooks.delete(&acme, "n").await.unwrap();
    webhooks.import(&acme, exported).await.unwrap();
    let imported = adapter.stored(id).await;
    assert!(!imported.contains("s3cr3t"), "{imported}");
    // What could be taken for sealed is refused, also by whoever has no key.
    for webhooks in [webhooks, adapter.webhooks()] {
        let mut confusing = secretive("m");
        confusing.url = "https://example.com/?sealed:v2:x".to_owned();
        let refused = webhooks.create(&acme, confusing, at(0)).await;
        assert!(matches!(refused, Err(WebhooksError::Secret(_))));
    }
}

pub async fn a_url_as_it_is_shown_stays_what_it_is(adapter: &impl Adapter) {
    let (webhooks, acme) = (adapter.webhooks_with(cipher(&[1])), organization());
    webhooks.create(&acme, secretive("n"), at(0)).await.unwrap();
    let patch = |url: &str| WebhookPatch {
        url: Some(url.to_owned()),
        ..WebhookPatch::default()
    };
    let shown = patch("https://example.com/hook?***");
    let kept = webhooks.update(&acme, "n", &shown, at(1)).await.unwrap();
    assert_eq!(kept.webhook.url.as_str(), URL);
    let elsewhere = patch("https://example.org/hook?***");
    let refused = webhooks.update(&acme, "n", &elsewhere, at(2)).await;
    let refused = refused.unwrap_err().to_string();
    assert!(refused.contains("write it in full"), "{refused}");
    let without = patch("https://example.com/hook");
    let without = webhooks.update(&acme, "n", &without, at(3)).await.unwrap();
    assert_eq!(without.webhook.url.as_str(), "https://example.com/hook");
}

pub async fn everything_is_sealed_anew_while_others_go_on(adapter: &impl Adapter) {
    let (acme, other) = (organization(), Organization::new("other").unwrap());
    let (clear, old) = (adapter.webhooks(), adapter.webhooks_with(cipher(&[1])));
    let (both, new) = (
        adapter.webhooks_with(cipher(&[2, 1])),
        adapter.webhooks_with(cipher(&[2])),
    );
    for number in 0..20 {
        let in_clear = secretive(&format!("clear-{number}"));
        clear.create(&acme, in_clear, at(0)).await.unwrap();
        let sealed = secretive(&format!("sealed-{number}"));
        old.create(&other, sealed, at(0)).await.unwrap();
    }
    let before = clear.get(&acme, "clear-3").await.unwrap();
    adapter.put_document("broken", "[]").await;
    assert_eq!(sweep(&new, Purpose::Look).await.for_want_of_key, 20);
    let look = sweep(&both, Purpose::Look).await;
    assert_eq!((look.looked_at, look.anew, look.unreadable), (41, 40, 1));

    // Somebody changes them all the while, with the old key first still.
    let changing = async {
        for number in 0..20 {
            let patch = WebhookPatch {
                description: Some(Some("changed".to_owned())),
                ..WebhookPatch::default()
            };
            let name = format!("sealed-{number}");
            let also_old = adapter.webhooks_with(cipher(&[1, 2]));
            also_old.update(&other, &name, &patch, at(1)).await.unwrap();
        }
    };
    let (anew, ()) = tokio::join!(sweep(&both, Purpose::SealAnew), changing);
    assert_eq!((anew.looked_at, anew.anew, anew.overtaken), (41, 40, 0));
    assert_eq!(anew.parts[&Stands::InTheClear], 60);
    assert_eq!(anew.unopened.len(), 1);
    assert_eq!(anew.unopened[0].id, "broken");

    let again = sweep(&both, Purpose::SealAnew).await;
    assert_eq!((again.anew, again.as_they_should_be), (0, 40));
    for (organization, name) in [(&acme, "clear"), (&other, "sealed")] {
        for number in 0..20 {
            let name = format!("{name}-{number}");
            let found = new.get(organization, &name).await.unwrap();
            assert_eq!(found.webhook.url.as_str(), URL);
            assert_eq!(found.webhook.secrets[0].0.expose(), "s3cr3t-signing");
            let changed = found.document.description.as_deref() == Some("changed");
            assert_eq!(changed, organization == &other, "no change is undone");
        }
    }
    let after = new.get(&acme, "clear-3").await.unwrap();
    assert_eq!(after.version, before.version, "it says the same");
    assert_eq!(after.document.updated_at, before.document.updated_at);
    let stored = adapter.stored(&after.document.id).await;
    assert!(!stored.contains("s3cr3t"), "{stored}");
}

pub async fn whoever_lacks_the_key_knows_that_it_is_its_own_fault(adapter: &impl Adapter) {
    let (webhooks, acme) = (adapter.webhooks_with(cipher(&[1])), organization());
    let created = webhooks.create(&acme, secretive("n"), at(0)).await.unwrap();
    let subscriptions = adapter.subscriptions();
    let unusable = eventually(SOON, "it is known", async || {
        let known = subscriptions.webhooks(&acme).await;
        known.invalid.first().cloned()
    })
    .await;
    assert!(unusable.for_want_of_key, "{unusable:?}");
    assert!(unusable.problem.contains("PRISM_SECRET_KEY"));
    // What is wrong in itself is not taken for that.
    let altered = adapter.stored(&created.document.id).await;
    let altered = altered.replace("hook?sealed:v2:", "hook?sealed:v2:!");
    adapter.put_document(&created.document.id, &altered).await;
    eventually(SOON, "it is known to be wrong", async || {
        let known = subscriptions.webhooks(&acme).await;
        let wrong = known
            .invalid
            .first()
            .is_some_and(|one| !one.for_want_of_key);
        wrong.then_some(())
    })
    .await;
}
