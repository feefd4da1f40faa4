//! Receivers that speak bytes: what a library would never send, these do.

use std::future::Future;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

/// A receiver that runs until it is dropped.
pub struct Raw {
    pub address: SocketAddr,
    connections: Arc<AtomicUsize>,
    _task: JoinSet<()>,
}

impl Raw {
    /// Accepts connections and lets `talk` have each.
    pub async fn serve<F, T>(talk: F) -> Self
    where
        F: Fn(TcpStream) -> T + Send + 'static,
        T: Future<Output = ()> + Send + 'static,
    {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let connections = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&connections);
        let mut task = JoinSet::new();
        task.spawn(async move {
            let mut talks = JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                count.fetch_add(1, Ordering::SeqCst);
                talks.spawn(talk(stream));
            }
        });
        Self {
            address,
            connections,
            _task: task,
        }
    }

    /// Answers one request on each connection with `answer`, and closes it.
    pub async fn closing_after(answer: impl Into<Vec<u8>>) -> Self {
        let answer: Arc<[u8]> = answer.into().into();
        Self::serve(move |mut stream| {
            let answer = Arc::clone(&answer);
            async move {
                read_request(&mut stream).await.unwrap();
                stream.write_all(&answer).await.unwrap();
            }
        })
        .await
    }

    /// Answers every request with `answer`, on kept-alive connections.
    pub async fn answering(answer: impl Into<Vec<u8>>) -> Self {
        let answer: Arc<[u8]> = answer.into().into();
        Self::serve(move |mut stream| {
            let answer = Arc::clone(&answer);
            async move {
                while read_request(&mut stream).await.is_some() {
                    if stream.write_all(&answer).await.is_err() {
                        break;
                    }
                }
            }
        })
        .await
    }

    pub fn url(&self) -> String {
        format!("http://{}/hook", self.address)
    }

    pub fn connections(&self) -> usize {
        self.connections.load(Ordering::SeqCst)
    }
}

/// The next request, head and body; nothing once the connection is closed.
pub async fn read_request(stream: &mut TcpStream) -> Option<String> {
    let mut bytes = Vec::new();
    let head = loop {
        if let Some(end) = bytes.windows(4).position(|four| four == b"\r\n\r\n") {
            break end + 4;
        }
        if stream.read_buf(&mut bytes).await.unwrap_or(0) == 0 {
            return None;
        }
    };
    let length = String::from_utf8_lossy(&bytes[..head])
        .to_lowercase()
        .split_once("content-length: ")
        .map_or(0, |(_, rest)| rest.lines().next().unwrap().parse().unwrap());
    while bytes.len() < head + length {
        if stream.read_buf(&mut bytes).await.unwrap_or(0) == 0 {
            return None;
        }
    }
    Some(String::from_utf8(bytes).unwrap())
}

/// Writes `piece` over and over until the other side has had enough; how many bytes that took.
pub async fn write_for_ever(stream: &mut TcpStream, piece: &[u8]) -> u64 {
    let mut written = 0;
    while stream.write_all(piece).await.is_ok() {
        written += piece.len() as u64;
    }
    written
}

/// Returns once the other side has closed the connection.
pub async fn closed(stream: &mut TcpStream) {
    let mut rest = Vec::new();
    while matches!(stream.read_buf(&mut rest).await, Ok(1..)) {}
}
