//! The API does what its document says: what that allows is taken, what it forbids is refused, and it
//! says what is true of this deployment.

use serde_json::{Value, json};

use crate::running::modes::in_either_mode;
use crate::running::site::Running;

in_either_mode! { &[("PRISM_EVENT_TYPES", "request.completed,team.created.first")] =>
    a_whole_number_is_taken_however_it_is_written,
    a_number_above_its_maximum_is_refused,
    a_job_that_does_not_say_which_letters_is_refused_as_the_document_says,
    if_match_takes_a_tag_or_a_star_and_nothing_else,
    what_the_document_says_of_headers_and_secrets_holds,
    the_document_names_the_event_types_of_this_deployment,
    the_document_describes_the_events_of_the_stream,
}

async fn document(running: &Running) -> Value {
    let document = running.client.get(running.at("/openapi.json")).send();
    let text = document.await.unwrap().text().await.unwrap();
    serde_json::from_str(&text).unwrap()
}

fn schema<'a>(document: &'a Value, name: &str) -> &'a Value {
    &document["components"]["schemas"][name]
}

async fn a_whole_number_is_taken_however_it_is_written(running: &Running) {
    let id = running.webhook("n", "https://example.com/", None).await;
    let place = format!("/webhooks/{id}");
    let retry = json!({"retry": {"max_attempts": 71.0}});
    let changed = running.ask("PATCH", &place, Some(retry)).await.is(200);
    assert_eq!(changed.body["retry"]["max_attempts"], 71);
    let staged = json!({"promote_after_seconds": 600.0, "overlap_seconds": 60.0});
    let rotate = format!("{place}/rotate-secret");
    running.ask("POST", &rotate, Some(staged)).await.is(200);
    let job = json!({"all": true, "limit": 5.0, "dry_run": true});
    let requeue = "/dead-letters/requeue";
    running.ask("POST", requeue, Some(job)).await.is(202);

    let half = json!({"retry": {"max_attempts": 71.5}});
    let refused = running.ask("PATCH", &place, Some(half)).await.is(422);
    assert_eq!(refused.parts(), ["retry.max_attempts"]);
    for field in ["promote_after_seconds", "overlap_seconds"] {
        for nonsense in [json!(0.5), json!(-1), json!("60")] {
            let body = json!({field: nonsense});
            let refused = running.ask("POST", &rotate, Some(body)).await.is(422);
            assert_eq!(refused.parts(), [field]);
        }
    }
}

async fn a_number_above_its_maximum_is_refused(running: &Running) {
    let said = document(running).await;
    let most = &schema(&said, "StartJob")["properties"]["limit"]["maximum"];
    let most = most.as_u64().unwrap();
    for (limit, status) in [(0, 422), (1, 202), (most, 202), (most + 1, 422)] {
        let job = json!({"all": true, "limit": limit, "dry_run": true});
        for action in ["requeue", "purge"] {
            let path = format!("/dead-letters/{action}");
            let answer = running.ask("POST", &path, Some(job.clone())).await;
            let answer = answer.is(status);
            if status == 422 {
                assert_eq!(answer.parts(), ["limit"]);
            }
        }
    }
    for list in ["/webhooks", "/attempts", "/dead-letters"] {
        running.get(&format!("{list}?limit=500")).await.is(200);
        running.get(&format!("{list}?limit=501")).await.is(400);
        running.get(&format!("{list}?limit=0")).await.is(400);
    }
}

async fn a_job_that_does_not_say_which_letters_is_refused_as_the_document_says(running: &Running) {
    let said = document(running).await;
    let any = schema(&said, "StartJob")["anyOf"].as_array().unwrap();
    let needed = any.iter().map(|one| one["required"][0].as_str().unwrap());
    let needed: Vec<_> = needed.collect();
    for body in [
        json!({}),
        json!({"all": false}),
        json!({"dry_run": true, "limit": 1, "rate": 1}),
        json!({"webhook_id": null, "ids": null, "reason": null}),
    ] {
        for action in ["requeue", "purge"] {
            let path = format!("/dead-letters/{action}");
            running.ask("POST", &path, Some(body.clone())).await.is(422);
        }
    }
    for body in [
        json!({"all": true}),
        json!({"webhook_id": "w"}),
        json!({"event_type": "request.completed"}),
        json!({"reason": "poison"}),
        json!({"since": "2026-01-01T00:00:00Z"}),
        json!({"until": "2026-01-01T00:00:00Z"}),
        json!({"ids": []}),
    ] {
        let field = body.as_object().unwrap().keys().next().unwrap();
        assert!(needed.contains(&&**field), "{field}: {needed:?}");
        let path = "/dead-letters/requeue";
        running.ask("POST", path, Some(body.clone())).await.is(202);
    }
}

async fn if_match_takes_a_tag_or_a_star_and_nothing_else(running: &Running) {
    let said = document(running).await;
    let of_patch = &said["paths"]["/api/v1/webhooks/{id}"]["patch"]["parameters"];
    let mut parameters = of_patch.as_array().unwrap().iter();
    let if_match = parameters.find(|one| one["name"] == "If-Match");
    let schema = &if_match.unwrap()["schema"]["anyOf"];
    assert_eq!(schema[0]["enum"], json!(["*"]));
    let pattern = regex::Regex::new(schema[1]["pattern"].as_str().unwrap()).unwrap();

    let id = running.webhook("n", "https://example.com/", None).await;
    let place = format!("/webhooks/{id}");
    let seen = running.get(&place).await.header("etag").to_owned();
    assert!(pattern.is_match(&seen), "{seen}");
    let unquoted = seen.trim_matches('"').to_owned();
    let weak = format!("W/{seen}");
    let two = format!("{seen}, {seen}");
    for (tag, status) in [
        (&*seen, 200),
        ("*", 200),
        ("\"0123456789abcdef\"", 412),
        (&*unquoted, 400),
        (&*weak, 400),
        (&*two, 400),
        ("0", 400),
        ("", 400),
    ] {
        assert_eq!(pattern.is_match(tag) || tag == "*", status != 400, "{tag}");
        let on = [("if-match", tag)];
        let patch = Some(json!({}));
        let answer = running.ask_as("PATCH", &place, patch, &on).await;
        assert_eq!(answer.status, status, "{tag}: {}", answer.body);
    }
}

async fn what_the_document_says_of_headers_and_secrets_holds(running: &Running) {
    let said = document(running).await;
    let create = schema(&said, "CreateWebhook");
    assert_eq!(
        create["not"]["required"],
        json!(["secret", "generate_secret"])
    );
    let headers = &create["properties"]["headers"]["oneOf"][0];
    let names = &headers["propertyNames"];
    let pattern = |said: &Value| regex::Regex::new(said.as_str().unwrap()).unwrap();
    let (name, reserved) = (
        pattern(&names["pattern"]),
        pattern(&names["not"]["pattern"]),
    );
    let mut number = 0;
    let mut ask = async |fields: Value| {
        number += 1;
        let mut body = json!({"name": number.to_string(), "url": "https://example.com/"});
        let fields = fields.as_object().unwrap().clone();
        body.as_object_mut().unwrap().extend(fields);
        running.ask("POST", "/webhooks", Some(body)).await.status
    };
    for text in [
        "X-Team",
        "hosts",
        "Host",
        "content-type",
        "X-PRISM-A",
        "a b",
        "",
    ] {
        let allowed = name.is_match(text) && !reserved.is_match(text);
        let status = ask(json!({"headers": {text: "x"}})).await;
        assert_eq!(status, if allowed { 201 } else { 422 }, "{text:?}");
    }
    let many = |many: u64| {
        let all = (0..many).map(|number| (format!("x-{number}"), json!("x")));
        json!({"headers": Value::Object(all.collect())})
    };
    let most = headers["maxProperties"].as_u64().unwrap();
    assert_eq!(ask(many(most)).await, 201);
    assert_eq!(ask(many(most + 1)).await, 422);
    for (generate, secret, status) in [
        (true, Value::Null, 201),
        (false, json!("a-secret"), 201),
        (true, json!("a-secret"), 422),
    ] {
        let body = json!({"generate_secret": generate, "secret": secret});
        assert_eq!(ask(body).await, status);
    }
}

async fn the_document_names_the_event_types_of_this_deployment(running: &Running) {
    let said = document(running).await;
    let listed = running.get("/event-types").await;
    let listed: Vec<_> = listed.items().iter().map(|one| &one["name"]).collect();
    let named = &schema(&said, "EventBody")["properties"]["event"]["enum"];
    assert_eq!(*named, json!(listed));
    let entries = &schema(&said, "EventSubscriptionText")["enum"];
    let entries: Vec<_> = entries.as_array().unwrap().iter().collect();
    for entry in ["*", "team.*", "team.created.*", "team.created.first"] {
        assert!(entries.contains(&&json!(entry)), "{entry}: {entries:?}");
    }
    for (number, entry) in entries.into_iter().enumerate() {
        let name = number.to_string();
        let new =
            json!({"name": name, "url": "https://example.com/", "event_subscriptions": [entry]});
        running.ask("POST", "/webhooks", Some(new)).await.is(201);
    }
    let new = json!({"name": "n", "url": "https://example.com/", "event_subscriptions": ["team"]});
    running.ask("POST", "/webhooks", Some(new)).await.is(422);
}

async fn the_document_describes_the_events_of_the_stream(running: &Running) {
    let said = document(running).await;
    let stream = &said["paths"]["/api/v1/attempts/stream"]["get"]["responses"]["200"];
    let event = &stream["content"]["text/event-stream"]["schema"]["$ref"];
    assert_eq!(*event, "#/components/schemas/AttemptEvent");
    let data = &schema(&said, "AttemptJson");
    assert_eq!(data["contentMediaType"], "application/json");
    let attempt = data["contentSchema"]["$ref"].as_str().unwrap();
    assert_eq!(attempt, "#/components/schemas/AttemptView");
    let event = &schema(&said, "AttemptEvent")["required"];
    assert_eq!(*event, json!(["event", "id", "data"]));
}
