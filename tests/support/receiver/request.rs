//! One request, as it came over the wire.

use bytes::{Buf, Bytes, BytesMut};
use std::io::{Error, ErrorKind, Result};
use std::net::SocketAddr;
use std::time::Instant;
use tokio::io::{AsyncRead, AsyncReadExt};

/// More headers than any client here sends.
const MAX_HEADERS: usize = 128;

/// A recorded request. The head is kept as it came and taken apart when asked
/// for, so that recording tens of thousands a second costs next to nothing.
#[derive(Debug)]
pub struct Received {
    head: Bytes,
    /// The body, byte for byte.
    pub body: Bytes,
    /// When its last byte was read.
    pub arrived: Instant,
    /// The connection it came on, numbered from 1.
    pub connection: u64,
    /// The client's address and port.
    pub peer: SocketAddr,
}

impl Received {
    /// `POST`, for instance.
    pub fn method(&self) -> String {
        parse(&self.head, |head| head.method.map(str::to_owned)).unwrap_or_default()
    }

    /// Path and query, as the request line has them.
    pub fn path(&self) -> String {
        parse(&self.head, |head| head.path.map(str::to_owned)).unwrap_or_default()
    }

    /// Every header in the order of arrival, doubles included, names as written.
    pub fn headers(&self) -> Vec<(String, String)> {
        let text = |value: &[u8]| String::from_utf8_lossy(value).into_owned();
        parse(&self.head, |head| {
            head.headers
                .iter()
                .map(|header| (header.name.to_owned(), text(header.value)))
                .collect()
        })
    }

    /// The first value of a header, whatever the case of its name.
    pub fn header(&self, name: &str) -> Option<String> {
        parse(&self.head, |head| {
            let header = head
                .headers
                .iter()
                .find(|header| header.name.eq_ignore_ascii_case(name))?;
            Some(String::from_utf8_lossy(header.value).into_owned())
        })
    }

    /// The body as JSON. Panics with the body when it is none.
    pub fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body)
            .unwrap_or_else(|error| panic!("{error} in the body {:?}", self.body))
    }

    /// Reads the next request from a connection, `None` when the client has
    /// closed it. `buffer` holds what came beyond it.
    pub(super) async fn read(
        stream: &mut (impl AsyncRead + Unpin),
        buffer: &mut BytesMut,
        connection: u64,
        peer: SocketAddr,
    ) -> Result<Option<Self>> {
        let Some((head_length, body_length)) = read_head(stream, buffer).await? else {
            return Ok(None);
        };
        while buffer.len() < head_length + body_length {
            if stream.read_buf(buffer).await? == 0 {
                return Err(ErrorKind::UnexpectedEof.into());
            }
        }
        // Copied, so that a request kept for the whole test holds its own bytes
        // and not the connection's buffer.
        let head = Bytes::copy_from_slice(&buffer[..head_length]);
        buffer.advance(head_length);
        let body = Bytes::copy_from_slice(&buffer[..body_length]);
        buffer.advance(body_length);
        Ok(Some(Self {
            head,
            body,
            arrived: Instant::now(),
            connection,
            peer,
        }))
    }
}

/// Reads until a whole head is in the buffer; gives its length and the body's.
async fn read_head(
    stream: &mut (impl AsyncRead + Unpin),
    buffer: &mut BytesMut,
) -> Result<Option<(usize, usize)>> {
    loop {
        let mut headers = [httparse::EMPTY_HEADER; MAX_HEADERS];
        let mut head = httparse::Request::new(&mut headers);
        let status = head
            .parse(buffer)
            .map_err(|error| Error::new(ErrorKind::InvalidData, error))?;
        if let httparse::Status::Complete(length) = status {
            return Ok(Some((length, body_length(&head)?)));
        }
        if stream.read_buf(buffer).await? == 0 {
            return match buffer.is_empty() {
                true => Ok(None),
                false => Err(ErrorKind::UnexpectedEof.into()),
            };
        }
    }
}

/// The declared length. A chunked request is an error: a webhook has a length.
fn body_length(head: &httparse::Request<'_, '_>) -> Result<usize> {
    let invalid = |what: &str| Error::new(ErrorKind::InvalidData, what.to_owned());
    let mut length = 0;
    for header in head.headers.iter() {
        if header.name.eq_ignore_ascii_case("transfer-encoding") {
            return Err(invalid("a request without a length"));
        }
        if header.name.eq_ignore_ascii_case("content-length") {
            length = std::str::from_utf8(header.value)
                .ok()
                .and_then(|value| value.parse().ok())
                .ok_or_else(|| invalid("a length that is no number"))?;
        }
    }
    Ok(length)
}

fn parse<T>(head: &[u8], take: impl FnOnce(&httparse::Request<'_, '_>) -> T) -> T {
    let mut headers = [httparse::EMPTY_HEADER; MAX_HEADERS];
    let mut request = httparse::Request::new(&mut headers);
    request.parse(head).expect("it was parsed when it came");
    take(&request)
}
