//! What a receiver answers, and every way it may misbehave.

use super::request::Received;
use bytes::Bytes;
use std::fmt::Write;
use std::time::Duration;
use tokio::sync::watch;

/// An answer to one request: 200 without a body unless said otherwise.
#[derive(Debug, Clone)]
pub struct Answer {
    status: u16,
    headers: Vec<(String, String)>,
    pub(super) body: Bytes,
    pub(super) delay: Duration,
    pub(super) gate: Option<Gate>,
    pub(super) manner: Manner,
}

/// How the answer goes over the wire.
#[derive(Debug, Clone)]
pub(super) enum Manner {
    /// As it should; the connection stays open.
    Whole,
    /// Nothing until the client gives up.
    Hang,
    /// The body one byte at a time, as long as the client stays.
    Drip { every: Duration },
    /// A length that is never reached: the body, then silence.
    Declare { length: u64 },
    /// Header after header, as long as the client stays.
    EndlessHeaders,
    /// Half the body, then the end of the connection.
    CloseMidBody,
    /// The end of the connection instead of an answer.
    Close,
}

impl Answer {
    /// 200 without a body.
    pub fn ok() -> Self {
        Self::status(200)
    }

    /// This status without a body.
    pub fn status(status: u16) -> Self {
        Self {
            status,
            headers: Vec::new(),
            body: Bytes::new(),
            delay: Duration::ZERO,
            gate: None,
            manner: Manner::Whole,
        }
    }

    /// Never an answer; the connection stays open until the client gives up.
    pub fn hang() -> Self {
        Self::ok().manner(Manner::Hang)
    }

    /// 200, then one byte of the body a second for ever.
    pub fn drip() -> Self {
        Self::drip_every(Duration::from_secs(1))
    }

    /// 200, then one byte of the body at each interval for ever.
    pub fn drip_every(every: Duration) -> Self {
        Self::ok().manner(Manner::Drip { every })
    }

    /// 200 with a `Content-Length` of 10 GB, of which a kilobyte comes.
    pub fn declares_ten_gigabytes() -> Self {
        let length = 10_000_000_000;
        Self::ok()
            .body(vec![b'x'; 1024])
            .manner(Manner::Declare { length })
    }

    /// 200, then headers for ever.
    pub fn endless_headers() -> Self {
        Self::ok().manner(Manner::EndlessHeaders)
    }

    /// 200 with a length, and the connection closed when half the body is sent.
    pub fn closes_mid_body() -> Self {
        Self::ok()
            .body(vec![b'x'; 1024])
            .manner(Manner::CloseMidBody)
    }

    /// The connection is closed without an answer.
    pub fn closes() -> Self {
        Self::ok().manner(Manner::Close)
    }

    /// 302 to the path that was asked for.
    pub fn redirect_to_itself(request: &Received) -> Self {
        Self::status(302).header("location", &request.path())
    }

    /// Adds a header.
    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Sets the body.
    pub fn body(mut self, body: impl Into<Bytes>) -> Self {
        self.body = body.into();
        self
    }

    /// Waits this long before the first byte of the answer.
    pub fn delay(mut self, delay: Duration) -> Self {
        self.delay = delay;
        self
    }

    /// Waits until the gate is open before the first byte of the answer.
    pub fn when(mut self, gate: &Gate) -> Self {
        self.gate = Some(gate.clone());
        self
    }

    fn manner(mut self, manner: Manner) -> Self {
        self.manner = manner;
        self
    }

    /// Status line and headers, with the empty line that ends them unless they
    /// never end.
    pub(super) fn head(&self) -> String {
        let mut head = format!("HTTP/1.1 {} Scripted\r\n", self.status);
        for (name, value) in &self.headers {
            write!(head, "{name}: {value}\r\n").expect("writing to memory");
        }
        let length = match self.manner {
            Manner::EndlessHeaders => return head,
            Manner::Drip { .. } => u64::MAX >> 1,
            Manner::Declare { length } => length,
            _ => self.body.len() as u64,
        };
        // These two have no body, and no length that says so.
        if !matches!(self.status, 204 | 304) {
            write!(head, "content-length: {length}\r\n").expect("writing to memory");
        }
        head.push_str("\r\n");
        head
    }
}

/// Holds answers back until the test lets them go.
#[derive(Debug, Clone)]
pub struct Gate(watch::Sender<bool>);

impl Gate {
    /// A gate that is closed.
    pub fn closed() -> Self {
        Self(watch::Sender::new(false))
    }

    /// Lets every answer through, those that wait and those to come.
    pub fn open(&self) {
        self.0.send_replace(true);
    }

    pub(super) async fn passed(&self) {
        let mut open = self.0.subscribe();
        // The sender is ours: it cannot go away meanwhile.
        let _open = open.wait_for(|open| *open).await;
    }
}
