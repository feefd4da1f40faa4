//! One organization does not see or touch what is another's, and nobody anything without a token.

use serde_json::json;

use crate::running::modes::in_either_mode;
use crate::running::site::{Running, SOON};
use crate::support::deadline::eventually;
use crate::support::receiver::{Answer, Receiver};

const ACME: (&str, &str) = ("authorization", "Bearer acme-0123456789abcdef");
const OTHER: (&str, &str) = ("authorization", "Bearer other-0123456789abcdef");
const ALL: (&str, &str) = ("authorization", "Bearer all-0123456789abcdef");

in_either_mode! {
    &[
        ("PRISM_RETRY_MAX_ATTEMPTS", "1"),
        ("PRISM_API_TOKEN", "acme:acme-0123456789abcdef,other:other-0123456789abcdef,all-0123456789abcdef"),
    ] =>
    what_is_anothers_is_neither_seen_nor_touched,
    without_a_token_nothing_is_told,
    cursors_and_ids_of_one_tell_nothing_of_others,
    whether_dead_letters_go_on_depends_on_ones_own_alone,
}

async fn what_is_anothers_is_neither_seen_nor_touched(running: &Running) {
    let receiver = Receiver::start(|_| Answer::status(500));
    let new = json!({"name": "of acme", "url": receiver.url()});
    let created = running
        .ask_as("POST", "/webhooks", Some(new), &[ACME])
        .await
        .is(201);
    let id = created.body["id"].as_str().unwrap();
    let event = json!({"event": "request.completed"});
    running
        .ask_as("POST", "/events", Some(event), &[ACME])
        .await
        .is(202);
    let requests = receiver.wait_for(1, SOON).await;
    let delivery = requests[0].header("x-prism-delivery").unwrap();
    let letters = async |whose: (&str, &str)| {
        let found = running
            .ask_as("GET", "/dead-letters", None, &[whose])
            .await
            .is(200);
        found.items().len()
    };
    eventually(SOON, "its dead letter", async || {
        (letters(ACME).await == 1).then_some(())
    })
    .await;

    assert_eq!(letters(OTHER).await, 0);
    for list in [
        "/webhooks",
        "/attempts",
        &format!("/attempts?webhook_id={id}"),
    ] {
        let found = running.ask_as("GET", list, None, &[OTHER]).await.is(200);
        assert_eq!(found.items().len(), 0, "{list}");
    }
    let body = || Some(json!({}));
    for (method, path, body) in [
        ("GET", format!("/webhooks/{id}"), None),
        ("GET", format!("/webhooks/{id}/statistics"), None),
        ("GET", format!("/webhooks/{id}/explain?event_type=a"), None),
        ("PATCH", format!("/webhooks/{id}"), body()),
        ("DELETE", format!("/webhooks/{id}"), None),
        ("POST", format!("/webhooks/{id}/disable"), body()),
        ("POST", format!("/webhooks/{id}/rotate-secret"), body()),
        ("POST", format!("/webhooks/{id}/test"), None),
        ("GET", format!("/deliveries/{delivery}"), None),
        ("POST", format!("/deliveries/{delivery}/retry"), body()),
    ] {
        let refused = running.ask_as(method, &path, body, &[OTHER]).await;
        refused.is(404);
    }
    let all = Some(json!({"all": true}));
    let purge = running.ask_as("POST", "/dead-letters/purge", all, &[OTHER]);
    let job = purge.await.is(202).body;
    let path = format!("/dead-letters/jobs/{}", job["id"].as_str().unwrap());
    running.ask_as("GET", &path, None, &[ACME]).await.is(404);
    assert_eq!(letters(ACME).await, 1, "what is acme's is still there");
    // A token bound to one organization names no other; one bound to none names any.
    let foreign = [OTHER, ("x-prism-organization", "acme")];
    running
        .ask_as("GET", "/webhooks", None, &foreign)
        .await
        .is(403);
    let named = [ALL, ("x-prism-organization", "acme")];
    let found = running
        .ask_as("GET", "/webhooks", None, &named)
        .await
        .is(200);
    assert_eq!(found.items().len(), 1);
    assert_eq!(receiver.count(), 1);
}

async fn without_a_token_nothing_is_told(running: &Running) {
    for path in [
        "/webhooks",
        "/attempts",
        "/attempts/stream",
        "/dead-letters",
        "/event-types",
    ] {
        let refused = running.get(path).await.is(401);
        assert_eq!(refused.header("www-authenticate"), "Bearer");
        let wrong = [("authorization", "Bearer wrong-0123456789abcdef")];
        running.ask_as("GET", path, None, &wrong).await.is(401);
    }
    let document = running.client.get(running.at("/openapi.json")).send();
    let document = document.await.unwrap().text().await.unwrap();
    let document: serde_json::Value = serde_json::from_str(&document).unwrap();
    assert_eq!(document["openapi"], "3.1.0");
}

/// The cursor of a list's next part, and the id of what a stream tells from there on; of all attempts
/// of one organization, and of a webhook's.
async fn places(running: &Running, whose: (&str, &str), webhook: &str) -> Vec<String> {
    let mut places = Vec::new();
    for scope in ["", &format!("webhook_id={webhook}")] {
        let list = format!("/attempts?limit=1&{scope}");
        let part = running.ask_as("GET", &list, None, &[whose]).await.is(200);
        let next = part.body["next"].as_str().unwrap().to_owned();
        let stream = running.at(&format!("/api/v1/attempts/stream?{scope}"));
        let stream = running.client.get(stream).header(whose.0, whose.1);
        let stream = stream.header("last-event-id", &next).send();
        let mut stream = stream.await.unwrap();
        assert_eq!(stream.status(), 200);
        let event = Some(json!({"event": "request.completed"}));
        let published = running.ask_as("POST", "/events", event, &[whose]).await;
        published.is(202);
        let mut text = String::new();
        while !text.contains("\n\n") {
            let chunk = tokio::time::timeout(SOON, stream.chunk()).await;
            text += &String::from_utf8_lossy(&chunk.unwrap().unwrap().unwrap());
        }
        let id = text.lines().find_map(|line| line.strip_prefix("id: "));
        places.extend([next, id.unwrap().to_owned()]);
    }
    places
}

async fn cursors_and_ids_of_one_tell_nothing_of_others(running: &Running) {
    let receiver = Receiver::ok();
    let mut ids = Vec::new();
    for (whose, events) in [(ACME, 2), (OTHER, 40), (ACME, 1)] {
        let new = json!({"name": format!("n{}", ids.len()), "url": receiver.url()});
        let created = running
            .ask_as("POST", "/webhooks", Some(new), &[whose])
            .await
            .is(201);
        ids.push(created.body["id"].as_str().unwrap().to_owned());
        let before = receiver.count();
        for _ in 0..events {
            let event = Some(json!({"event": "request.completed"}));
            running
                .ask_as("POST", "/events", event, &[whose])
                .await
                .is(202);
        }
        receiver.wait_for(before + events, SOON).await;
    }
    eventually(SOON, "what was sent is on record", async || {
        let found = running
            .ask_as("GET", "/attempts", None, &[ACME])
            .await
            .is(200);
        // The third event goes to both of its webhooks.
        (found.items().len() == 4).then_some(())
    })
    .await;
    let found = running.ask_as("GET", "/attempts", None, &[ACME]).await;
    assert_eq!(
        found.body["next"],
        json!(null),
        "others have more, it has none"
    );
    let of_acme = places(running, ACME, &ids[0]).await;
    let of_other = places(running, OTHER, &ids[1]).await;
    for place in of_acme.iter().chain(&of_other) {
        assert_eq!(place.len(), 59, "{place}");
        let number: String = place.chars().take_while(char::is_ascii_digit).collect();
        assert!(number.len() < 10, "{place}");
    }
    // Whose it is, it is for alone.
    for (place, whose) in [(&of_acme[0], OTHER), (&of_other[0], ACME)] {
        let part = format!("/attempts?cursor={place}");
        running.ask_as("GET", &part, None, &[whose]).await.is(400);
        let own = [whose, ("last-event-id", &**place)];
        running
            .ask_as("GET", "/attempts/stream", None, &own)
            .await
            .is(400);
    }
}

async fn whether_dead_letters_go_on_depends_on_ones_own_alone(running: &Running) {
    let receiver = Receiver::start(|_| Answer::status(500));
    let listed = async |whose: (&str, &str), limit: usize| {
        let path = format!("/dead-letters?limit={limit}");
        running.ask_as("GET", &path, None, &[whose]).await.is(200)
    };
    // Those of others stand behind its own.
    for whose in [ACME, OTHER] {
        let new = json!({"name": "n", "url": receiver.url()});
        let created = running
            .ask_as("POST", "/webhooks", Some(new), &[whose])
            .await;
        created.is(201);
        for _ in 0..2 {
            let event = Some(json!({"event": "request.completed"}));
            let published = running.ask_as("POST", "/events", event, &[whose]).await;
            published.is(202);
        }
        eventually(SOON, "its dead letters", async || {
            (listed(whose, 10).await.items().len() == 2).then_some(())
        })
        .await;
    }
    let all = listed(ACME, 2).await;
    assert_eq!((all.items().len(), &all.body["next"]), (2, &json!(null)));
    let first = listed(ACME, 1).await;
    assert_eq!(first.items().len(), 1);
    let path = format!(
        "/dead-letters?limit=1&cursor={}",
        first.body["next"].as_str().unwrap()
    );
    let second = running.ask_as("GET", &path, None, &[ACME]).await.is(200);
    assert_eq!(second.items(), &all.items()[1..]);
    assert_eq!(second.body["next"], json!(null));
}
