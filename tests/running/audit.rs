//! The audit log of what is done through the page and by commands, in either mode.

use std::time::Duration;

use reqwest::redirect::Policy;
use reqwest::{Client, Response};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::modes;
use super::site::{Running, SOON, Site};
use crate::support::deadline::eventually;
use crate::support::receiver::{Answer, Receiver};

const TOKEN: &str = "acme-0123456789abcdef";

fn entries(site: &Site, more: &[&str]) -> Vec<Value> {
    let words = ["audit", "list", "--organization", "acme", "--json"];
    site.list(&[&words[..], more].concat())
}

fn actions(entries: &[Value]) -> Vec<String> {
    let of = |entry: &Value| {
        let [actor, through, action] =
            ["actor", "through", "action"].map(|name| entry[name].as_str().unwrap());
        format!("{actor} {through} {action}")
    };
    entries.iter().map(of).collect()
}

async fn what_the_page_changes_is_entered_and_shown_there(site: &Site, running: &Running) {
    let client = Client::builder().no_proxy().redirect(Policy::none());
    let client = client.build().unwrap();
    let submit = async |path: &str, form: &str, cookie: &str| -> Response {
        let request = client.post(running.at(path)).body(form.to_owned());
        let request = request.header("content-type", "application/x-www-form-urlencoded");
        let request = request.header("sec-fetch-site", "same-origin");
        request.header("cookie", cookie).send().await.unwrap()
    };
    let signed_in = submit("/sign-in", &format!("token={TOKEN}"), "").await;
    let cookie = signed_in.headers()["set-cookie"].to_str().unwrap();
    let cookie = cookie.split(';').next().unwrap().to_owned();
    let form =
        "name=%3Cb%3En&url=https%3A%2F%2Fexample.com%2F%3Fhunter2&secret=hunter2&description=";
    let refused = submit("/webhooks", "name=&url=nonsense", &cookie).await;
    assert_eq!(refused.status(), 422);
    let created = submit("/webhooks", form, &cookie).await;
    assert_eq!(created.status(), 303);
    let place = created.headers()["location"].to_str().unwrap();
    let id = place.split('/').nth(2).unwrap().to_owned();
    let shows = async |path: &str| {
        let shown = client.get(running.at(path)).header("cookie", &cookie);
        let shown = shown.send().await.unwrap();
        assert_eq!(shown.status(), 200, "{path}");
        shown.text().await.unwrap()
    };
    for (path, form) in [
        (
            "settings",
            "name=%3Cb%3Em&url=https%3A%2F%2Fexample.com%2F%3F***",
        ),
        ("rotate-secret", "secret=hunter2-new"),
        ("drop-staged-secret", ""),
        ("rotate-secret", "secret=hunter2-newer"),
        ("promote-secret", ""),
        ("disable", "reason=on+holiday"),
        ("enable", ""),
    ] {
        let settings = shows(&format!("/webhooks/{id}/settings")).await;
        let version = settings.split("name=\"version\" value=\"").nth(1).unwrap();
        let version = version.split('"').next().unwrap();
        let path = format!("/webhooks/{id}/{path}");
        if !path.ends_with("able") {
            let stale = format!("{form}&version=0123456789abcdef");
            let refused = submit(&path, &stale, &cookie).await;
            assert!(refused.status().is_client_error(), "{path}");
        }
        let done = submit(&path, &format!("{form}&version={version}"), &cookie).await;
        // A secret that was rotated is answered with a page.
        assert!([200, 303].contains(&done.status().as_u16()), "{path}");
    }
    let expected = [
        "alice page webhook.enabled",
        "alice page webhook.disabled",
        "alice page webhook.secret_promoted",
        "alice page webhook.secret_staged",
        "alice page webhook.staged_secret_dropped",
        "alice page webhook.secret_staged",
        "alice page webhook.changed",
        "alice page webhook.created",
    ];
    let found = entries(site, &[]);
    assert_eq!(actions(&found), expected);
    assert_eq!(
        found[6]["fields"],
        json!(["name"]),
        "what was typed, no more"
    );

    let log = running.process.stderr();
    let told: Vec<&str> = log
        .lines()
        .filter(|line| line.contains(r#""message":"audit""#))
        .collect();
    assert_eq!(told.len(), found.len(), "a line for each entry: {log}");
    assert!(
        told[1].contains("webhook.changed") && told[1].contains("alice"),
        "{log}"
    );
    assert!(!log.contains("hunter2"), "{log}");

    let shown = shows("/audit").await;
    assert!(
        shown.contains("webhook.disabled") && shown.contains("on holiday"),
        "{shown}"
    );
    assert!(
        shown.contains("&lt;b&gt;n") && !shown.contains("<b>n"),
        "{shown}"
    );
    assert!(!shown.contains("hunter2"), "{shown}");
    let chosen = shows("/audit?action=webhook.created&webhook_id=").await;
    assert!(!chosen.contains("on holiday"), "{chosen}");
    let settings = shows(&format!("/webhooks/{id}/settings")).await;
    assert!(settings.contains(&format!("/audit?webhook_id={id}")));
}

async fn what_commands_change_is_entered_and_the_api_shows_the_same(
    site: &Site,
    running: &Running,
) {
    let receiver = Receiver::start(|_| Answer::status(500));
    let (url, acme) = (receiver.url(), ["--organization", "acme"]);
    let run = |words: &[&str]| site.exits(&[words, &acme].concat(), 0);
    run(&["webhooks", "create", "--name", "n", "--url", &url]);
    run(&["webhooks", "update", "n", "--description", "d"]);
    run(&["webhooks", "rotate-secret", "n", "--promote"]);
    let event = json!({"event": "request.completed"});
    let token = ("authorization", "Bearer acme-0123456789abcdef");
    let published = running
        .ask_as("POST", "/events", Some(event), &[token])
        .await;
    published.is(202);
    let delivery = eventually(SOON, "a dead letter", async || {
        let found = running
            .ask_as("GET", "/dead-letters", None, &[token])
            .await
            .is(200);
        let first = found.items().first();
        first.map(|one| one["delivery_id"].as_str().unwrap().to_owned())
    })
    .await;
    run(&["deliveries", "retry", &delivery]);
    site.exits(&[&["deliveries", "retry", "nobody"][..], &acme].concat(), 5);
    run(&["dead-letters", "purge", "--dry-run"]);
    // Everybody's: that is the operator's, and each organization is told of its own.
    site.exits(&["dead-letters", "purge", "--all"], 0);
    run(&["webhooks", "delete", "n"]);
    site.exits(&[&["webhooks", "delete", "n"][..], &acme].concat(), 5);

    let found = entries(site, &[]);
    let expected = [
        "olga cli webhook.deleted",
        "olga cli dead_letters.purged",
        "olga cli delivery.retried",
        "olga cli webhook.secret_rotated",
        "olga cli webhook.changed",
        "olga cli webhook.created",
    ];
    assert_eq!(actions(&found), expected);
    let everybodys = site.list(&["audit", "list", "--all-organizations", "--json"]);
    let expected = [
        "olga cli dead_letters.purged",
        "olga cli dead_letters.purge_started",
    ];
    assert_eq!(actions(&everybodys), expected);
    for entry in [&found[1], &everybodys[0]] {
        let job = &entry["job"];
        assert_eq!(
            (&job["state"], &job["done"]),
            (&json!("done"), &json!(1)),
            "{entry}"
        );
        assert_eq!(job["id"], everybodys[1]["job"]["id"]);
    }

    let shown = running
        .ask_as("GET", "/audit", None, &[token])
        .await
        .is(200);
    assert_eq!(shown.items(), found, "the API shows what the command does");
    let deleted = [
        "--action",
        "webhook.deleted",
        "--actor",
        "olga",
        "--since",
        "1h",
    ];
    assert_eq!(entries(site, &deleted).len(), 1);
    let none = ["audit", "list", "--until", "1h"];
    let (table, _) = site.exits(&[&none[..], &acme].concat(), 0);
    assert_eq!(table, "nothing in the audit log\n");
    let (table, _) = site.exits(&[&["audit", "list"][..], &acme].concat(), 0);
    assert!(
        table.contains("webhook.secret_rotated") && table.contains("olga"),
        "{table}"
    );
    site.exits(&["audit", "list", "--action", "moved"], 2);
}

async fn who_has_gone_before_the_answer_takes_no_line_of_the_log_along(running: &Running) {
    let token = format!("Bearer {TOKEN}");
    let headers = [("authorization", &*token)];
    let new = json!({"name": "n", "url": "https://example.com/"});
    let created = running
        .ask_as("POST", "/webhooks", Some(new), &headers)
        .await;
    let path = format!(
        "/api/v1/webhooks/{}",
        created.is(201).body["id"].as_str().unwrap()
    );
    let port = running.base.trim_start_matches("http://");
    for number in 0..100 {
        let body = json!({"description": format!("{number}")}).to_string();
        let request = format!(
            "PATCH {path} HTTP/1.1\r\nHost: {port}\r\nAuthorization: {token}\r\n\
             Content-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        );
        let mut stream = TcpStream::connect(port).await.unwrap();
        stream.write_all(request.as_bytes()).await.unwrap();
        // It goes a little later each time, so that some go just when the change has been made.
        let patience = Duration::from_micros(20 * number);
        let _ = timeout(patience, stream.read_u8()).await;
    }
    let all_told = async || {
        let list = "/audit?limit=500&action=webhook.changed";
        let entered = running.ask_as("GET", list, None, &headers).await.is(200);
        let log = running.process.stderr();
        let told = log.lines().filter(|line| line.contains("webhook.changed"));
        (!entered.items().is_empty() && told.count() == entered.items().len()).then_some(())
    };
    eventually(SOON, "every entry has its line in the log", all_told).await;
}

const SETTINGS: [(&str, &str); 4] = [
    ("PRISM_LOGGING_LEVEL", "warn,prism_webhooks::audit=info"),
    ("PRISM_RETRY_MAX_ATTEMPTS", "1"),
    ("PRISM_API_TOKEN", "acme:alice:acme-0123456789abcdef"),
    ("LOGNAME", "olga"),
];

#[tokio::test]
async fn embedded_what_the_page_changes_is_entered_and_shown_there() {
    let (_kept, site, running) = modes::embedded(&SETTINGS).await;
    what_the_page_changes_is_entered_and_shown_there(&site, &running).await;
    running.stop().await;
}

#[tokio::test]
async fn on_servers_what_the_page_changes_is_entered_and_shown_there() {
    let (_kept, site, running) = modes::on_servers(&SETTINGS).await;
    what_the_page_changes_is_entered_and_shown_there(&site, &running).await;
    running.stop().await;
}

#[tokio::test]
async fn embedded_what_commands_change_is_entered_and_the_api_shows_the_same() {
    let (_kept, site, running) = modes::embedded(&SETTINGS).await;
    what_commands_change_is_entered_and_the_api_shows_the_same(&site, &running).await;
    running.stop().await;
}

#[tokio::test]
async fn on_servers_what_commands_change_is_entered_and_the_api_shows_the_same() {
    let (_kept, site, running) = modes::on_servers(&SETTINGS).await;
    what_commands_change_is_entered_and_the_api_shows_the_same(&site, &running).await;
    running.stop().await;
}

#[tokio::test]
async fn embedded_who_has_gone_before_the_answer_takes_no_line_of_the_log_along() {
    let (_kept, _site, running) = modes::embedded(&SETTINGS).await;
    who_has_gone_before_the_answer_takes_no_line_of_the_log_along(&running).await;
    running.stop().await;
}

#[tokio::test]
async fn on_servers_who_has_gone_before_the_answer_takes_no_line_of_the_log_along() {
    let (_kept, _site, running) = modes::on_servers(&SETTINGS).await;
    who_has_gone_before_the_answer_takes_no_line_of_the_log_along(&running).await;
    running.stop().await;
}
