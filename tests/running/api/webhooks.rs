//! Webhooks over the API.

use prism_webhooks::domain::secret::Secret;
use prism_webhooks::domain::signature;
use serde_json::{Value, json};

use crate::running::modes::in_either_mode;
use crate::running::site::{Running, SOON};
use crate::support::receiver::{Answer, Receiver};

in_either_mode! { &[] =>
    a_webhook_is_created_read_changed_and_deleted,
    a_change_on_a_version_that_is_no_more_is_refused,
    null_means_none_and_white_space_at_the_ends_of_a_url_is_not_stored,
    what_makes_no_webhook_is_refused_field_by_field,
    a_secret_is_shown_once_staged_and_promoted,
    at_most_ten_secrets_are_active,
    a_test_says_what_the_endpoint_answers_and_is_on_record,
    what_stands_in_the_way_of_an_event_type_is_explained,
    a_long_list_goes_on_by_cursor,
    statistics_count_what_was_attempted,
}

async fn a_webhook_is_created_read_changed_and_deleted(running: &Running) {
    let new = json!({
        "name": "pager", "url": "https://example.com/hook", "description": "wakes people",
        "event_subscriptions": ["budget.*"], "headers": {"X-Team": "hidden-value"},
        "secret": "hidden-secret", "retry": {"max_attempts": 3},
    });
    let created = running.ask("POST", "/webhooks", Some(new)).await.is(201);
    let id = created.body["id"].as_str().unwrap();
    let place = format!("/webhooks/{id}");
    assert_eq!(created.header("location"), format!("/api/v1{place}"));
    let read = running.get(&place).await.is(200);
    assert_eq!(read.body, created.body);
    assert_eq!(read.header("etag"), created.header("etag"));
    assert_eq!(read.body["headers"], json!(["X-Team"]));
    assert_eq!(read.body["signed"], true);
    assert!(!read.body.to_string().contains("hidden"), "{}", read.body);
    let by_name = running.get("/webhooks/pager").await.is(200);
    assert_eq!(by_name.body, read.body);

    let patch = json!({"description": null, "event_subscriptions": []});
    let changed = running.ask("PATCH", &place, Some(patch)).await.is(200);
    assert_eq!(changed.body["description"], Value::Null);
    assert_eq!(changed.body["event_subscriptions"], json!([]));
    assert_eq!(changed.body["name"], "pager");
    assert_eq!(changed.body["retry"], json!({"max_attempts": 3}));

    let why = json!({"reason": "on holiday"});
    let path = format!("{place}/disable");
    let disabled = running.ask("POST", &path, Some(why)).await.is(200);
    assert_eq!(disabled.body["enabled"], false);
    assert_eq!(disabled.body["disabled_reason"], "on holiday");
    let path = format!("{place}/enable");
    let enabled = running.ask("POST", &path, None).await.is(200);
    assert_eq!(enabled.body["enabled"], true);
    assert_eq!(enabled.body["disabled_reason"], Value::Null);

    running.ask("DELETE", &place, None).await.is(204);
    for path in [place.clone(), format!("{place}/statistics")] {
        running.get(&path).await.is(404);
    }
    running.ask("DELETE", &place, None).await.is(404);
    let put = running.ask("PUT", &place, None).await.is(405);
    assert!(put.header("allow").contains("PATCH"));
}

async fn a_change_on_a_version_that_is_no_more_is_refused(running: &Running) {
    let id = running.webhook("n", "https://example.com/", None).await;
    let place = format!("/webhooks/{id}");
    let seen = running.get(&place).await.header("etag").to_owned();
    let patch = |text: &str| Some(json!({"description": text}));
    let on_seen = [("if-match", seen.as_str())];
    let first = running.ask_as("PATCH", &place, patch("first"), &on_seen);
    let first = first.await.is(200);
    let second = running.ask_as("PATCH", &place, patch("second"), &on_seen);
    second.await.is(412);
    for path in ["disable", "rotate-secret", "enable"] {
        let path = format!("{place}/{path}");
        let late = running.ask_as("POST", &path, Some(json!({})), &on_seen);
        late.await.is(412);
    }
    running
        .ask_as("DELETE", &place, None, &on_seen)
        .await
        .is(412);
    let now = running.get(&place).await;
    assert_eq!(now.body["description"], "first");
    assert_eq!(now.body["enabled"], true);
    let nonsense = [("if-match", "yesterday's")];
    running
        .ask_as("DELETE", &place, None, &nonsense)
        .await
        .is(400);
    let newest = [("if-match", first.header("etag"))];
    running
        .ask_as("DELETE", &place, None, &newest)
        .await
        .is(204);
}

async fn what_makes_no_webhook_is_refused_field_by_field(running: &Running) {
    let good = json!({"name": "n", "url": "https://example.com/"});
    running
        .ask("POST", "/webhooks", Some(good.clone()))
        .await
        .is(201);
    let cases = [
        (json!({"name": "n"}), 409, "name"),
        (json!({"name": " "}), 422, "name"),
        (json!({"name": "s", "secret": "sealed:v1:x"}), 422, "secret"),
        (json!({"url": "example.com"}), 422, "url"),
        (json!({"url": "ftp://example.com"}), 422, "url"),
        (json!({"url": "https://a:b@example.com"}), 422, "url"),
        (json!({"url": "https://10.0.0.1/"}), 422, "url"),
        (json!({"url": "https://0x0a.1/"}), 422, "url"),
        (json!({"url": "https://[::ffff:10.0.0.1]/"}), 422, "url"),
        (json!({"secret": ""}), 422, "secret"),
        (json!({"secret": "whsec_!"}), 422, "secret"),
        (json!({"secret": " s"}), 422, "secret"),
        (json!({"secret": "s\n"}), 422, "secret"),
        (json!({"secret": "ü".repeat(513)}), 422, "secret"),
        (
            json!({"event_subscriptions": ["Request Completed"]}),
            422,
            "event_subscriptions",
        ),
        (
            json!({"event_subscriptions": ["request.complete"]}),
            422,
            "event_subscriptions",
        ),
        (json!({"url": "https://https://example.com/"}), 422, "url"),
        (json!({"url": r"https:\\example.com"}), 422, "url"),
        (json!({"url": "https://*.example.com/"}), 422, "url"),
        (json!({"url": "https://example.com/a\nb"}), 422, "url"),
        (json!({"url": 7}), 422, "url"),
        (
            json!({"event_subscriptions": "*"}),
            422,
            "event_subscriptions",
        ),
        (json!({"headers": {"Host": "x"}}), 422, "headers"),
        (json!({"headers": {"X-A": 1}}), 422, "headers.X-A"),
        (json!({"headers": {"X-A": "1", "x-a": "1"}}), 422, "headers"),
        (json!({"nmae": "x"}), 422, "nmae"),
        (json!({"retry": {"max_attempts": 0}}), 422, "retry"),
    ];
    for (difference, status, part) in cases {
        let mut body = json!({"name": "other", "url": "https://example.com/"});
        let fields = difference.as_object().unwrap().clone();
        body.as_object_mut().unwrap().extend(fields);
        let refused = running
            .ask("POST", "/webhooks", Some(body))
            .await
            .is(status);
        assert_eq!(refused.parts(), [part], "{}", refused.body);
    }
    let slip = json!({
        "name": "x", "url": "https://example.com/", "event_subscriptions": ["request.complete"],
    });
    let refused = running.ask("POST", "/webhooks", Some(slip)).await.is(422);
    let detail = refused.body["detail"].as_str().unwrap();
    assert!(
        detail.contains("did you mean request.completed?"),
        "{detail}"
    );
    let huge =
        json!({"name": "x", "url": "https://example.com/", "description": "d".repeat(300_000)});
    running.ask("POST", "/webhooks", Some(huge)).await.is(413);
    assert_eq!(running.get("/webhooks").await.items().len(), 1);
}

async fn null_means_none_and_white_space_at_the_ends_of_a_url_is_not_stored(running: &Running) {
    let none = json!({
        "name": "n", "url": " https://example.com/a\n", "event_subscriptions": null, "headers": null,
    });
    let made = running.ask("POST", "/webhooks", Some(none)).await.is(201);
    assert_eq!(made.body["url"], "https://example.com/a");
    assert_eq!(made.body["event_subscriptions"], json!([]));
    let place = format!("/webhooks/{}", made.body["id"].as_str().unwrap());
    let some = json!({"event_subscriptions": ["guardrail.*"], "headers": {"X-A": "1"}});
    let changed = running.ask("PATCH", &place, Some(some)).await.is(200);
    assert_eq!(changed.body["headers"], json!(["X-A"]));
    let none = json!({
        "url": "\thttps://example.com/b ", "event_subscriptions": null, "headers": null,
    });
    let changed = running.ask("PATCH", &place, Some(none)).await.is(200);
    assert_eq!(changed.body["url"], "https://example.com/b");
    for name in ["event_subscriptions", "headers"] {
        assert_eq!(changed.body[name], json!([]), "{name}");
    }
    let slip = json!({"event_subscriptions": ["guardrails.*"]});
    let refused = running.ask("PATCH", &place, Some(slip)).await.is(422);
    assert_eq!(refused.parts(), ["event_subscriptions"]);
}

async fn a_secret_is_shown_once_staged_and_promoted(running: &Running) {
    let receiver = Receiver::ok();
    let new = json!({"name": "n", "url": receiver.url(), "generate_secret": true});
    let created = running.ask("POST", "/webhooks", Some(new)).await.is(201);
    let first = created.body["secret"].as_str().unwrap().to_owned();
    assert!(first.starts_with("whsec_"));
    let place = format!("/webhooks/{}", created.body["id"].as_str().unwrap());
    let read = running.get(&place).await.is(200);
    assert_eq!(read.body.get("secret"), None);
    assert_eq!(read.body["secrets"][0]["state"], "current");
    let path = format!("{place}/rotate-secret");
    let rotated = running.ask("POST", &path, Some(json!({}))).await.is(200);
    let second = rotated.body["secret"].as_str().unwrap().to_owned();
    assert_ne!(second, first);
    let states = |body: &Value| -> Vec<String> {
        let all = body["secrets"].as_array().unwrap().iter();
        all.map(|one| one["state"].as_str().unwrap().to_owned())
            .collect()
    };
    assert_eq!(states(&rotated.body), ["current", "staged"]);
    let tested = async |current: &str, both: usize| {
        let before = receiver.count();
        let test = format!("{place}/test");
        running.ask("POST", &test, None).await.is(200);
        let request = receiver.wait_for(before + 1, SOON).await.remove(before);
        let expected = signature::prism(&Secret::new(current).unwrap(), &request.body);
        assert_eq!(request.header("x-prism-signature"), Some(expected));
        let standard = request.header("webhook-signature").unwrap();
        assert_eq!(standard.split(' ').count(), both);
    };
    tested(&first, 2).await;
    let promote = format!("{place}/promote-secret");
    let body = Some(json!({"overlap_seconds": 600}));
    let promoted = running.ask("POST", &promote, body).await.is(200);
    assert_eq!(states(&promoted.body), ["current", "old"]);
    assert_ne!(promoted.body["secrets"][1]["expires_at"], Value::Null);
    tested(&second, 2).await;
    running.ask("POST", &promote, Some(json!({}))).await.is(409);

    let later = json!({"secret": "of my own", "promote_after_seconds": 3600});
    let rotated = running.ask("POST", &path, Some(later)).await.is(200);
    assert_eq!(rotated.body.get("secret"), None);
    assert_ne!(rotated.body["secrets"][1]["promote_at"], Value::Null);
    let drop = format!("{place}/drop-staged-secret");
    let dropped = running.ask("POST", &drop, None).await.is(200);
    assert_eq!(states(&dropped.body), ["current", "old"]);
    assert_eq!(dropped.body["secrets"][0]["expires_at"], Value::Null);
    let leaked = json!({"promote_after_seconds": 0, "overlap_seconds": 0});
    let rotated = running.ask("POST", &path, Some(leaked)).await.is(200);
    assert_eq!(states(&rotated.body), ["current"]);
    tested(rotated.body["secret"].as_str().unwrap(), 1).await;
}

async fn at_most_ten_secrets_are_active(running: &Running) {
    let id = running
        .webhook("n", "https://example.com/", Some("0"))
        .await;
    let path = format!("/webhooks/{id}/rotate-secret");
    for _ in 1..10 {
        running.ask("POST", &path, Some(json!({}))).await.is(200);
    }
    let refused = running.ask("POST", &path, Some(json!({}))).await.is(409);
    assert_eq!(refused.parts(), ["secret"]);
    let detail = refused.body["detail"].as_str().unwrap();
    assert!(
        detail.contains("promote or drop what is staged"),
        "{detail}"
    );
    let shown = running.get(&format!("/webhooks/{id}")).await;
    assert_eq!(shown.body["secrets"].as_array().unwrap().len(), 10);
}

async fn a_test_says_what_the_endpoint_answers_and_is_on_record(running: &Running) {
    let receiver = Receiver::start(|_| Answer::status(418).body("a teapot"));
    let id = running.webhook("n", &receiver.url(), Some("s")).await;
    let path = format!("/webhooks/{id}/test");
    let tested = running.ask("POST", &path, None).await.is(200).body;
    assert_eq!(tested["status_code"], 418);
    assert_eq!(tested["response_body"], "a teapot");
    assert_eq!(tested["trigger"], "test");
    assert_eq!(tested["next_attempt_at"], Value::Null);
    assert!(tested["duration_ms"].as_f64().unwrap() > 0.0);
    let requests = receiver.wait_for(1, SOON).await;
    assert_eq!(requests[0].header("x-prism-event").as_deref(), Some("test"));
    let expected = signature::prism(&Secret::new("s").unwrap(), &requests[0].body);
    assert_eq!(requests[0].header("x-prism-signature"), Some(expected));
    let log = running.get(&format!("/attempts?webhook_id={id}")).await;
    assert_eq!(log.items(), [tested]);
}

async fn what_stands_in_the_way_of_an_event_type_is_explained(running: &Running) {
    let new = json!({
        "name": "n", "url": "https://example.com/", "event_subscriptions": ["guardrail.*"],
    });
    running.ask("POST", "/webhooks", Some(new)).await.is(201);
    let explain = async |event_type: &str| {
        let path = format!("/webhooks/n/explain?event_type={event_type}");
        running.get(&path).await.is(200).body
    };
    let wanted = explain("guardrail.triggered").await;
    assert_eq!(
        wanted,
        json!({
            "delivered": true, "covered_by": "guardrail.*", "obstacles": [], "held_back": null,
        })
    );
    let body = Some(json!({"reason": "on holiday"}));
    running
        .ask("POST", "/webhooks/n/disable", body)
        .await
        .is(200);
    let unwanted = explain("budget.exceeded").await;
    let obstacles = unwanted["obstacles"].as_array().unwrap();
    let kinds: Vec<&str> = obstacles
        .iter()
        .map(|o| o["kind"].as_str().unwrap())
        .collect();
    assert_eq!(kinds, ["not-subscribed", "disabled"]);
    assert!(unwanted.to_string().contains("on holiday"), "{unwanted}");
    running.get("/webhooks/n/explain").await.is(400);
    running
        .get("/webhooks/n/explain?event_type=A%20B")
        .await
        .is(400);
}

async fn a_long_list_goes_on_by_cursor(running: &Running) {
    for number in 0..7 {
        running
            .webhook(&format!("n{number}"), "https://example.com/", None)
            .await;
    }
    let (mut names, mut path) = (Vec::new(), "/webhooks?limit=3".to_owned());
    loop {
        let part = running.get(&path).await.is(200);
        assert!(part.items().len() <= 3);
        names.extend(part.items().iter().map(|one| one["name"].clone()));
        let Some(next) = part.body["next"].as_str() else {
            break;
        };
        path = format!("/webhooks?limit=3&cursor={next}");
    }
    assert_eq!(names, ["n0", "n1", "n2", "n3", "n4", "n5", "n6"]);
    for nonsense in ["limit=0", "limit=501", "limit=x", "limit=1&limit=2"] {
        running.get(&format!("/webhooks?{nonsense}")).await.is(400);
    }
}

async fn statistics_count_what_was_attempted(running: &Running) {
    let receiver = Receiver::start(|request| match request.json()["n"].as_u64() {
        Some(0) => Answer::status(500),
        _ => Answer::ok(),
    });
    let id = running.webhook("n", &receiver.url(), None).await;
    for n in 0..4 {
        running
            .publish(&json!({"event": "request.completed", "n": n}))
            .await;
    }
    // Three of the first, which fails, and three others.
    let path = format!("/webhooks/{id}/statistics?bucket=15m");
    let counted = crate::support::deadline::eventually(SOON, "all are counted", async || {
        let found = running.get(&path).await.is(200).body;
        (found["total"]["attempts"] == 6).then_some(found)
    });
    let counted = counted.await;
    assert_eq!(counted["total"]["delivered"], 3);
    assert_eq!(
        counted["total"]["outcomes"],
        json!({"delivered": 3, "rejected": 3})
    );
    assert!(counted["total"]["p50_ms"].as_f64().unwrap() > 0.0);
    let buckets = counted["buckets"].as_array().unwrap();
    assert!((96..=97).contains(&buckets.len()), "{}", buckets.len());
    let sum: u64 = buckets
        .iter()
        .map(|one| one["attempts"].as_u64().unwrap())
        .sum();
    assert_eq!(sum, 6);
    let before = format!("{path}&until=2001-01-01T00:00:00Z");
    let none = running.get(&before).await.is(200).body;
    assert_eq!(none["total"]["attempts"], 0);
}
