//! The registered webhooks, for commands.

use std::time::Duration;

use prism_webhooks::domain::endpoint::EndpointRules;
use prism_webhooks::domain::ids::Organization;
use prism_webhooks::domain::rotation::{Promote, Rotation};
use prism_webhooks::domain::secret::{Secret, SecretKey};
use prism_webhooks::engine::ports::LogWriter as _;
use prism_webhooks::redis::log_writer::{DeliveryLogSettings, RedisLogWriter};
use prism_webhooks::redis::webhooks::webhooks;
use prism_webhooks::registry::documents::DocumentReader;
use prism_webhooks::registry::secrets::SecretCipher;
use prism_webhooks::registry::webhooks::{NewWebhook, WebhookPatch, WebhooksError};

use super::kit::{
    AUDIT, SOON, Space, at, attempt, document, failing_since, new_webhook, organization,
    webhook_key,
};
use tokio::time::Instant;

use crate::support::deadline::eventually;
use crate::support::servers::redis_url;

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
        stored.contains("sealed:v2:") && !stored.contains("hunter2"),
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
    let at_once = Rotation {
        promote: Promote::Now,
        overlap: Duration::ZERO,
    };
    webhooks
        .rotate_secret(&acme, "n", &secret, at_once, at(4))
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

#[tokio::test]
async fn creating_one_costs_the_same_with_one_webhook_and_with_ten_thousand() {
    let space = Space::new();
    let rules = EndpointRules { allow_http: true };
    let reader = DocumentReader::new(SecretCipher::new(None), rules);
    let (connection, keys) = (space.connection.clone(), space.keys.clone());
    let webhooks = webhooks(connection, keys, reader, AUDIT);
    let [few, many] = ["few", "many"].map(|name| Organization::new(name).unwrap());
    let mut words = vec!["HSET".to_owned(), space.keys.webhooks(&many)];
    for number in 0..10_000 {
        let id = format!("w{number}");
        words.extend([id.clone(), document(&id)]);
    }
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    space.ask::<()>(&words).await;

    let mut took = [Vec::new(), Vec::new()];
    // The first one learns which names there are, which is not measured.
    for round in 0..40 {
        for (organization, took) in [&few, &many].into_iter().zip(&mut took) {
            let begun = Instant::now();
            let new = new_webhook(&format!("n{round}"));
            webhooks.create(organization, new, at(0)).await.unwrap();
            took.push(begun.elapsed());
        }
    }
    let [few, many] = took.map(|mut took| {
        took.remove(0);
        took.sort();
        took[took.len() / 2]
    });
    // A look at each of ten thousand documents takes Redis tens of milliseconds.
    let bound = 3 * few + Duration::from_millis(2);
    assert!(many < bound, "{many:?} against {few:?}");
}
