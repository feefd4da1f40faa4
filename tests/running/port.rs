//! Clients that hurt the port: they take no memory and no place from the others.

use std::fs;
use std::net::SocketAddr;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::modes;
use super::site::{Running, SOON};

const TOKEN: &str = "0123456789abcdef0123456789abcdef";

/// So much more memory may be taken by clients without a token, all of them together.
const ALLOWED: usize = 30 << 20;

impl Running {
    async fn connect(&self, sent: &str) -> TcpStream {
        let port: SocketAddr = self.base.trim_start_matches("http://").parse().unwrap();
        let mut stream = TcpStream::connect(port).await.unwrap();
        // It may be refused while it still sends.
        let _ = timeout(SOON, stream.write_all(sent.as_bytes())).await;
        stream
    }

    fn memory(&self) -> usize {
        let status = fs::read_to_string(format!("/proc/{}/status", self.process.id())).unwrap();
        let line = status
            .lines()
            .find(|line| line.starts_with("VmRSS"))
            .unwrap();
        let kib = line.split_whitespace().nth(1).unwrap();
        kib.parse::<usize>().unwrap() * 1024
    }

    /// Somebody with the token is served.
    async fn serves_the_honest(&self) {
        let asked = self.client.get(self.at("/api/v1/webhooks"));
        let answer = timeout(SOON, asked.bearer_auth(TOKEN).send()).await;
        assert_eq!(answer.expect("an answer").unwrap().status(), 200);
    }
}

/// A request with so large a body, which says so beforehand or does not.
fn posted(path: &str, size: usize, chunked: bool) -> String {
    let framing = match chunked {
        true => format!("Transfer-Encoding: chunked\r\n\r\n{size:x}\r\n"),
        false => format!("Content-Length: {size}\r\n\r\n"),
    };
    // The last tenth never comes.
    let body = "x".repeat(size - size / 10);
    format!(
        "POST {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nSec-Fetch-Site: same-origin\r\n\
         Content-Type: application/x-www-form-urlencoded\r\n{framing}{body}"
    )
}

#[tokio::test]
async fn large_bodies_without_a_token_take_no_memory() {
    let settings = [("PRISM_API_TOKEN", TOKEN)];
    let (_kept, _site, running) = modes::embedded(&settings).await;
    running.serves_the_honest().await;
    let before = running.memory();
    let mut open = Vec::new();
    for (path, chunked, status) in [
        ("/sign-in", false, "413"),
        ("/sign-in", true, "413"),
        ("/webhooks", true, "303"),
        ("/api/v1/events", false, "401"),
    ] {
        let request = posted(path, 2_000_000, chunked);
        for number in 0..50 {
            let mut stream = running.connect(&request).await;
            if number == 0 {
                let mut said = [0; 12];
                let read = timeout(SOON, stream.read_exact(&mut said)).await;
                read.expect("an answer").unwrap();
                assert_eq!(std::str::from_utf8(&said[9..]), Ok(status), "{path}");
            }
            open.push(stream);
        }
        running.serves_the_honest().await;
    }
    let taken = running.memory().saturating_sub(before);
    assert!(taken < ALLOWED, "{taken} bytes for {}", open.len());
    running.stop().await;
}

#[tokio::test]
async fn two_thousand_idle_connections_take_little_memory_and_no_place() {
    let settings = [("PRISM_API_TOKEN", TOKEN)];
    let (_kept, _site, running) = modes::embedded(&settings).await;
    running.serves_the_honest().await;
    let before = running.memory();
    let mut open = Vec::new();
    for number in 0..2000 {
        let sent = match number % 4 {
            0 => "GET /livez HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n",
            1 => "GET /livez HTTP/1.1\r\nHost: ",
            _ => "",
        };
        open.push(running.connect(sent).await);
    }
    running.serves_the_honest().await;
    let taken = running.memory().saturating_sub(before);
    assert!(taken < ALLOWED, "{taken} bytes for {}", open.len());
    running.stop().await;
}

#[tokio::test]
async fn a_client_has_as_long_as_the_settings_say() {
    let settings = [
        ("PRISM_API_TOKEN", TOKEN),
        ("PRISM_API_IDLE_TIMEOUT", "1s"),
        ("PRISM_API_HEAD_TIMEOUT", "1s"),
        ("PRISM_API_BODY_TIMEOUT", "1s"),
    ];
    let (_kept, _site, running) = modes::embedded(&settings).await;
    let live = running.client.get(running.at("/api/v1/attempts/stream"));
    let mut live = live.bearer_auth(TOKEN).send().await.unwrap();
    let event = format!(
        "POST /api/v1/events HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer {TOKEN}\r\n\
         Content-Type: application/json\r\nContent-Length: 100\r\n\r\n{{"
    );
    for (sent, said) in [
        ("", ""),
        ("GET / HTTP/1.1\r\n", ""),
        (&*event, "HTTP/1.1 408 "),
        (&*posted("/sign-in", 100, false), "HTTP/1.1 408 "),
    ] {
        let mut stream = running.connect(sent).await;
        let mut answer = Vec::new();
        let ended = timeout(SOON, stream.read_to_end(&mut answer)).await;
        ended.expect("it ends").unwrap();
        let answer = String::from_utf8(answer).unwrap();
        assert!(answer.starts_with(said), "{sent}: {answer}");
        assert_eq!(answer.is_empty(), said.is_empty(), "{sent}: {answer}");
    }
    // A live stream outlives them all.
    let chunk = futures::FutureExt::now_or_never(live.chunk());
    assert!(!matches!(chunk, Some(Ok(None) | Err(_))), "{chunk:?}");
    running.serves_the_honest().await;
    running.stop().await;
}
