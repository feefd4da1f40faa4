//! Serving one connection: read a request, ask the script, answer as told.

use super::answer::{Answer, Manner};
use super::record::Record;
use super::request::Received;
use bytes::BytesMut;
use std::future::Future;
use std::io::{Error, ErrorKind, Result};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::time::sleep;
use tokio_rustls::TlsAcceptor;

/// What the test answers to each request.
#[derive(Clone)]
pub struct Script(Arc<dyn Fn(&Received) -> Answer + Send + Sync>);

impl Script {
    pub fn new(script: impl Fn(&Received) -> Answer + Send + Sync + 'static) -> Self {
        Self(Arc::new(script))
    }
}

/// Accepts connections until the receiver is dropped.
pub async fn serve(
    listener: TcpListener,
    acceptor: Option<TlsAcceptor>,
    script: Script,
    record: Arc<Record>,
) {
    while let Ok((stream, peer)) = listener.accept().await {
        if stream.set_nodelay(true).is_err() {
            continue;
        }
        let number = record.connect();
        let (acceptor, script, record) = (acceptor.clone(), script.clone(), Arc::clone(&record));
        tokio::spawn(async move {
            // A client that leaves is no failure of the receiver: what a test
            // expects to arrive, it finds missing in the record.
            let _left = match acceptor {
                None => converse(stream, number, peer, &script, &record).await,
                Some(acceptor) => match acceptor.accept(stream).await {
                    Ok(stream) => converse(stream, number, peer, &script, &record).await,
                    Err(error) => Err(error),
                },
            };
        });
    }
}

async fn converse(
    mut stream: impl AsyncRead + AsyncWrite + Unpin,
    number: u64,
    peer: SocketAddr,
    script: &Script,
    record: &Record,
) -> Result<()> {
    let mut buffer = BytesMut::with_capacity(8 * 1024);
    while let Some(request) = Received::read(&mut stream, &mut buffer, number, peer).await? {
        let request = Arc::new(request);
        let open = record.arrive(Arc::clone(&request));
        let answer = (script.0)(&request);
        let goes_on = respond(&mut stream, &mut buffer, &answer).await?;
        drop(open);
        if !goes_on {
            // With TLS this says goodbye; half a body is still half a body.
            return stream.shutdown().await;
        }
    }
    Ok(())
}

/// Sends the answer; says whether the connection goes on.
async fn respond(
    stream: &mut (impl AsyncRead + AsyncWrite + Unpin),
    buffer: &mut BytesMut,
    answer: &Answer,
) -> Result<bool> {
    if !answer.delay.is_zero() {
        while_client_stays(stream, buffer, sleep(answer.delay)).await?;
    }
    if let Some(gate) = &answer.gate {
        while_client_stays(stream, buffer, gate.passed()).await?;
    }
    match answer.manner {
        Manner::Whole => {
            let mut message = answer.head().into_bytes();
            message.extend_from_slice(&answer.body);
            stream.write_all(&message).await?;
            stream.flush().await?;
            return Ok(true);
        }
        Manner::Hang => silence(stream, buffer).await?,
        Manner::Drip { every } => drip(stream, buffer, answer, every).await?,
        Manner::Declare { .. } => {
            stream.write_all(answer.head().as_bytes()).await?;
            stream.write_all(&answer.body).await?;
            stream.flush().await?;
            silence(stream, buffer).await?;
        }
        Manner::EndlessHeaders => endless_headers(stream, answer).await?,
        Manner::CloseMidBody => {
            stream.write_all(answer.head().as_bytes()).await?;
            stream
                .write_all(&answer.body[..answer.body.len() / 2])
                .await?;
            stream.flush().await?;
        }
        Manner::Close => {}
    }
    Ok(false)
}

async fn drip(
    stream: &mut (impl AsyncRead + AsyncWrite + Unpin),
    buffer: &mut BytesMut,
    answer: &Answer,
    every: Duration,
) -> Result<()> {
    stream.write_all(answer.head().as_bytes()).await?;
    loop {
        stream.write_all(b"x").await?;
        stream.flush().await?;
        while_client_stays(stream, buffer, sleep(every)).await?;
    }
}

async fn endless_headers(stream: &mut (impl AsyncWrite + Unpin), answer: &Answer) -> Result<()> {
    stream.write_all(answer.head().as_bytes()).await?;
    for number in 0_u64.. {
        let line = format!("x-endless-{number}: {number}\r\n");
        stream.write_all(line.as_bytes()).await?;
    }
    Ok(())
}

/// Says nothing until the client gives up, which is an error.
async fn silence(stream: &mut (impl AsyncRead + Unpin), buffer: &mut BytesMut) -> Result<()> {
    while_client_stays(stream, buffer, std::future::pending()).await
}

/// Waits for `event`, or for the client to give up, which is an error. What the
/// client sends meanwhile is kept for the next request.
async fn while_client_stays(
    stream: &mut (impl AsyncRead + Unpin),
    buffer: &mut BytesMut,
    event: impl Future<Output = ()>,
) -> Result<()> {
    tokio::pin!(event);
    loop {
        tokio::select! {
            () = &mut event => return Ok(()),
            read = stream.read_buf(buffer) => if read? == 0 {
                return Err(Error::new(ErrorKind::ConnectionAborted, "the client gave up"));
            },
        }
    }
}
