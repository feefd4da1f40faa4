//! The page over plain HTTP, as a browser without JavaScript has it.

use reqwest::redirect::Policy;
use reqwest::{Client, Response};
use serde_json::json;
use tempfile::TempDir;

use crate::support::deadline::eventually;
use crate::support::receiver::{Answer, Receiver};

use super::site::{Running, SOON, Site};

/// A browser at the page of a `run`.
struct Browser {
    client: Client,
    base: String,
}

impl Browser {
    fn at(running: &Running) -> Self {
        let client = Client::builder().no_proxy().redirect(Policy::none());
        Self {
            client: client.build().unwrap(),
            base: running.base.clone(),
        }
    }

    async fn get(&self, path: &str) -> Response {
        let request = self.client.get(format!("{}{path}", self.base));
        request.send().await.unwrap()
    }

    async fn shows(&self, path: &str) -> String {
        let response = self.get(path).await;
        assert_eq!(response.status(), 200, "{path}");
        response.text().await.unwrap()
    }

    /// Sends a form from this origin.
    async fn submit(&self, path: &str, form: &str, origin: Option<&str>) -> Response {
        let mut request = self.client.post(format!("{}{path}", self.base));
        request = request.header("content-type", "application/x-www-form-urlencoded");
        if let Some(origin) = origin {
            request = request.header("origin", origin);
        }
        request.body(form.to_owned()).send().await.unwrap()
    }
}

fn site(settings: &[(&str, &str)]) -> (TempDir, Site) {
    let directory = tempfile::tempdir().unwrap();
    let data = ("PRISM_DATA_DIR", directory.path().to_str().unwrap());
    let site = Site::new(&[&[data], settings].concat());
    (directory, site)
}

#[tokio::test]
async fn no_name_and_no_answer_turns_the_order_of_a_page_about() {
    let (_directory, site) = site(&[("PRISM_RETRY_MAX_ATTEMPTS", "1")]);
    let receiver = Receiver::start(|_| Answer::status(500).body("no \u{2066}way"));
    let running = site.start().await;
    let browser = Browser::at(&running);
    let new =
        json!({"name": "exe.\u{202e}gpj", "url": receiver.url(), "description": "a\u{202d}b"});
    let created = running.ask("POST", "/webhooks", Some(new)).await.is(201);
    let id = created.body["id"].as_str().unwrap();
    running
        .publish(&json!({"event": "request.completed"}))
        .await;
    let log = eventually(SOON, "the attempt is in the log", async || {
        let log = browser.shows(&format!("/webhooks/{id}/log")).await;
        log.contains("\\u2066way").then_some(log)
    })
    .await;
    let settings = browser.shows(&format!("/webhooks/{id}/settings")).await;
    for page in [&log, &settings, &browser.shows("/webhooks").await] {
        assert!(page.contains("exe.\\u202egpj"), "{page}");
    }
    for form in ["value=\"exe.\u{202e}gpj\"", "\na\u{202d}b</textarea>"] {
        assert_eq!(settings.matches(form).count(), 1, "{settings}");
        assert!(!log.contains(form), "{log}");
    }
    for mark in ['\u{202e}', '\u{202d}', '\u{2066}'] {
        assert!(!log.contains(mark), "{log}");
    }
    running.stop().await;
}

#[tokio::test]
async fn a_webhook_is_created_through_the_form_and_its_failing_delivery_retried_by_hand() {
    let (_directory, site) = site(&[("PRISM_RETRY_MAX_ATTEMPTS", "1")]);
    let receiver = Receiver::start(
        |request| match request.header("x-prism-attempt").as_deref() {
            Some("1")
                if request.header("x-prism-delivery").is_some() && request.path() == "/fails" =>
            {
                Answer::status(500).body("<script>alert(1)</script>")
            }
            _ => Answer::ok(),
        },
    );
    let running = site.start().await;
    let browser = Browser::at(&running);
    assert!(browser.shows("/webhooks").await.contains("No webhooks yet"));

    // An error stands beside its field, and nothing typed is lost.
    let own = Some(running.base.as_str());
    let wrong = "name=%3Cb%3Eours&url=ftp%3A%2F%2Fexample.com&secret=&description=kept";
    let refused = browser.submit("/webhooks", wrong, own).await;
    assert_eq!(refused.status(), 422);
    let shown = refused.text().await.unwrap();
    assert!(shown.contains("id=\"url-error\""), "{shown}");
    assert!(
        shown.contains("value=\"&lt;b&gt;ours\"") && shown.contains("\nkept</textarea>"),
        "{shown}"
    );

    let url = format!("{}/fails", receiver.url());
    let typed = url::form_urlencoded::Serializer::new(String::new())
        .extend_pairs([("name", "<b>ours"), ("url", &url), ("secret", "a-secret")])
        .append_pair("event", "request.completed")
        .finish();
    let created = browser.submit("/webhooks", &typed, own).await;
    assert_eq!(created.status(), 303);
    let place = created.headers()["location"].to_str().unwrap().to_owned();
    assert!(browser.shows(&place).await.contains("No attempts yet"));

    running
        .publish(&json!({"event": "request.completed"}))
        .await;
    let failed = async || {
        let log = browser.shows(&place).await;
        log.contains("/retry").then_some(log)
    };
    let log = eventually(SOON, "the failed attempt is shown", failed).await;
    assert!(
        log.contains("&lt;script&gt;alert(1)") && !log.contains("<script>alert"),
        "{log}"
    );
    assert!(!log.contains("a-secret"), "{log}");
    let retry = log
        .split("action=\"")
        .find(|part| part.contains("/retry"))
        .unwrap();
    let retry = retry.split('"').next().unwrap().to_owned();

    let to = format!("url={}", receiver.url());
    site.exits(&["webhooks", "update", "<b>ours", "--url", &to[4..]], 0);
    let retried = browser.submit(&retry, "", own).await;
    assert_eq!(retried.status(), 303);
    let delivered = async || {
        let log = browser.shows(&place).await;
        log.contains("badge good\">delivered").then_some(())
    };
    eventually(SOON, "the retried delivery is shown", delivered).await;
    // What was delivered is not sent again by a second click.
    let again = browser.submit(&retry, "", own).await;
    assert_eq!(again.status(), 409);
    assert_eq!(receiver.count(), 2);
    running.stop().await;
}

#[tokio::test]
async fn forged_forms_and_foreign_hosts_are_refused() {
    let (_directory, site) = site(&[]);
    let running = site.start().await;
    let browser = Browser::at(&running);
    let form = "name=a&url=https%3A%2F%2Fexample.com";
    for origin in [None, Some("https://evil.example"), Some("null")] {
        let forged = browser.submit("/webhooks", form, origin).await;
        assert_eq!(forged.status(), 403, "{origin:?}");
    }
    let rebound = browser.client.get(format!("{}/webhooks", browser.base));
    let rebound = rebound
        .header("host", "rebound.example")
        .send()
        .await
        .unwrap();
    assert_eq!(rebound.status(), 403);
    // The API beside it, which asks for no token here either.
    for (name, value) in [
        ("host", "rebound.example"),
        ("origin", "https://evil.example"),
    ] {
        let test = browser
            .client
            .post(format!("{}/api/v1/webhooks/a/test", browser.base));
        let refused = test.header(name, value).send().await.unwrap();
        assert_eq!(refused.status(), 403, "{name}");
    }
    let page = browser.get("/webhooks").await;
    let policy = page.headers()["content-security-policy"].to_str().unwrap();
    assert!(
        policy.contains("default-src 'none'") && !policy.contains("unsafe"),
        "{policy}"
    );
    assert!(page.text().await.unwrap().contains("No webhooks yet"));
    running.stop().await;
}

#[tokio::test]
async fn what_is_too_large_or_malformed_is_refused_and_changes_nothing() {
    let (_directory, site) = site(&[]);
    let running = site.start().await;
    let browser = Browser::at(&running);
    let own = Some(running.base.as_str());
    let huge = format!("name={}&url=https%3A%2F%2Fexample.com", "x".repeat(3 << 20));
    let refused = browser.submit("/webhooks", &huge, own).await;
    assert_eq!(refused.status(), 413);
    let said = refused.text().await.unwrap();
    assert!(said.contains("<h1>") && said.contains("limit"), "{said}");
    for malformed in ["%", "name=%ff%fe&url=%00", "&&&=", "name=x&name=y&url=://"] {
        let refused = browser.submit("/webhooks", malformed, own).await;
        assert_eq!(refused.status(), 422, "{malformed}");
    }
    for (path, status) in [
        ("/webhooks/%ff", 400),
        ("/webhooks/nobody/attempts/1'--", 404),
        ("/webhooks?after=%3Cscript%3E", 200),
        ("/dead-letters?reason=%3Cscript%3E&webhook=%22%3E", 200),
        ("/dead-letters/jobs/nobody", 400),
    ] {
        let response = browser.get(path).await;
        assert_eq!(response.status(), status, "{path}");
        let shown = response.text().await.unwrap();
        assert!(shown.contains("<h1>"), "{path}: {shown}");
        assert!(!shown.contains("<script>"), "{path}: {shown}");
    }
    // People are told with a page what is not there, programs with a problem document.
    let nowhere = browser.client.get(format!("{}/webhook", browser.base));
    let asked = |accept| nowhere.try_clone().unwrap().header("accept", accept).send();
    for (accept, kind) in [
        ("text/html,*/*;q=0.8", "text/html; charset=utf-8"),
        ("*/*", "application/problem+json"),
    ] {
        let answer = asked(accept).await.unwrap();
        assert_eq!(answer.status(), 404);
        assert_eq!(answer.headers()["content-type"], kind);
    }
    let nothing = browser.submit("/dead-letters", "do=explode", own).await;
    assert_eq!(nothing.status(), 422);
    assert!(browser.shows("/webhooks").await.contains("No webhooks yet"));
    running.stop().await;
}

#[tokio::test]
async fn with_tokens_one_signs_in_and_sees_ones_own_organization_alone() {
    let token = "acme-token-0123456789";
    let tokens = format!("acme:{token},all-token-0123456789");
    let (_directory, site) = site(&[("PRISM_API_TOKEN", &tokens)]);
    let running = site.start().await;
    let browser = Browser::at(&running);
    let outside = browser.get("/webhooks").await;
    assert_eq!(
        (outside.status().as_u16(), &outside.headers()["location"]),
        (303, &"/sign-in".parse().unwrap())
    );
    let own = Some(running.base.as_str());
    let wrong = browser.submit("/sign-in", "token=wrong", own).await;
    assert_eq!(wrong.status(), 403);
    let signed_in = browser
        .submit("/sign-in", &format!("token={token}"), own)
        .await;
    let cookie = signed_in.headers()["set-cookie"].to_str().unwrap();
    assert!(
        cookie.contains("HttpOnly") && cookie.contains("SameSite=Strict"),
        "{cookie}"
    );
    let session = cookie.split(';').next().unwrap().to_owned();

    let other = json!({"name": "of another", "url": receiver_url()}).to_string();
    let headers = [("authorization", "Bearer all-token-0123456789")];
    let (status, answer) = running
        .post_as("application/json", "/api/v1/webhooks", other, &headers)
        .await;
    assert_eq!(status, 201, "{answer}");
    let id = answer["id"].as_str().unwrap();
    for (path, expected) in [("/webhooks", 200), (&*format!("/webhooks/{id}"), 404)] {
        let request = browser.client.get(format!("{}{path}", browser.base));
        let request = request.header("cookie", format!("{session}; prism_organization=default"));
        let response = request.send().await.unwrap();
        assert_eq!(response.status(), expected, "{path}");
        let shown = response.text().await.unwrap();
        assert!(!shown.contains("of another"), "{shown}");
    }
    running.stop().await;
}

fn receiver_url() -> &'static str {
    "https://example.com/hook"
}
