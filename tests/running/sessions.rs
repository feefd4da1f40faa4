//! Signing in to the page: sessions that end, wrong tokens that are slow and are told of.

use std::time::Duration;

use prism_webhooks::store::sessions::MOST_OF_ONE;
use reqwest::redirect::Policy;
use reqwest::{Client, Response};
use tokio::time::{Instant, timeout};

use super::modes;
use super::site::{Running, SOON, Site};
use crate::support::namespace::Namespace;
use crate::support::servers::{amqp_url, redis_url};

const TOKEN: &str = "0123456789abcdef0123456789abcdef";
const OTHER: &str = "fedcba9876543210fedcba9876543210";

fn browser() -> Client {
    let client = Client::builder().no_proxy().redirect(Policy::none());
    client.build().unwrap()
}

async fn submit(running: &Running, path: &str, form: String, headers: &[(&str, &str)]) -> Response {
    let mut request = browser().post(running.at(path)).body(form);
    request = request.header("content-type", "application/x-www-form-urlencoded");
    request = request.header("sec-fetch-site", "same-origin");
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    request.send().await.unwrap()
}

/// Signs in, and gives the cookie as it was set.
async fn sign_in(running: &Running, headers: &[(&str, &str)]) -> String {
    sign_in_with(running, TOKEN, headers).await
}

async fn sign_in_with(running: &Running, token: &str, headers: &[(&str, &str)]) -> String {
    let signed_in = submit(running, "/sign-in", format!("token={token}"), headers).await;
    assert_eq!(signed_in.status(), 303);
    signed_in.headers()["set-cookie"]
        .to_str()
        .unwrap()
        .to_owned()
}

fn pair(cookie: &str) -> &str {
    cookie.split(';').next().unwrap()
}

/// Whether a browser with this cookie is let in.
async fn is_in(running: &Running, cookie: &str, headers: &[(&str, &str)]) -> bool {
    let mut request = browser()
        .get(running.at("/webhooks"))
        .header("cookie", cookie);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    match request.send().await.unwrap().status().as_u16() {
        200 => true,
        303 => false,
        other => panic!("{other}"),
    }
}

async fn a_session_is_no_token_and_ends_when_one_signs_out(running: &Running) {
    let cookie = sign_in(running, &[]).await;
    assert!(!cookie.contains(TOKEN), "{cookie}");
    assert!(cookie.starts_with("prism_session="), "{cookie}");
    assert!(!cookie.contains("Secure"), "{cookie}");
    let session = pair(&cookie);
    assert!(is_in(running, session, &[]).await);
    assert!(!is_in(running, &format!("prism_session={TOKEN}"), &[]).await);
    assert!(!is_in(running, &format!("{session}x"), &[]).await);
    // A page that is open goes with it.
    let id = browser()
        .post(running.at("/api/v1/webhooks"))
        .bearer_auth(TOKEN);
    let id = id.header("content-type", "application/json");
    let id = id
        .body(r#"{"name": "n", "url": "https://example.com/"}"#)
        .send();
    let id = id.await.unwrap().text().await.unwrap();
    let id: serde_json::Value = serde_json::from_str(&id).unwrap();
    let id = id["id"].as_str().unwrap();
    let live = browser().get(running.at(&format!("/webhooks/{id}/stream")));
    let live = live.header("cookie", session).send().await.unwrap();
    assert_eq!(live.status(), 200);
    let gone = submit(running, "/sign-out", String::new(), &[("cookie", session)]).await;
    assert!(
        gone.headers()["set-cookie"]
            .to_str()
            .unwrap()
            .contains("Max-Age=0")
    );
    assert!(!is_in(running, session, &[]).await);
    let ended = timeout(SOON, live.bytes()).await;
    ended.expect("the stream ends").unwrap();
}

async fn a_wrong_token_is_slow_and_told_of_and_a_right_one_is_served_meanwhile(running: &Running) {
    let wrong = "wrong-token-0123456789";
    let begin = Instant::now();
    let guesses = (0..30).map(|number| async move {
        if number % 2 == 0 {
            let form = format!("token={wrong}");
            return submit(running, "/sign-in", form, &[])
                .await
                .status()
                .as_u16();
        }
        let asked = browser().get(running.at("/api/v1/webhooks"));
        asked
            .bearer_auth(wrong)
            .send()
            .await
            .unwrap()
            .status()
            .as_u16()
    });
    let served = async {
        let right = browser().get(running.at("/api/v1/webhooks"));
        let right = right.bearer_auth(TOKEN).send().await.unwrap();
        assert_eq!(right.status(), 200);
    };
    let (answers, ()) = tokio::join!(futures::future::join_all(guesses), served);
    assert!(begin.elapsed() >= Duration::from_millis(250));
    let count = |status| answers.iter().filter(|one| **one == status).count();
    assert_eq!(count(401) + count(403) + count(429), 30, "{answers:?}");
    assert!(count(429) > 0 && count(401) + count(403) > 0, "{answers:?}");
    // Whoever gives no token guesses none.
    let none = browser().get(running.at("/api/v1/webhooks")).send();
    assert_eq!(none.await.unwrap().status(), 401);
    let said = running.process.stderr();
    let lines: Vec<_> = said
        .lines()
        .filter(|line| line.contains("wrong token"))
        .collect();
    assert_eq!(lines.len(), 1, "{said}");
    assert!(lines[0].contains("127.0.0.1"), "{said}");
    assert!(!said.contains(wrong) && !said.contains(TOKEN), "{said}");
}

async fn who_signs_in_over_and_over_ends_only_sessions_of_their_own(running: &Running) {
    let others = sign_in_with(running, OTHER, &[]).await;
    let first = sign_in(running, &[]).await;
    for _ in 0..MOST_OF_ONE / 50 {
        let many = (0..50).map(|_| sign_in(running, &[]));
        futures::future::join_all(many).await;
    }
    let last = sign_in(running, &[]).await;
    assert!(is_in(running, pair(&others), &[]).await);
    assert!(!is_in(running, pair(&first), &[]).await);
    assert!(is_in(running, pair(&last), &[]).await);
}

modes::in_either_mode! { &[("PRISM_API_TOKEN", &format!("{},{}", super::TOKEN, super::OTHER))] =>
    who_signs_in_over_and_over_ends_only_sessions_of_their_own,
    a_session_is_no_token_and_ends_when_one_signs_out,
    a_wrong_token_is_slow_and_told_of_and_a_right_one_is_served_meanwhile,
}

#[tokio::test]
async fn a_session_holds_at_every_process_and_ends_with_its_token() {
    let namespace = Namespace::unique("sessions");
    let site = |tokens| {
        Site::new(&[
            ("PRISM_NAMESPACE", namespace.as_str()),
            ("PRISM_AMQP_URL", amqp_url()),
            ("PRISM_REDIS_URL", redis_url()),
            ("PRISM_API_TOKEN", tokens),
        ])
    };
    let both = format!("{TOKEN},{OTHER}");
    let one = site(&both).start().await;
    let another = site(&both).start_with("api").await;
    let without = site(OTHER).start_with("api").await;
    let cookie = sign_in(&one, &[]).await;
    let session = pair(&cookie);
    assert!(is_in(&another, session, &[]).await);
    assert!(!is_in(&without, session, &[]).await);
    submit(&another, "/sign-out", String::new(), &[("cookie", session)]).await;
    assert!(!is_in(&one, session, &[]).await);
    for running in [one, another, without] {
        running.stop().await;
    }
}

#[tokio::test]
async fn over_https_a_cookie_is_secure_and_of_this_host_alone() {
    let https = [("x-forwarded-proto", "https")];
    let secure = "__Host-prism_session=";
    let (_kept, _site, plain) = modes::embedded(&[("PRISM_API_TOKEN", TOKEN)]).await;
    let believed = sign_in(&plain, &https).await;
    assert!(
        believed.starts_with("prism_session="),
        "nobody is trusted: {believed}"
    );
    plain.stop().await;
    for (name, value) in [
        ("PRISM_API_TRUSTED_PROXIES", "127.0.0.0/8"),
        ("PRISM_API_SECURE_COOKIES", "true"),
    ] {
        let settings = [("PRISM_API_TOKEN", TOKEN), (name, value)];
        let (_kept, _site, running) = modes::embedded(&settings).await;
        let cookie = sign_in(&running, &https).await;
        assert!(
            cookie.starts_with(secure) && cookie.contains("; Secure"),
            "{cookie}"
        );
        let session = pair(&cookie);
        assert!(is_in(&running, session, &https).await);
        let unsafe_name = session.trim_start_matches("__Host-");
        assert!(!is_in(&running, unsafe_name, &https).await);
        running.stop().await;
    }
}
