//! What a request carries: the gateway's bytes, the ids, the signatures, the trace.

use std::collections::BTreeSet;
use std::time::{SystemTime, UNIX_EPOCH};

use crate::support::receiver::{Answer, Received, Receiver};

use super::deployment::{Deployment, SOON};
use super::verification::{documented_signature, standard_signatures};

/// A body whose every blank, escape and zero must arrive.
const BODY: &str = r#"{"event": "request.completed",  "request_id":"req_7", "cost":0.00210, "note":"\u00fc \/ ü"}"#;

/// The HMAC of that body as Python and OpenSSL compute it with the key `my-webhook-secret`.
const SIGNATURE: &str = "sha256=e93bec215f265a69f706495b320545901516d628309b3c0152759713f154ec42";

const PLAIN: &str = "my-webhook-secret";
const STANDARD: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
const TRACE: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

fn header(request: &Received, name: &str) -> String {
    let value = request.header(name);
    value.unwrap_or_else(|| panic!("{name} is missing: {:?}", request.headers()))
}

fn unix_now() -> i64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    i64::try_from(now.expect("after 1970").as_secs()).expect("fits")
}

fn assert_recent(request: &Received) {
    let timestamp: i64 = header(request, "webhook-timestamp")
        .parse()
        .expect("a number");
    let age = unix_now() - timestamp;
    assert!((0..=30).contains(&age), "{timestamp} is {age} s old");
}

fn names(request: &Received) -> BTreeSet<String> {
    let headers = request.headers();
    let names: BTreeSet<String> = headers
        .iter()
        .map(|(name, _)| name.to_lowercase())
        .collect();
    assert_eq!(
        names.len(),
        headers.len(),
        "a header came twice: {headers:?}"
    );
    names
}

const ALWAYS: [&str; 10] = [
    "accept",
    "content-length",
    "content-type",
    "host",
    "user-agent",
    "webhook-id",
    "webhook-timestamp",
    "x-prism-attempt",
    "x-prism-delivery",
    "x-prism-event",
];

fn expected(more: &[&str]) -> BTreeSet<String> {
    let all = ALWAYS.iter().chain(more);
    all.map(|name| (*name).to_owned()).collect()
}

#[tokio::test]
async fn a_request_carries_the_gateways_bytes_and_every_header_of_the_contract() {
    let deployment = Deployment::start("headers", &[]).await;
    let [plain, standard, unsigned] = [Receiver::ok(), Receiver::ok(), Receiver::ok()];
    let of_acme = ["--organization", "acme"];
    let create = |name, receiver: &Receiver, more: &[&str]| {
        deployment.webhook(
            name,
            &format!("{}/hook?a=b", receiver.url()),
            &[&of_acme, more].concat(),
        )
    };
    create("plain", &plain, &["--secret", PLAIN]);
    create("standard", &standard, &["--secret", STANDARD]);
    let headers = [
        "--header",
        "X-Team: blue",
        "--header",
        "Authorization: Bearer b3",
    ];
    create("unsigned", &unsigned, &headers);
    let traced = [
        "--id",
        "evt-1",
        "--organization",
        "acme",
        "--traceparent",
        TRACE,
    ];
    deployment.publish(&[&["request.completed", BODY], &traced[..]].concat());

    let request = plain.wait_for(1, SOON).await.remove(0);
    assert_eq!(
        (&*request.method(), &*request.path()),
        ("POST", "/hook?a=b")
    );
    assert_eq!(request.body, BODY);
    let signed = ["x-prism-signature", "webhook-signature", "traceparent"];
    assert_eq!(names(&request), expected(&signed));
    let capital = |name: &str| name.starts_with(char::is_uppercase);
    for (name, _) in request.headers() {
        assert!(name.split('-').all(capital), "{name}");
    }
    let version = concat!("prism-webhooks/", env!("CARGO_PKG_VERSION"));
    for (name, value) in [
        ("content-type", "application/json"),
        ("user-agent", version),
        ("x-prism-event", "request.completed"),
        ("x-prism-attempt", "1"),
        ("webhook-id", "evt-1"),
        ("x-prism-signature", SIGNATURE),
        (
            "x-prism-signature",
            &documented_signature(PLAIN, BODY.as_bytes()),
        ),
        (
            "webhook-signature",
            &standard_signatures(&request, &[PLAIN]),
        ),
    ] {
        assert_eq!(header(&request, name), value, "{name}");
    }
    assert_recent(&request);
    let trace = header(&request, "traceparent");
    assert_eq!((&trace[..36], &trace[52..]), (&TRACE[..36], &TRACE[52..]));
    assert_ne!(trace, TRACE, "the request is a span of its own");

    let other = standard.wait_for(1, SOON).await.remove(0);
    assert_eq!(other.body, BODY);
    assert_eq!(header(&other, "webhook-id"), "evt-1");
    assert_eq!(
        header(&other, "x-prism-signature"),
        documented_signature(STANDARD, BODY.as_bytes())
    );
    assert_eq!(
        header(&other, "webhook-signature"),
        standard_signatures(&other, &[STANDARD])
    );
    assert_ne!(
        header(&other, "x-prism-delivery"),
        header(&request, "x-prism-delivery")
    );
    assert_ne!(header(&other, "traceparent"), trace);

    let bare = unsigned.wait_for(1, SOON).await.remove(0);
    assert_eq!(bare.body, BODY);
    let own = ["traceparent", "x-team", "authorization"];
    assert_eq!(names(&bare), expected(&own), "no secret, no signature");
    assert_eq!(header(&bare, "x-team"), "blue");
    assert_eq!(header(&bare, "authorization"), "Bearer b3");

    deployment.publish(&["request.completed", "--organization", "acme"]);
    let untraced = plain.wait_for(2, SOON).await.remove(1);
    assert_eq!(untraced.body, r#"{"event":"request.completed"}"#);
    assert_eq!(
        names(&untraced),
        expected(&signed[..2]),
        "no trace out of nothing"
    );
}

#[tokio::test]
async fn the_attempts_of_a_delivery_share_its_ids_and_have_number_time_and_span_of_their_own() {
    let deployment = Deployment::start("attempt-headers", &[]).await;
    let receiver = Receiver::start(
        |request| match request.header("x-prism-attempt").as_deref() {
            Some("3") => Answer::ok(),
            _ => Answer::status(500),
        },
    );
    deployment.webhook("w", &receiver.url(), &["--secret", PLAIN]);
    deployment.publish(&["error.occurred", "--id", "evt-2", "--traceparent", TRACE]);
    let requests = receiver.wait_for(3, SOON).await;
    let all = |name: &str| -> Vec<String> { requests.iter().map(|r| header(r, name)).collect() };
    let distinct = |name: &str| all(name).into_iter().collect::<BTreeSet<_>>();

    assert_eq!(all("x-prism-attempt"), ["1", "2", "3"]);
    assert_eq!(distinct("webhook-id"), ["evt-2".to_owned()].into());
    assert_eq!(distinct("x-prism-delivery").len(), 1);
    assert_eq!(distinct("x-prism-event").len(), 1);
    assert_eq!(distinct("x-prism-signature").len(), 1);
    let times: Vec<i64> = all("webhook-timestamp")
        .iter()
        .map(|time| time.parse().expect("a number"))
        .collect();
    assert!(times[0] < times[1] && times[1] < times[2], "{times:?}");
    assert_recent(&requests[2]);
    assert_eq!(
        distinct("webhook-signature").len(),
        3,
        "each signs its own time"
    );
    for request in &requests {
        assert_eq!(
            header(request, "webhook-signature"),
            standard_signatures(request, &[PLAIN])
        );
        assert_eq!(header(request, "traceparent")[..36], TRACE[..36]);
    }
    assert_eq!(
        distinct("traceparent").len(),
        3,
        "each is a span of its own"
    );
}

#[test]
fn headers_that_belong_to_the_delivery_or_the_connection_are_refused_at_creation() {
    let deployment = Deployment::new("reserved-headers", &[]);
    for name in [
        "Host",
        "Connection",
        "Transfer-Encoding",
        "Content-Type",
        "Content-Length",
        "User-Agent",
        "X-Prism-Signature",
        "X-Prism-Anything",
        "Webhook-Id",
        "traceparent",
    ] {
        let header = format!("{name}: hunter2");
        let said = deployment.refused(
            &[
                "webhooks",
                "create",
                "--name",
                "w",
                "--url",
                "http://example.com",
                "--header",
                &header,
            ],
            1,
        );
        assert!(
            said.contains(&format!(
                "the header {name:?} is set by the delivery itself"
            )),
            "{said}"
        );
        assert!(!said.contains("hunter2"), "{said}");
    }
    assert_eq!(
        deployment.text(&["webhooks", "list"]).lines().count(),
        1,
        "none was stored"
    );
}
