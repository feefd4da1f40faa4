//! The registered webhooks, for commands.

use std::time::Duration;

use futures::future::join_all;
use prism_webhooks::domain::matching::EventSubscription;
use prism_webhooks::domain::secret::Secret;
use prism_webhooks::engine::ports::LogWriter as _;
use prism_webhooks::redis::log_writer::{DeliveryLogSettings, RedisLogWriter};
use prism_webhooks::registry::secrets::{SecretCipher, SecretKey};
use prism_webhooks::registry::webhooks::{Listed, NewWebhook, WebhookPatch, WebhooksError};

use super::kit::{SOON, Space, at, attempt, failing_since, new_webhook, organization, webhook_key};
use crate::support::deadline::eventually;
use crate::support::servers::redis_url;

#[tokio::test]
async fn a_webhook_is_found_by_its_id_and_by_its_name() {
    let space = Space::new();
    let webhooks = space.webhooks();
    let new = NewWebhook {
        events: vec![EventSubscription::parse("guardrail.*").unwrap()],
        description: Some("for the pager".to_owned()),
        ..new_webhook(" pager ")
    };
    let created = webhooks.create(&organization(), new, at(0)).await.unwrap();
    assert_eq!(created.document.name, "pager");
    for reference in [created.document.id.as_str(), "pager"] {
        let found = webhooks.get(&organization(), reference).await.unwrap();
        assert_eq!(found.document, created.document);
    }
    let missing = webhooks.get(&organization(), "nobody").await.unwrap_err();
    assert!(
        matches!(missing, WebhooksError::NotFound { .. }),
        "{missing}"
    );
}

#[tokio::test]
async fn of_many_that_take_a_name_at_once_one_gets_it() {
    let space = Space::new();
    let create = || async {
        let webhooks = space.webhooks();
        webhooks
            .create(&organization(), new_webhook("mine"), at(0))
            .await
    };
    let results = join_all((0..20).map(|_| create())).await;
    assert_eq!(results.iter().filter(|result| result.is_ok()).count(), 1);
    let refused = results.into_iter().find_map(Result::err).unwrap();
    assert!(
        matches!(refused, WebhooksError::NameTaken { .. }),
        "{refused}"
    );

    let webhooks = space.webhooks();
    webhooks
        .create(&organization(), new_webhook("other"), at(0))
        .await
        .unwrap();
    let patch = WebhookPatch {
        name: Some("mine".to_owned()),
        ..WebhookPatch::default()
    };
    let refused = webhooks
        .update(&organization(), "other", &patch, at(1))
        .await
        .unwrap_err();
    assert!(
        matches!(refused, WebhooksError::NameTaken { .. }),
        "{refused}"
    );
}

#[tokio::test]
async fn an_update_keeps_what_this_version_does_not_know() {
    let space = Space::new();
    let key = space.keys.webhooks(&organization());
    let json = r#"{"id":"w1","name":"n","url":"https://example.com","future":{"n": 1.10},"big":123456789012345678901234567890}"#;
    space.ask::<()>(&["HSET", &key, "w1", json]).await;
    let patch = WebhookPatch {
        url: Some("https://example.org/new".to_owned()),
        ..WebhookPatch::default()
    };
    let updated = space
        .webhooks()
        .update(&organization(), "n", &patch, at(5))
        .await
        .unwrap();
    assert_eq!(updated.webhook.url.as_str(), "https://example.org/new");
    assert_eq!(updated.document.updated_at, Some(at(5)));
    let stored: String = space.ask(&["HGET", &key, "w1"]).await;
    assert!(stored.contains(r#""future":{"n": 1.10}"#), "{stored}");
    assert!(
        stored.contains(r#""big":123456789012345678901234567890"#),
        "{stored}"
    );
}

#[tokio::test]
async fn changes_made_at_once_do_not_undo_each_other() {
    let space = Space::new();
    let webhooks = space.webhooks();
    webhooks
        .create(&organization(), new_webhook("n"), at(0))
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
    let acme = organization();
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

#[tokio::test]
async fn a_document_that_cannot_be_used_is_listed_with_its_reason_beside_the_others() {
    let space = Space::new();
    let webhooks = space.webhooks();
    webhooks
        .create(&organization(), new_webhook("good"), at(0))
        .await
        .unwrap();
    let key = space.keys.webhooks(&organization());
    space
        .ask::<()>(&[
            "HSET",
            &key,
            "bad",
            r#"{"id":"bad","name":"bad","url":"nowhere"}"#,
        ])
        .await;
    space.ask::<()>(&["HSET", &key, "worse", "{"]).await;
    let listed = webhooks.list(&organization()).await.unwrap();
    let reasons: Vec<String> = listed
        .iter()
        .filter_map(|one| match one {
            Listed::Valid(_) => None,
            Listed::Invalid { id, reason } => Some(format!("{id}: {reason}")),
        })
        .collect();
    assert_eq!((listed.len(), reasons.len()), (3, 2), "{reasons:?}");
    assert!(reasons[0].contains("write it in full"), "{reasons:?}");

    // Its name is taken all the same, and a change can mend it.
    let refused = webhooks
        .create(&organization(), new_webhook("bad"), at(0))
        .await;
    assert!(matches!(refused, Err(WebhooksError::NameTaken { .. })));
    let patch = WebhookPatch {
        url: Some("https://example.com".to_owned()),
        ..WebhookPatch::default()
    };
    webhooks
        .update(&organization(), "bad", &patch, at(1))
        .await
        .unwrap();
    webhooks.delete(&organization(), "worse").await.unwrap();
}

#[tokio::test]
async fn a_rotated_secret_signs_beside_the_new_one_until_its_end() {
    let space = Space::new();
    let webhooks = space.webhooks();
    let new = NewWebhook {
        secret: Some(Secret::new("old").unwrap()),
        ..new_webhook("n")
    };
    webhooks.create(&organization(), new, at(0)).await.unwrap();
    let overlap = Duration::from_secs(60);
    let secret = Secret::new("new").unwrap();
    let rotated = webhooks
        .rotate_secret(&organization(), "n", &secret, overlap, at(10))
        .await
        .unwrap();
    let active = |second| -> Vec<String> {
        let secrets = rotated.webhook.active_secrets(at(second));
        secrets.map(|secret| secret.expose().to_owned()).collect()
    };
    assert_eq!(active(69), ["new", "old"]);
    assert_eq!(active(70), ["new"]);
}

#[tokio::test]
async fn a_sealed_secret_is_nowhere_in_redis_and_is_read_back() {
    let space = Space::new();
    let cipher = |byte| SecretCipher::new(Some(SecretKey::new([byte; 32])));
    let webhooks = space.webhooks_with(cipher(1));
    let new = NewWebhook {
        secret: Some(Secret::new("hunter2").unwrap()),
        ..new_webhook("n")
    };
    let created = webhooks.create(&organization(), new, at(0)).await.unwrap();
    let key = space.keys.webhooks(&organization());
    let stored: String = space.ask(&["HGET", &key, &created.document.id]).await;
    assert!(
        stored.contains("sealed:v1:") && !stored.contains("hunter2"),
        "{stored}"
    );
    let found = webhooks.get(&organization(), "n").await.unwrap();
    assert_eq!(found.webhook.secrets[0].0.expose(), "hunter2");

    let wrong = space
        .webhooks_with(cipher(2))
        .get(&organization(), "n")
        .await;
    assert!(wrong.unwrap_err().to_string().contains("PRISM_SECRET_KEY"));
}

#[tokio::test]
async fn deleting_a_webhook_removes_its_attempts_and_its_health() {
    let space = Space::new();
    let webhooks = space.webhooks();
    let created = webhooks
        .create(&organization(), new_webhook("n"), at(0))
        .await
        .unwrap();
    let log = RedisLogWriter::start(
        space.connection.clone(),
        space.keys.clone(),
        DeliveryLogSettings::default(),
    );
    let key = webhook_key(&created.document.id);
    failing_since(&log, &key, at(0)).await;
    let entry = prism_webhooks::engine::ports::Entry {
        attempt: Some(attempt("e1", &created.document.id)),
        ..Default::default()
    };
    log.write(entry).await;
    let own = [
        space.keys.webhook_attempts(&organization(), &key.id),
        space.keys.health(&key),
    ];
    assert_eq!(space.ask::<u32>(&["EXISTS", &own[0], &own[1]]).await, 2);
    webhooks.delete(&organization(), "n").await.unwrap();
    assert_eq!(space.ask::<u32>(&["EXISTS", &own[0], &own[1]]).await, 0);
    let gone = webhooks.delete(&organization(), "n").await.unwrap_err();
    assert!(matches!(gone, WebhooksError::NotFound { .. }), "{gone}");
}

#[tokio::test]
async fn every_change_is_told() {
    let space = Space::new();
    let webhooks = space.webhooks();
    let client = redis::Client::open(redis_url()).unwrap();
    let (mut sink, mut notices) = client.get_async_pubsub().await.unwrap().split();
    sink.subscribe(space.keys.changed()).await.unwrap();
    let acme = organization();
    webhooks
        .create(&acme, new_webhook("n"), at(0))
        .await
        .unwrap();
    let patch = WebhookPatch {
        description: Some(None),
        ..WebhookPatch::default()
    };
    webhooks.update(&acme, "n", &patch, at(1)).await.unwrap();
    webhooks.disable(&acme, "n", "why", at(2)).await.unwrap();
    webhooks.enable(&acme, "n", at(3)).await.unwrap();
    let secret = Secret::new("new").unwrap();
    webhooks
        .rotate_secret(&acme, "n", &secret, Duration::ZERO, at(4))
        .await
        .unwrap();
    webhooks.delete(&acme, "n").await.unwrap();
    let mut told = 0;
    eventually(SOON, "every change is told", async || {
        use futures::{FutureExt as _, StreamExt as _};
        while let Some(Some(notice)) = notices.next().now_or_never() {
            assert_eq!(notice.get_payload::<String>().unwrap(), "acme");
            told += 1;
        }
        (told == 6).then_some(())
    })
    .await;
}
