//! Clients that take their time, at a real port with limits that are short.

use std::time::Duration;

use axum::http::StatusCode;
use axum::response::IntoResponse as _;
use axum::routing::{get, post};
use axum::{Router, middleware};
use futures::{StreamExt as _, stream};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use super::*;
use crate::web::port::{drain_body, whole_body};

/// How long anything may take that is to happen at once, on a machine that is busy.
const SOON: Duration = Duration::from_secs(20);

/// A limit that a test waits for.
const SHORT: Duration = Duration::from_millis(100);

const GET: &str = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";

struct Served {
    address: SocketAddr,
    stop: CancellationToken,
    task: JoinHandle<()>,
}

/// A limit that no test reaches.
fn patient() -> PortLimits {
    PortLimits {
        idle: SOON * 10,
        head: SOON * 10,
        body: SOON * 10,
        taking: SOON * 10,
        ..PortLimits::usual(64)
    }
}

async fn read_whole(sent: Body) -> axum::response::Response {
    match whole_body::read(sent, 1 << 20).await {
        Ok(read) => format!("{} bytes", read.len()).into_response(),
        Err(error) => (error.status(), error.to_string()).into_response(),
    }
}

async fn serve(limits: PortLimits) -> Served {
    let ticks = || {
        let ticks = stream::unfold((), async |()| {
            tokio::time::sleep(SHORT / 4).await;
            Some((Ok::<_, Infallible>("tick\n"), ()))
        });
        Body::from_stream(ticks.boxed())
    };
    let router = Router::new()
        .route("/", get(async || "hello"))
        .route("/read", post(read_whole))
        .route("/refuse", post(async || StatusCode::FORBIDDEN))
        .route("/ticks", get(async move || ticks()))
        .route("/large", get(async || vec![b'x'; 64 << 20]))
        .layer(middleware::from_fn(drain_body::read));
    let address = SocketAddr::from(([127, 0, 0, 1], 0));
    let listener = Listener::bind(address, &[], limits).await.unwrap();
    let (address, stop) = (listener.address(), CancellationToken::new());
    let task = tokio::spawn(listener.serve_with(router, stop.clone()));
    Served {
        address,
        stop,
        task,
    }
}

impl Served {
    async fn connect(&self) -> TcpStream {
        TcpStream::connect(self.address).await.unwrap()
    }

    async fn send(&self, text: &str) -> TcpStream {
        let mut stream = self.connect().await;
        stream.write_all(text.as_bytes()).await.unwrap();
        stream
    }

    async fn serves_others(&self) {
        let mut other = self.send(GET).await;
        assert!(until(&mut other, "hello").await.contains("200 OK"));
    }
}

/// What comes until the other side ends the connection.
async fn to_end(stream: &mut TcpStream) -> String {
    let mut text = Vec::new();
    // A reset is an end too.
    let _ = timeout(SOON, stream.read_to_end(&mut text))
        .await
        .expect("it ends");
    String::from_utf8(text).unwrap()
}

/// What comes up to and with `part`.
async fn until(stream: &mut TcpStream, part: &str) -> String {
    let mut text = String::new();
    let mut buffer = [0; 1024];
    while !text.contains(part) {
        let read = timeout(SOON, stream.read(&mut buffer)).await;
        let read = read
            .unwrap_or_else(|_| panic!("no {part:?}: {text}"))
            .unwrap();
        assert!(read > 0, "ended before {part:?}: {text}");
        text += std::str::from_utf8(&buffer[..read]).unwrap();
    }
    text
}

/// Sends a byte again and again until the other side has had enough, and gives what it said.
async fn drip(stream: &mut TcpStream) -> String {
    let (mut read, mut write) = stream.split();
    let mut text = Vec::new();
    let dripping = async {
        loop {
            tokio::time::sleep(SHORT / 10).await;
            if write.write_all(b"x").await.is_err() {
                std::future::pending::<()>().await;
            }
        }
    };
    tokio::select! {
        ended = timeout(SOON, read.read_to_end(&mut text)) => {
            let _ = ended.expect("it ends");
        }
        () = dripping => {}
    }
    String::from_utf8(text).unwrap()
}

#[tokio::test]
async fn a_head_that_drips_is_cut_off_while_others_are_served() {
    let limits = PortLimits {
        head: SHORT,
        ..patient()
    };
    let served = serve(limits).await;
    let mut slow = served.send("GET / HTTP/1.1\r\nX-Slow: ").await;
    served.serves_others().await;
    assert_eq!(drip(&mut slow).await, "");
    served.serves_others().await;
}

#[tokio::test]
async fn a_body_that_drips_is_answered_with_408_while_others_are_served() {
    let limits = PortLimits {
        body: SHORT,
        ..patient()
    };
    let served = serve(limits).await;
    for length in [
        "Content-Length: 1000",
        "Transfer-Encoding: chunked\r\n\r\n3e8",
    ] {
        let head = format!("POST /read HTTP/1.1\r\nHost: a\r\n{length}\r\n\r\n");
        let mut slow = served.send(&head).await;
        served.serves_others().await;
        let said = drip(&mut slow).await;
        assert!(said.starts_with("HTTP/1.1 408 "), "{length}: {said}");
        assert!(said.contains("connection: close"), "{said}");
        assert!(said.contains("too slowly"), "{said}");
    }
}

#[tokio::test]
async fn a_large_body_may_take_longer_as_long_as_it_comes() {
    let limits = PortLimits {
        body: SHORT,
        // A byte earns a second.
        body_rate: 1,
        ..patient()
    };
    let served = serve(limits).await;
    let head = "POST /read HTTP/1.1\r\nHost: a\r\nContent-Length: 30\r\n\r\n";
    let mut slow = served.send(head).await;
    for _ in 0..30 {
        slow.write_all(b"x").await.unwrap();
        tokio::time::sleep(SHORT / 10).await;
    }
    let said = until(&mut slow, "30 bytes").await;
    assert!(said.starts_with("HTTP/1.1 200 "), "{said}");
}

#[tokio::test]
async fn a_connection_without_a_request_ends_new_or_used() {
    let limits = PortLimits {
        idle: SHORT,
        ..patient()
    };
    let served = serve(limits).await;
    let mut fresh = served.connect().await;
    let mut used = served.send(GET).await;
    until(&mut used, "hello").await;
    assert_eq!(to_end(&mut fresh).await, "");
    assert_eq!(to_end(&mut used).await, "");
}

#[tokio::test]
async fn an_answer_that_goes_on_outlives_every_limit() {
    let limits = PortLimits {
        idle: SHORT,
        head: SHORT,
        body: SHORT,
        taking: SHORT,
        ..patient()
    };
    let served = serve(limits).await;
    let mut live = served.send("GET /ticks HTTP/1.1\r\nHost: a\r\n\r\n").await;
    let mut idle = served.connect().await;
    assert_eq!(to_end(&mut idle).await, "");
    for _ in 0..8 {
        until(&mut live, "tick").await;
    }
}

#[tokio::test]
async fn who_takes_none_of_an_answer_is_cut_off() {
    let limits = PortLimits {
        taking: SHORT,
        ..patient()
    };
    let served = serve(limits).await;
    let mut stuck = served.send("GET /large HTTP/1.1\r\nHost: a\r\n\r\n").await;
    // The connection ends on our side while the client takes nothing.
    let mut buffer = [0; 1];
    let ended = async {
        loop {
            match stuck.peek(&mut buffer).await {
                Ok(_) if stuck.take_error().unwrap().is_none() => {}
                _ => return,
            }
            // Writing tells of a connection that was closed with bytes on the way.
            if stuck.write_all(b"\r\n").await.is_err() {
                return;
            }
            tokio::time::sleep(SHORT / 4).await;
        }
    };
    timeout(SOON, ended).await.expect("it ends");
    served.serves_others().await;
}

#[tokio::test]
async fn a_head_that_is_too_large_is_refused() {
    let served = serve(patient()).await;
    let filler = "x".repeat(PortLimits::HEAD);
    let head = format!("GET / HTTP/1.1\r\nHost: a\r\nX-Large: {filler}\r\n\r\n");
    let mut large = served.send(&head).await;
    let said = to_end(&mut large).await;
    assert!(said.starts_with("HTTP/1.1 431 "), "{said}");
}

#[tokio::test]
async fn a_body_that_says_it_is_too_large_is_refused_before_it_comes() {
    let served = serve(patient()).await;
    let head = "POST /read HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\n\
                Content-Length: 1048577\r\n\r\n";
    let mut large = served.send(head).await;
    let said = until(&mut large, "bytes").await;
    assert!(said.starts_with("HTTP/1.1 413 "), "{said}");
}

#[tokio::test]
async fn requests_may_be_sent_ahead_and_bodies_wait_to_be_asked_for() {
    let served = serve(patient()).await;
    let mut ahead = served.send(&GET.repeat(3)).await;
    let mut said = String::new();
    while said.matches("hello").count() < 3 {
        said += &until(&mut ahead, "hello").await;
    }
    let expecting = |path| {
        format!(
            "POST {path} HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n"
        )
    };
    let mut asked = served.send(&expecting("/read")).await;
    until(&mut asked, "100 Continue").await;
    asked.write_all(b"hi").await.unwrap();
    until(&mut asked, "2 bytes").await;
    let mut refused = served.send(&expecting("/refuse")).await;
    let said = until(&mut refused, "\r\n\r\n").await;
    assert!(said.starts_with("HTTP/1.1 403 "), "{said}");
}

#[tokio::test]
async fn a_stop_lets_what_is_under_way_end_and_takes_nothing_new() {
    let served = serve(patient()).await;
    let head = "POST /read HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\n";
    let mut underway = served.send(head).await;
    let mut idle = served.send(GET).await;
    until(&mut idle, "hello").await;
    let mut silent = served.connect().await;
    served.serves_others().await;
    served.stop.cancel();
    assert_eq!(to_end(&mut idle).await, "");
    assert_eq!(to_end(&mut silent).await, "");
    underway.write_all(b"hi").await.unwrap();
    assert!(to_end(&mut underway).await.contains("2 bytes"));
    timeout(SOON, served.task).await.expect("it ends").unwrap();
    assert!(TcpStream::connect(served.address).await.is_err());
}

#[tokio::test]
async fn a_place_is_found_among_many_that_keep_us_waiting() {
    let limits = PortLimits {
        connections: 8,
        unauthenticated: 4,
        ..patient()
    };
    let served = serve(limits).await;
    let mut slow = Vec::new();
    for number in 0..40 {
        let head = match number % 3 {
            0 => "",
            1 => "GET / HTTP/1.1\r\n",
            _ => "POST /read HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\n",
        };
        slow.push(served.send(head).await);
        served.serves_others().await;
    }
}
