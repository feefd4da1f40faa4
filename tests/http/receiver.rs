//! The receiver: what it reports, and how it behaves, seen from the sender.

use std::time::{Duration, Instant};

use ::http::{HeaderMap, HeaderValue, StatusCode};
use prism_webhooks::domain::outcome::{FailureKind, Outcome};
use prism_webhooks::domain::secret::Secret;
use prism_webhooks::domain::signature;
use prism_webhooks::engine::ports::{Request, Sender as _};
use prism_webhooks::receiver::{Answer, Behaviour, Manner, Received, Receiver, Verification};
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;

use super::{answered, failed, in_time, outcome, patient, request, send, sender, settings};

/// A receiver at work.
struct Running {
    url: String,
    reports: mpsc::Receiver<Received>,
    stop: oneshot::Sender<()>,
    task: JoinHandle<()>,
}

impl Running {
    async fn start(secret: Option<&str>, behaviour: Behaviour) -> Self {
        let (sender, reports) = mpsc::channel(64);
        let secrets = secret.map(|text| Secret::new(text).unwrap());
        let address = "127.0.0.1:0".parse().unwrap();
        let secrets = secrets.into_iter().collect();
        let receiver = Receiver::bind(address, secrets, behaviour, sender)
            .await
            .unwrap();
        let url = format!("http://{}/hook?a=b", receiver.address());
        let (stop, stopped) = oneshot::channel();
        let task = tokio::spawn(receiver.run(async { _ = stopped.await }));
        Self {
            url,
            reports,
            stop,
            task,
        }
    }

    /// Stops it, which must not take the two seconds that stragglers are waited for.
    async fn stop(self) {
        let started = Instant::now();
        self.stop.send(()).unwrap();
        in_time(self.task).await.unwrap();
        assert!(started.elapsed() < Duration::from_secs(2));
    }

    async fn next(&mut self) -> Received {
        in_time(self.reports.recv()).await.unwrap()
    }
}

fn status(status: StatusCode) -> Behaviour {
    Behaviour {
        answer: Answer {
            status,
            ..Answer::default()
        },
        ..Behaviour::default()
    }
}

/// Signed as deliveries are.
fn signed(url: &str, secret: &str) -> Request {
    let secret = Secret::new(secret).unwrap();
    let mut request = request(url);
    let now = jiff::Timestamp::now().as_second();
    for (name, value) in [
        (
            "x-prism-signature",
            signature::prism(&secret, &request.body),
        ),
        ("webhook-id", "ev_1".to_owned()),
        ("webhook-timestamp", now.to_string()),
        (
            "webhook-signature",
            signature::standard([&secret], "ev_1", now, &request.body),
        ),
    ] {
        request
            .headers
            .insert(name, HeaderValue::from_str(&value).unwrap());
    }
    request
}

#[tokio::test]
async fn requests_are_reported_as_they_came_with_their_verdict() {
    let mut running = Running::start(Some("hunter2"), Behaviour::default()).await;
    let sender = sender(patient());
    for (sent, expected) in [
        (signed(&running.url, "hunter2"), Verification::Valid),
        (request(&running.url), Verification::Unsigned),
    ] {
        assert!(outcome(&in_time(sender.send(sent.clone())).await.unwrap()).is_delivered());
        let received = running.next().await;
        assert_eq!(received.verified, expected);
        assert_eq!(
            (received.method.as_str(), &*received.path),
            ("POST", "/hook?a=b")
        );
        assert_eq!(received.body, sent.body);
        assert_eq!(received.headers["content-type"], "application/json");
    }
    in_time(sender.send(signed(&running.url, "hunter3")))
        .await
        .unwrap();
    assert!(matches!(
        running.next().await.verified,
        Verification::Invalid(_)
    ));
}

#[tokio::test]
async fn without_a_secret_nothing_is_verified() {
    let mut running = Running::start(None, Behaviour::default()).await;
    in_time(sender(patient()).send(signed(&running.url, "hunter2")))
        .await
        .unwrap();
    assert_eq!(running.next().await.verified, Verification::NoSecret);
}

#[tokio::test]
async fn it_answers_with_the_status_headers_and_body_it_was_given() {
    let behaviour = Behaviour {
        answer: Answer {
            status: StatusCode::SERVICE_UNAVAILABLE,
            headers: HeaderMap::from_iter([(
                "retry-after".parse().unwrap(),
                HeaderValue::from_static("7"),
            )]),
            body: "busy".into(),
        },
        ..Behaviour::default()
    };
    let running = Running::start(None, behaviour).await;
    let reply = send(patient(), &running.url).await;
    let wait = Some(Duration::from_secs(7));
    assert_eq!(outcome(&reply), Outcome::Throttled { wait });
    assert_eq!(answered(reply).body, b"busy");
}

#[tokio::test]
async fn it_fails_the_first_and_then_succeeds() {
    let behaviour = Behaviour {
        first: Some(2),
        ..status(StatusCode::INTERNAL_SERVER_ERROR)
    };
    let running = Running::start(None, behaviour).await;
    let mut statuses = Vec::new();
    for _ in 0..4 {
        statuses.push(answered(send(patient(), &running.url).await).status);
    }
    assert_eq!(statuses, [500, 500, 200, 200]);
}

#[tokio::test]
async fn a_delayed_answer_comes_after_its_delay() {
    let delay = Duration::from_millis(100);
    let behaviour = Behaviour {
        delay,
        ..Behaviour::default()
    };
    let running = Running::start(None, behaviour).await;
    let reply = send(patient(), &running.url).await;
    assert!(reply.duration >= delay);
    assert!(outcome(&reply).is_delivered());
}

#[tokio::test]
async fn hanging_it_reports_the_request_and_gives_no_answer() {
    let hanging = Behaviour {
        manner: Manner::Hang,
        ..Behaviour::default()
    };
    let mut running = Running::start(None, hanging).await;
    failed(send(settings(), &running.url).await, FailureKind::Timeout);
    assert_eq!(running.next().await.answered.manner, Manner::Hang);
}

#[tokio::test]
async fn dripping_it_sends_the_head_and_the_first_byte_at_once() {
    let dripping = |body: &'static str| Behaviour {
        manner: Manner::Drip,
        answer: Answer {
            body: body.into(),
            ..Answer::default()
        },
        ..Behaviour::default()
    };
    for (body, first) in [("abc", b"a"), ("", b".")] {
        let running = Running::start(None, dripping(body)).await;
        let response = answered(send(settings(), &running.url).await);
        assert_eq!((response.status, &*response.body), (200, &first[..]));
        assert_eq!(response.broken.unwrap().kind, FailureKind::Timeout);
    }
    let running = Running::start(None, dripping("a")).await;
    let response = answered(send(patient(), &running.url).await);
    assert_eq!((response.body, response.broken), (b"a".to_vec(), None));
}

#[tokio::test]
async fn a_body_beyond_all_measure_is_refused() {
    let running = Running::start(None, Behaviour::default()).await;
    let mut large = request(&running.url);
    large.body = vec![b'x'; 11 * 1024 * 1024].into();
    let reply = in_time(sender(patient()).send(large)).await;
    // It answers without reading on, which the sender may notice in the middle of sending.
    match reply.unwrap().result {
        Ok(response) => assert_eq!(response.status, 413),
        Err(failure) => assert_eq!(failure.kind, FailureKind::Protocol),
    }
}

#[tokio::test]
async fn told_to_stop_it_finishes_answers_and_breaks_off_what_hangs() {
    let slow = Behaviour {
        delay: Duration::from_millis(100),
        ..Behaviour::default()
    };
    let hanging = Behaviour {
        manner: Manner::Hang,
        ..Behaviour::default()
    };
    for (behaviour, delivered) in [(slow, true), (hanging, false)] {
        let mut running = Running::start(None, behaviour).await;
        let url = running.url.clone();
        let sending = tokio::spawn(async move { send(patient(), &url).await });
        running.next().await;
        running.stop().await;
        let reply = sending.await.unwrap();
        assert_eq!(outcome(&reply).is_delivered(), delivered, "{reply:?}");
    }
}

#[tokio::test]
async fn idle_connections_do_not_hold_up_the_stop() {
    let running = Running::start(None, Behaviour::default()).await;
    let keeping = sender(patient());
    in_time(keeping.send(request(&running.url))).await.unwrap();
    let url = running.url.clone();
    running.stop().await;
    let reply = in_time(keeping.send(request(&url))).await;
    failed(reply.unwrap(), FailureKind::Connect);
}
