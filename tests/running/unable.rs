//! A broker that takes nothing at present, or not of this user: whoever asks is told within seconds.

use std::time::Duration;

use reqwest::Response;
use serde_json::{Value, json};
use tokio::time::Instant;

use super::site::{Running, SOON, Site, answer};
use crate::support::deadline::{eventually, eventually_ok};
use crate::support::namespace::Namespace;
use crate::support::private::PrivateRabbit;
use crate::support::receiver::{Answer, Receiver};
use crate::support::servers::redis_url;

/// How long a client waits at most: some seconds, on a machine that is busy.
const SECONDS: Duration = Duration::from_secs(15);

async fn ready(running: &Running) -> (u16, String) {
    let asked = running.client.get(running.at("/readyz")).send().await;
    let (status, body) = answer(asked.unwrap()).await;
    (status.as_u16(), body.to_string())
}

async fn post(running: &Running, path: &str, body: &Value) -> Response {
    let request = running.client.post(running.at(path)).body(body.to_string());
    let request = request.header("content-type", "application/json");
    request.timeout(SECONDS).send().await.expect("an answer")
}

/// Posts what is refused, and gives why.
async fn refused(running: &Running, path: &str, body: &Value) -> String {
    let response = post(running, path, body).await;
    let retry_after = response.headers().get("retry-after").cloned();
    let (status, problem) = answer(response).await;
    assert_eq!(status, 503, "{problem}");
    assert!(retry_after.is_some(), "{problem}");
    problem["detail"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn a_broker_that_blocks_publishers_is_told_within_seconds_and_nothing_is_published_unsaid() {
    let rabbit = PrivateRabbit::start().await;
    let namespace = Namespace::unique("blocks");
    let site = Site::new(&[
        ("PRISM_NAMESPACE", namespace.as_str()),
        ("PRISM_AMQP_URL", rabbit.url()),
        ("PRISM_REDIS_URL", redis_url()),
    ]);
    let running = site.start().await;
    let api = site.start_with("api").await;
    let receiver =
        Receiver::start(
            |request| match request.body.windows(6).any(|w| w == b"failed") {
                true => Answer::status(500),
                false => Answer::status(200),
            },
        );
    api.webhook("w", &receiver.url(), None).await;
    let event = |name: &str| json!({"event": "request.completed", "name": name});
    api.publish(&event("failed")).await;
    receiver.wait_for(1, SOON).await;

    let memory = ["set_vm_memory_high_watermark", "absolute"];
    rabbit.rabbitmqctl(&[memory[0], memory[1], "1"]).await;
    // The broker tells whoever publishes, and that may be after it took something.
    eventually(SOON, "the API knows", async || {
        let asked = post(&api, "/api/v1/events", &event("first")).await;
        let (status, problem) = answer(asked).await;
        let why = problem["detail"].as_str().unwrap_or_default();
        let said = status == 202 || why.contains("may still be taken");
        let known = status == 503 && why.contains("Nothing was published");
        assert!(said || known, "{status} {problem}");
        known.then_some(())
    })
    .await;
    for number in 0..20 {
        let begun = Instant::now();
        let later = event(&format!("later {number}"));
        let why = refused(&api, "/api/v1/events", &later).await;
        assert!(why.contains("Nothing was published"), "{why}");
        let took = begun.elapsed();
        assert!(took < Duration::from_secs(5), "{took:?}");
    }
    let delivery = eventually(SOON, "the failure is on record", async || {
        let list = site.list(&["attempts", "list", "--json"]);
        Some(list.first()?["delivery_id"].as_str()?.to_owned())
    })
    .await;
    let retry = format!("/api/v1/deliveries/{delivery}/retry");
    refused(&api, &retry, &json!({})).await;
    for one in [&api, &running] {
        let (status, why) = ready(one).await;
        assert_eq!(status, 503, "{why}");
        assert!(why.contains("short of memory or disk"), "{why}");
    }

    rabbit.rabbitmqctl(&[memory[0], "0.6"]).await;
    eventually(SOON, "it can take events", async || {
        (ready(&api).await.0 == 200).then_some(())
    })
    .await;
    api.publish(&event("last")).await;
    eventually(SOON, "the last event comes", async || {
        let seen = receiver.requests();
        let came = |name: &str| {
            let name = format!("\"{name}");
            let has = |body: &[u8]| String::from_utf8_lossy(body).contains(&name);
            seen.iter().filter(|request| has(&request.body)).count()
        };
        assert_eq!(
            came("later"),
            0,
            "what was said not to be published was not"
        );
        (came("last") == 1).then_some(())
    })
    .await;
    api.stop().await;
    running.stop().await;
}

#[tokio::test]
async fn an_api_whose_user_may_not_publish_is_not_ready_and_says_what_is_missing() {
    let rabbit = PrivateRabbit::start().await;
    let namespace = Namespace::unique("may-not");
    let guest = Site::new(&[
        ("PRISM_NAMESPACE", namespace.as_str()),
        ("PRISM_AMQP_URL", rabbit.url()),
        ("PRISM_REDIS_URL", redis_url()),
    ]);
    guest.exits(&["topology", "apply"], 0);
    rabbit.rabbitmqctl(&["add_user", "reader", "secret"]).await;
    let permit = async |write: &str, read: &str| {
        let permit = ["set_permissions", "reader", "", write, read];
        rabbit.rabbitmqctl(&permit).await;
    };
    permit("", ".*").await;
    let url = rabbit.url().replace("guest:guest", "reader:secret");
    let site = Site::new(&[
        ("PRISM_NAMESPACE", namespace.as_str()),
        ("PRISM_AMQP_URL", &url),
        ("PRISM_REDIS_URL", redis_url()),
    ]);
    let api = site.start_unready("api").await;
    let says = async |words: &str| {
        let what = format!("it says {words:?}");
        eventually_ok(SOON, &what, async || match ready(&api).await {
            (503, why) if why.contains(words) => Ok(()),
            other => Err(format!("{other:?}")),
        })
        .await;
    };
    let exchange = format!("{}.events", namespace.as_str());
    // What comes to the deliveries queue by hand goes by way of the default exchange.
    says("the default exchange").await;
    permit(r"^amq\.default$", ".*").await;
    says(&exchange).await;
    says("set_permissions").await;
    let event = json!({"event": "request.completed"});
    let why = refused(&api, "/api/v1/events", &event).await;
    assert!(why.contains(&exchange), "{why}");
    permit(&format!(r"^({exchange}|amq\.default)$"), "").await;
    eventually_ok(SOON, "it is ready", async || match ready(&api).await {
        (200, _) => Ok(()),
        other => Err(format!("{other:?}")),
    })
    .await;
    let (status, _) = answer(post(&api, "/api/v1/events", &event).await).await;
    assert_eq!(status, 202);
    api.stop().await;
}
