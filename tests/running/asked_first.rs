//! What the page asks about before it does it: it does what it told, whatever happens meanwhile.

use reqwest::redirect::Policy;
use reqwest::{Client, Response};
use serde_json::json;
use url::form_urlencoded;

use super::modes::in_either_mode;
use super::site::{Running, SOON};
use crate::support::deadline::eventually;
use crate::support::receiver::{Answer, Receiver};

in_either_mode! { &[("PRISM_RETRY_MAX_ATTEMPTS", "1")] =>
    what_is_given_up_after_one_was_asked_is_not_thrown_away,
    what_is_given_up_after_one_was_asked_is_not_sent_round_again,
}

async fn what_is_given_up_after_one_was_asked_is_not_thrown_away(running: &Running) {
    only_what_was_counted_is_taken(running, "purge-all", "2 of 2 purged").await;
}

async fn what_is_given_up_after_one_was_asked_is_not_sent_round_again(running: &Running) {
    only_what_was_counted_is_taken(running, "requeue-all", "2 of 2 requeued").await;
}

async fn only_what_was_counted_is_taken(running: &Running, asked: &str, said: &str) {
    let receiver = Receiver::start(|_| Answer::status(500));
    let id = running.webhook("failing", &receiver.url(), None).await;
    give_up(running, 2).await;
    let question = submit(running, &format!("do={asked}")).await;
    assert_eq!(question.status(), 200);
    let answer = hidden(&question.text().await.unwrap());
    give_up(running, 3).await;
    // What is sent round again is given up anew, for a reason of its own.
    let disabled = format!("/webhooks/{id}/disable");
    running
        .ask("POST", &disabled, Some(json!({})))
        .await
        .is(200);

    let begun = submit(running, &answer).await;
    assert_eq!(begun.status(), 303);
    let job = begun.headers()["location"].to_str().unwrap().to_owned();
    let url = format!("{}{job}", running.base);
    eventually(SOON, said, async || {
        let shown = browser().get(&url).send().await.unwrap();
        let shown = shown.text().await.unwrap();
        shown.contains(said).then_some(())
    })
    .await;
    let left = running
        .get("/dead-letters?reason=attempts-exhausted")
        .await
        .is(200);
    assert_eq!(left.items().len(), 3);
}

/// So many more dead letters.
async fn give_up(running: &Running, many: usize) {
    let path = "/dead-letters?reason=attempts-exhausted";
    let before = running.get(path).await.is(200).items().len();
    for n in 0..many {
        let event = json!({"event": "request.completed", "n": n});
        running.publish(&event).await;
    }
    eventually(SOON, "they are given up", async || {
        let found = running.get(path).await.is(200);
        (found.items().len() == before + many).then_some(())
    })
    .await;
}

fn browser() -> Client {
    let client = Client::builder().no_proxy().redirect(Policy::none());
    client.build().unwrap()
}

/// Sends a form of the page of dead letters.
async fn submit(running: &Running, form: &str) -> Response {
    let request = browser().post(format!("{}/dead-letters", running.base));
    let request = request.header("content-type", "application/x-www-form-urlencoded");
    let request = request.header("origin", &running.base);
    request.body(form.to_owned()).send().await.unwrap()
}

/// The hidden fields of a form, as a browser sends them.
fn hidden(page: &str) -> String {
    let mut form = form_urlencoded::Serializer::new(String::new());
    for field in page.split("type=\"hidden\" name=\"").skip(1) {
        let (name, rest) = field.split_once("\" value=\"").unwrap();
        let (value, _) = rest.split_once('"').unwrap();
        form.append_pair(name, value);
    }
    form.finish()
}
