//! Live streams: many at once, and how many a token may have open.

use futures::future::join_all;
use reqwest::{RequestBuilder, Response, StatusCode};
use serde_json::{Value, json};
use tokio::time::timeout;

use super::modes;
use super::site::{Running, SOON, Site};
use crate::support::deadline::eventually;
use crate::support::namespace::Namespace;
use crate::support::private::PrivateRedis;
use crate::support::receiver::Receiver;
use crate::support::servers::amqp_url;

const TOKEN: &str = "0123456789abcdef0123456789abcdef";
const OTHER: &str = "fedcba9876543210fedcba9876543210";

const STREAMS: usize = 200;
const EVENTS: usize = 6;

/// A live stream that is open.
struct Live {
    response: Response,
    text: String,
}

impl Live {
    async fn open(request: RequestBuilder) -> Self {
        Self::of(request.send().await.unwrap())
    }

    fn of(response: Response) -> Self {
        assert_eq!(response.status(), 200);
        Self {
            response,
            text: String::new(),
        }
    }

    /// The first so many events that come, each with its id and its delivery.
    async fn heard(&mut self, count: usize) -> Vec<(String, String)> {
        while self.text.matches("data: ").count() < count || !self.text.ends_with("\n\n") {
            let chunk = timeout(SOON, self.response.chunk()).await;
            let chunk = chunk.expect("something comes").unwrap().unwrap();
            self.text += &String::from_utf8_lossy(&chunk);
        }
        let events = self
            .text
            .split("\n\n")
            .filter(|event| event.contains("data: "));
        let field = |event: &str, name: &str| {
            let line = event.lines().find_map(|line| line.strip_prefix(name));
            line.unwrap().to_owned()
        };
        let one = |event: &str| {
            let data: Value = serde_json::from_str(&field(event, "data: ")).unwrap();
            let delivery = data["delivery_id"].as_str().unwrap().to_owned();
            (field(event, "id: "), delivery)
        };
        events.map(one).collect()
    }
}

/// Opens many streams, of a webhook and of all, and checks what each hears.
async fn each_hears_each_attempt_once_and_in_order(running: &Running) {
    let receiver = Receiver::ok();
    let id = running.webhook("n", &receiver.url(), None).await;
    let paths = [
        "/api/v1/attempts/stream".to_owned(),
        format!("/api/v1/attempts/stream?webhook_id={id}"),
        format!("/webhooks/{id}/stream"),
    ];
    // A page is told rows; the others, the same as JSON.
    let opening = (0..STREAMS).map(|n| Live::open(running.client.get(running.at(&paths[n % 2]))));
    let mut streams = join_all(opening).await;
    let _pages =
        join_all((0..3).map(|_| Live::open(running.client.get(running.at(&paths[2]))))).await;
    for _ in 0..EVENTS {
        running
            .publish(&json!({"event": "request.completed"}))
            .await;
    }
    let heard = join_all(streams.iter_mut().map(|stream| stream.heard(EVENTS))).await;
    for (number, one) in heard.iter().enumerate() {
        assert_eq!(one.len(), EVENTS);
        let alike = &heard[number % 2];
        assert_eq!(one, alike, "the same ids and attempts in the same order");
        let mut deliveries: Vec<&str> = one.iter().map(|(_, delivery)| &**delivery).collect();
        deliveries.sort_unstable();
        deliveries.dedup();
        assert_eq!(deliveries.len(), EVENTS);
    }
}

/// The connections that a Redis has, and those of them that block.
async fn connections(redis: &PrivateRedis) -> (usize, usize) {
    let client = redis::Client::open(redis.url()).unwrap();
    let mut connection = client.get_multiplexed_async_connection().await.unwrap();
    let mut list = redis::cmd("CLIENT");
    let all: String = list.arg("LIST").query_async(&mut connection).await.unwrap();
    // But for the one that asks.
    let others = all.lines().filter(|line| !line.contains("cmd=client"));
    let blocking = all.lines().filter(|line| line.contains("cmd=xread "));
    (others.count(), blocking.count())
}

#[tokio::test]
async fn on_servers_two_hundred_streams_take_one_connection_to_redis() {
    let redis = PrivateRedis::start().await;
    let namespace = Namespace::unique("streams");
    let site = Site::new(&[
        ("PRISM_NAMESPACE", namespace.as_str()),
        ("PRISM_AMQP_URL", amqp_url()),
        ("PRISM_REDIS_URL", redis.url()),
        ("PRISM_API_MAX_STREAMS_PER_TOKEN", "300"),
    ]);
    let running = site.start().await;
    let (before, blocking) = connections(&redis).await;
    assert_eq!(blocking, 0);
    let whole = running.client.get(running.at("/api/v1/attempts/stream"));
    let first = Live::open(whole).await;
    eventually(SOON, "it is read", async || {
        (connections(&redis).await.1 == 1).then_some(())
    })
    .await;
    each_hears_each_attempt_once_and_in_order(&running).await;
    drop(first);
    let while_open = running.client.get(running.at("/api/v1/attempts/stream"));
    let open = Live::open(while_open).await;
    eventually(SOON, "one connection, and one for the reader", async || {
        (connections(&redis).await == (before + 1, 1)).then_some(())
    })
    .await;
    drop(open);
    eventually(SOON, "nobody reads any more", async || {
        (connections(&redis).await == (before, 0)).then_some(())
    })
    .await;
    running.stop().await;
}

#[tokio::test]
async fn embedded_two_hundred_streams_hear_each_attempt_once_and_in_order() {
    let settings = [("PRISM_API_MAX_STREAMS_PER_TOKEN", "300")];
    let (_kept, _site, running) = modes::embedded(&settings).await;
    each_hears_each_attempt_once_and_in_order(&running).await;
    running.stop().await;
}

/// Signs in with the token, and gives the session's cookie.
async fn sign_in(running: &Running) -> String {
    let browser = reqwest::Client::builder().no_proxy();
    let browser = browser.redirect(reqwest::redirect::Policy::none());
    let form = browser.build().unwrap().post(running.at("/sign-in"));
    let form = form.header("content-type", "application/x-www-form-urlencoded");
    let form = form.header("sec-fetch-site", "same-origin");
    let answer = form.body(format!("token={TOKEN}")).send().await.unwrap();
    let cookie = answer.headers()["set-cookie"].to_str().unwrap();
    cookie.split(';').next().unwrap().to_owned()
}

async fn a_token_has_so_many_streams_and_a_place_that_is_left_is_free_again(running: &Running) {
    let whole = |token| {
        let stream = running.client.get(running.at("/api/v1/attempts/stream"));
        stream.bearer_auth(token)
    };
    let new = json!({"name": "n", "url": "https://example.com/"});
    let created = running.client.post(running.at("/api/v1/webhooks"));
    let created = created.header("content-type", "application/json");
    let created = created.bearer_auth(TOKEN).body(new.to_string()).send();
    let created: Value =
        serde_json::from_str(&created.await.unwrap().text().await.unwrap()).unwrap();
    let page = format!("/webhooks/{}/stream", created["id"].as_str().unwrap());
    let session = sign_in(running).await;
    let page = || {
        let stream = running.client.get(running.at(&page));
        stream.header("cookie", &session)
    };
    let one = Live::open(whole(TOKEN)).await;
    let two = Live::open(page()).await;

    let refused = whole(TOKEN).send().await.unwrap();
    assert_eq!(refused.status(), StatusCode::TOO_MANY_REQUESTS);
    assert_eq!(
        refused.headers()["content-type"],
        "application/problem+json"
    );
    let problem: Value = serde_json::from_str(&refused.text().await.unwrap()).unwrap();
    let detail = problem["detail"].as_str().unwrap();
    assert!(
        detail.starts_with("2 live streams are open with this token"),
        "{detail}"
    );
    assert!(
        detail.contains("PRISM_API_MAX_STREAMS_PER_TOKEN"),
        "{detail}"
    );
    let refused = page().send().await.unwrap();
    assert_eq!(refused.status(), StatusCode::TOO_MANY_REQUESTS);
    // Another token has its own.
    let others = Live::open(whole(OTHER)).await;

    let mut open = vec![others];
    for left in [one, two] {
        drop(left);
        let free = eventually(SOON, "the place is free again", async || {
            let answer = whole(TOKEN).send().await.unwrap();
            (answer.status() == 200).then_some(answer)
        })
        .await;
        let refused = whole(TOKEN).send().await.unwrap();
        assert_eq!(refused.status(), StatusCode::TOO_MANY_REQUESTS);
        open.push(Live::of(free));
    }
}

async fn without_a_token_all_streams_count_together(running: &Running) {
    let stream = || running.client.get(running.at("/api/v1/attempts/stream"));
    let open = [Live::open(stream()).await, Live::open(stream()).await];
    let refused = stream().send().await.unwrap();
    assert_eq!(refused.status(), 429);
    let text = refused.text().await.unwrap();
    assert!(
        text.contains("2 live streams are open without a token"),
        "{text}"
    );
    drop(open);
}

mod with_tokens {
    use super::a_token_has_so_many_streams_and_a_place_that_is_left_is_free_again;

    crate::running::modes::in_either_mode! {
        &[
            ("PRISM_API_TOKEN", "0123456789abcdef0123456789abcdef,fedcba9876543210fedcba9876543210"),
            ("PRISM_API_MAX_STREAMS_PER_TOKEN", "2"),
        ] =>
        a_token_has_so_many_streams_and_a_place_that_is_left_is_free_again,
    }
}

mod without_tokens {
    use super::without_a_token_all_streams_count_together;

    crate::running::modes::in_either_mode! {
        &[("PRISM_API_MAX_STREAMS_PER_TOKEN", "2")] =>
        without_a_token_all_streams_count_together,
    }
}
