//! How many webhooks an organization may have, how large one may be, and that names are unique
//! without a look at each of them.

use std::collections::BTreeMap;

use futures::future::join_all;
use prism_webhooks::domain::ids::Organization;
use prism_webhooks::registry::webhooks::{NewWebhook, WebhookPatch, WebhooksError};

use super::adapter::Adapter;
use crate::redis::kit::{LIMITS, at, document, new_webhook, organization};

pub async fn an_organization_has_so_many_webhooks_at_most_and_others_have_their_own(
    adapter: &impl Adapter,
) {
    let (webhooks, acme) = (adapter.webhooks(), organization());
    let most = usize::try_from(LIMITS.per_organization).unwrap();
    let create = async |number: usize| {
        let new = new_webhook(&format!("n{number}"));
        webhooks.create(&acme, new, at(0)).await
    };
    // At once, as whoever wants more than a share would.
    let results = join_all((0..most + 5).map(create)).await;
    let refused: Vec<WebhooksError> = results.into_iter().filter_map(Result::err).collect();
    assert_eq!(refused.len(), 5);
    for error in &refused {
        assert!(matches!(error, WebhooksError::TooMany { .. }), "{error}");
    }
    assert!(
        refused[0]
            .to_string()
            .contains("webhooks.max_per_organization")
    );
    let listed = webhooks.list(&acme).await.unwrap();
    assert_eq!(listed.len(), most);

    let moved = webhooks.get(&acme, "n0").await.unwrap().exported();
    let moved = prism_webhooks::domain::webhook::WebhookDocument {
        id: "moved".to_owned(),
        name: "moved".to_owned(),
        ..moved
    };
    let refused = webhooks.import(&acme, moved.clone()).await.unwrap_err();
    assert!(
        matches!(refused, WebhooksError::TooMany { .. }),
        "{refused}"
    );

    let other = Organization::new("other").unwrap();
    let created = webhooks.create(&other, new_webhook("n0"), at(0)).await;
    created.unwrap();
    webhooks.delete(&acme, "n0").await.unwrap();
    webhooks.import(&acme, moved).await.unwrap();
}

pub async fn a_webhook_that_is_too_large_is_refused_and_one_that_stands_can_be_disabled_and_mended(
    adapter: &impl Adapter,
) {
    let (webhooks, acme) = (adapter.webhooks(), organization());
    let large = BTreeMap::from([("X-Large".to_owned(), "x".repeat(LIMITS.size))]);
    let new = NewWebhook {
        headers: large.clone(),
        ..new_webhook("large")
    };
    let refused = webhooks.create(&acme, new, at(0)).await.unwrap_err();
    assert!(
        matches!(refused, WebhooksError::TooLarge { .. }),
        "{refused}"
    );
    let created = webhooks.create(&acme, new_webhook("n"), at(0)).await;
    created.unwrap();
    let headers = |headers| WebhookPatch {
        headers: Some(headers),
        ..WebhookPatch::default()
    };
    let refused = webhooks.update(&acme, "n", &headers(large), at(1)).await;
    let refused = refused.unwrap_err();
    assert!(
        matches!(refused, WebhooksError::TooLarge { .. }),
        "{refused}"
    );
    assert!(
        refused.to_string().contains("webhooks.max_size"),
        "{refused}"
    );

    // The gateway's control plane is not measured.
    let value = "y".repeat(2 * LIMITS.size);
    let json = format!(
        r#"{{"id":"w1","name":"huge","url":"https://example.com","headers":{{"X-A":"{value}"}}}}"#
    );
    adapter.put_document("w1", &json).await;
    webhooks
        .disable(&acme, "huge", "for a test", at(2))
        .await
        .unwrap();
    webhooks.enable(&acme, "huge", at(3)).await.unwrap();
    let smaller = BTreeMap::from([("X-A".to_owned(), "y".repeat(LIMITS.size))]);
    webhooks
        .update(&acme, "huge", &headers(smaller), at(4))
        .await
        .unwrap();
}

pub async fn a_name_is_free_once_its_webhook_has_another_or_is_gone(adapter: &impl Adapter) {
    let (webhooks, acme) = (adapter.webhooks(), organization());
    let create = async |name: &str| webhooks.create(&acme, new_webhook(name), at(0)).await;
    create("one").await.unwrap();
    create("two").await.unwrap();
    let renamed = |name: &str| WebhookPatch {
        name: Some(name.to_owned()),
        ..WebhookPatch::default()
    };
    webhooks
        .update(&acme, "one", &renamed("three"), at(1))
        .await
        .unwrap();
    // To the name that it has already.
    webhooks
        .update(&acme, "three", &renamed(" three "), at(1))
        .await
        .unwrap();
    assert!(matches!(
        create("three").await,
        Err(WebhooksError::NameTaken { .. })
    ));
    create("one").await.unwrap();
    webhooks.delete(&acme, "two").await.unwrap();
    create("two").await.unwrap();
    for name in ["one", "two", "three"] {
        webhooks.delete(&acme, name).await.unwrap();
    }
    create("one").await.unwrap();
    assert!(matches!(
        create("one").await,
        Err(WebhooksError::NameTaken { .. })
    ));
}

pub async fn a_name_that_another_program_gave_is_taken(adapter: &impl Adapter) {
    let (webhooks, acme) = (adapter.webhooks(), organization());
    let create = async |name: &str| webhooks.create(&acme, new_webhook(name), at(0)).await;
    let is_taken = async |name: &str| {
        let created = create(name).await;
        assert!(
            matches!(created, Err(WebhooksError::NameTaken { .. })),
            "{name}"
        );
    };
    adapter.put_document("first", &document("first")).await;
    is_taken("first").await;
    create("ours").await.unwrap();
    adapter.put_document("second", &document("second")).await;
    is_taken("second").await;
    is_taken("ours").await;
    // As many as were known before, yet one of them is another.
    adapter.put_document("third", &document("third")).await;
    webhooks.delete(&acme, "first").await.unwrap();
    is_taken("third").await;
    create("first").await.unwrap();
    // A document without a name that can be read takes none.
    adapter.put_document("broken", "{").await;
    is_taken("second").await;
    create("fourth").await.unwrap();
}
