//! Answers that no server should write, and some do: what curl or a browser takes for a success is
//! one. Each was put to curl 7.88.

use super::raw::Raw;
use super::{answered, patient, send};

async fn is_taken(answer: impl AsRef<[u8]>) {
    let answer = answer.as_ref();
    let start = String::from_utf8_lossy(&answer[..answer.len().min(100)]).into_owned();
    let raw = Raw::closing_after(answer).await;
    let response = answered(send(patient(), &raw.url()).await);
    assert!((200..300).contains(&response.status), "{start:?}");
    assert_eq!(response.broken, None, "{start:?}");
}

#[tokio::test]
async fn a_success_is_one_however_its_status_line_is_written() {
    for line in [
        &b"HTTP/1.1 200"[..],
        b"HTTP/1.1 200 ",
        b"HTTP/1.0 200",
        b"HTTP/1.1 200 Caf\xe9",
        b"HTTP/1.1 299 Fine \xf0\x9f\xa6\x80",
    ] {
        is_taken([line, b"\r\ncontent-length: 2\r\n\r\nok"].concat()).await;
        is_taken([line, b"\ncontent-length: 2\n\nok"].concat()).await;
    }
    is_taken([b"HTTP/1.1 200 ", &[b'x'; 5000][..], b"\r\n\r\n"].concat()).await;
}

#[tokio::test]
async fn a_success_is_one_though_its_headers_are_written_oddly() {
    let (long, many) = (vec![b'x'; 100_000], b"set-cookie: a=b\r\n".repeat(120));
    for header in [
        &b"x-folded: one\r\n  two\r\n"[..],
        b"x-folded: one\r\n\ttwo\r\n",
        b"content-type: text/\r\n plain\r\n",
        b"x-spaced : value\r\n",
        b"x-spaced\t: value\r\n",
        b"x-latin: caf\xe9\r\n",
        b"x-escape: \x1b[31m\x01\x7f\r\n",
        b": nameless\r\n",
        b"x(odd)name: value\r\n",
        b"x odd name: value\r\n",
        b"x-caf\xc3\xa9: value\r\n",
        b"x-empty:\r\n",
        b"no colon at all\r\n",
        b"content-length: 2\r\n",
        b"content-length: 2, 2\r\n",
        b"transfer-encoding: identity\r\n",
        b"content-encoding: gzip\r\n",
        b"upgrade: h2,h2c\r\nconnection: upgrade\r\n",
        &[b"x-long: ", &long[..], b"\r\n"].concat(),
        &many,
    ] {
        let (start, end) = (b"HTTP/1.1 200 OK\r\n", b"content-length: 2\r\n\r\nok");
        is_taken([start, header, end].concat()).await;
    }
}

#[tokio::test]
async fn a_success_is_one_whatever_comes_before_its_head() {
    for interim in [
        "HTTP/1.1 100 Continue\r\n\r\n",
        "HTTP/1.0 100 Continue\r\n\r\n",
        "HTTP/1.1 102 Processing\r\ncontent-length: 0\r\n\r\n",
        "HTTP/1.1 103 Early Hints\r\nlink: <a>;\r\n rel=preload\r\n\r\n",
        "\r\n",
    ] {
        is_taken(format!(
            "{interim}HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"
        ))
        .await;
    }
}

#[tokio::test]
async fn a_success_is_one_however_its_body_is_framed() {
    for body in [
        "\r\nuntil the end",
        "content-length: 002\r\n\r\nok",
        "content-length: 1\r\n\r\nok",
        "content-length: 100\r\ntransfer-encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n",
        "transfer-encoding: chunked, chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n",
        "transfer-encoding: identity, chunked,\r\n\r\n2\r\nok\r\n0\r\n\r\n",
        "transfer-encoding: Chunked\r\n\r\n0002  \r\nok\r\n000\r\n\r\n",
        "transfer-encoding: chunked\r\n\r\n2;a=\"b\"\r\nok\r\n0\r\nx-trailer: y\r\n\r\nmore",
    ] {
        is_taken(format!("HTTP/1.1 200 OK\r\n{body}")).await;
    }
    is_taken("HTTP/1.1 204 No Content\r\ncontent-length: 2\r\n\r\nok").await;
    is_taken("HTTP/1.1 204 No Content\r\n\r\nmore").await;
}
