//! What is secret of webhooks in one process: in its files, on its port, and when its key changes.

use std::path::Path;

use reqwest::header::{CONTENT_TYPE, ORIGIN};
use serde_json::{Value, json};

use super::site::{Running, SOON, Site, answer};
use crate::support::deadline::eventually;
use crate::support::receiver::{Answer, Receiver};

fn site(data: &Path, key: &str) -> Site {
    let data = data.to_str().unwrap();
    Site::new(&[("PRISM_DATA_DIR", data), ("PRISM_SECRET_KEY", key)])
}

/// Whether a text is in any file of a directory.
fn is_in(directory: &Path, text: &str) -> bool {
    std::fs::read_dir(directory).unwrap().any(|entry| {
        let read = std::fs::read(entry.unwrap().path()).unwrap_or_default();
        read.windows(text.len()).any(|part| part == text.as_bytes())
    })
}

async fn create(running: &Running, url: &str) -> Value {
    let new = json!({
        "name": "w", "url": url, "secret": "s3cr3t-signing",
        "headers": {"Authorization": "Bearer s3cr3t-header"},
    });
    let (status, created) = running.post("/api/v1/webhooks", &new).await;
    assert_eq!(status, 201, "{created}");
    created
}

#[tokio::test]
async fn nothing_secret_is_in_the_files_and_the_key_changes_while_it_runs() {
    let directory = tempfile::tempdir().unwrap();
    let data = directory.path().join("data");
    let (old, new) = ("11".repeat(32), "22".repeat(32));
    let receiver = Receiver::start(|request| {
        let asked = format!("no page for {}, {:?}", request.path(), request.headers());
        Answer::status(500).body(asked)
    });
    let url = format!("{}/hook?token=s3cr3t-query", receiver.url());

    let running = site(&data, &old).start().await;
    create(&running, &url).await;
    running
        .publish(&json!({"event": "request.completed"}))
        .await;
    let request = receiver.wait_for(1, SOON).await.remove(0);
    assert!(request.path().ends_with("?token=s3cr3t-query"));
    eventually(SOON, "it is on record", async || {
        let log = running.client.get(running.at("/api/v1/attempts")).send();
        let (_, attempts) = answer(log.await.unwrap()).await;
        let first = attempts["items"].as_array()?.first()?.clone();
        assert!(first["url"].as_str().unwrap().ends_with("/hook?***"));
        let body = first["response_body"].as_str().unwrap();
        assert!(body.starts_with("no page for /hook?***, "), "{body}");
        Some(())
    })
    .await;
    running.stop().await;
    assert!(is_in(&data, "hook?sealed:v2:"), "the files are looked at");
    assert!(!is_in(&data, "s3cr3t"));

    for lacking in ["", new.as_str()] {
        let (_, said) = site(&data, lacking).exits(&["run"], 3);
        assert!(said.contains("PRISM_SECRET_KEY"), "{said}");
    }
    let both = site(&data, &format!("{new},{old}"));
    let running = both.start().await;
    let (said, _) = both.exits(&["secret-keys", "reencrypt"], 0);
    assert!(said.contains("1 encrypted anew"), "{said}");
    running.stop().await;
    let after = site(&data, &new);
    let running = after.start().await;
    let (exported, _) = after.exits(&["webhooks", "export"], 0);
    assert!(exported.contains("s3cr3t-query") && exported.contains("Bearer s3cr3t-header"));
    running.stop().await;
}

#[tokio::test]
async fn the_query_of_a_url_is_shown_nowhere_and_stays_when_what_is_shown_is_saved() {
    let directory = tempfile::tempdir().unwrap();
    let after = site(directory.path(), &"11".repeat(32));
    let running = after.start().await;
    let receiver = Receiver::ok();
    let url = format!("{}/hook?token=s3cr3t-query", receiver.url());
    let shown = format!("{}/hook?***", receiver.url());
    let created = create(&running, &url).await;
    assert_eq!(created["url"], shown);
    let id = created["id"].as_str().unwrap();
    let get = async |path: &str| {
        let answer = running.client.get(running.at(path)).send().await.unwrap();
        answer.text().await.unwrap()
    };
    for path in [
        "/webhooks".to_owned(),
        format!("/webhooks/{id}"),
        format!("/webhooks/{id}/settings"),
        format!("/webhooks/{id}/verify"),
        format!("/api/v1/webhooks/{id}"),
        "/api/v1/webhooks".to_owned(),
        format!("/api/v1/webhooks/{id}/explain?event_type=error.occurred"),
    ] {
        let text = get(&path).await;
        assert!(!text.contains("s3cr3t"), "{path}: {text}");
    }
    let (said, _) = after.exits(&["webhooks", "show", id], 0);
    assert!(said.contains(&shown) && !said.contains("s3cr3t"), "{said}");

    // What a client or a form sends back as it was shown changes nothing.
    let patch = json!({"url": shown, "description": "changed"}).to_string();
    let patched = running
        .client
        .patch(running.at(&format!("/api/v1/webhooks/{id}")));
    let patched = patched.header(CONTENT_TYPE, "application/json").body(patch);
    let (status, changed) = answer(patched.send().await.unwrap()).await;
    assert_eq!((status.as_u16(), &changed["url"]), (200, &json!(shown)));
    let form = async |url: &str, version: &str| {
        let mut form = url::form_urlencoded::Serializer::new(String::new());
        form.append_pair("name", "w").append_pair("url", url);
        form.append_pair("keep_header", "Authorization");
        form.append_pair("version", version);
        let place = running.at(&format!("/webhooks/{id}/settings"));
        let request = running.client.post(place).header(ORIGIN, &running.base);
        let request = request.header(CONTENT_TYPE, "application/x-www-form-urlencoded");
        request.body(form.finish()).send().await.unwrap()
    };
    let saved = form(&shown, changed["version"].as_str().unwrap()).await;
    assert!(saved.status().is_success(), "{}", saved.status());
    let elsewhere = form("https://example.com/hook?***", "whichever").await;
    assert_eq!(elsewhere.status(), 422);
    let said = elsewhere.text().await.unwrap();
    assert!(said.contains("write it in full"), "{said}");
    running
        .publish(&json!({"event": "request.completed"}))
        .await;
    let request = receiver.wait_for(1, SOON).await.remove(0);
    assert!(request.path().ends_with("?token=s3cr3t-query"));
    let header = request.header("authorization");
    assert_eq!(header.as_deref(), Some("Bearer s3cr3t-header"));
    running.stop().await;
}
