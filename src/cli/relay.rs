//! Commands in embedded mode while another process has the data.
//!
//! One process at a time may open the directory, and `run` keeps it open. So a command hands its
//! command line to that process, over a socket in the directory, and lends it its streams. There is
//! one implementation of every command, and it always runs where the data is.
//!
//! The directory is private to its user, and so is the socket. A frame is a tag and its bytes.

use std::io::{self, Write};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use bytes::{Bytes, BytesMut};
use futures::stream::{SplitSink, SplitStream};
use futures::{SinkExt as _, StreamExt as _};
use serde::{Deserialize, Serialize};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::mpsc;
use tokio_util::codec::{Framed, LengthDelimitedCodec};
use tokio_util::sync::CancellationToken;

use super::console::{Console, Shows};
use super::failure::{ExitReason, Failure};
use super::operator;

/// The socket's name in the data directory.
const SOCKET: &str = "control.sock";

/// How much of the input is sent at a time.
const CHUNK: usize = 64 * 1024;

/// How much input the command may leave unread before its sender has to wait.
const UNREAD: usize = 256 * 1024;

/// The kind of a frame: its first byte.
mod tag {
    pub const ASK: u8 = b'a';
    pub const INPUT: u8 = b'i';
    pub const OUT: u8 = b'o';
    pub const ERR: u8 = b'e';
    pub const END: u8 = b'x';
}

/// A command, as it is handed over.
#[derive(Debug, Serialize, Deserialize)]
pub struct RelayRequest {
    /// The program's version: another one may understand the arguments differently.
    version: String,
    /// The command line, the program's name first.
    pub arguments: Vec<String>,
    /// What the asker's streams can show.
    pub shows: Shows,
    /// Who asks: nobody but the user of the directory can, so they are believed.
    pub user: String,
}

impl RelayRequest {
    fn is_of_this_version(&self) -> Result<(), Failure> {
        let own = env!("CARGO_PKG_VERSION");
        if self.version == own {
            return Ok(());
        }
        let message = format!(
            "the process that has the data is version {own}, and this is {}; use the same",
            self.version
        );
        Err(Failure::new(ExitReason::Subject, message))
    }
}

/// How a command ended: nothing, or the failure.
#[derive(Debug, Serialize, Deserialize)]
struct End(Option<(u8, String)>);

type Input = dyn AsyncRead + Send + Unpin;
type Output = dyn Write + Send;
type Frames = Framed<UnixStream, LengthDelimitedCodec>;

fn frame(tag: u8, bytes: &[u8]) -> Bytes {
    let mut frame = BytesMut::with_capacity(bytes.len() + 1);
    frame.extend_from_slice(&[tag]);
    frame.extend_from_slice(bytes);
    frame.freeze()
}

// ------------------------------------------------------------------------------------ the asker

/// Has the process that owns `directory` run this command line, with this console's streams.
pub async fn ask(
    directory: &Path,
    arguments: Vec<String>,
    console: &mut Console,
) -> Result<(), Failure> {
    let lost = |error: &dyn std::fmt::Display| {
        let directory = directory.display();
        let message = format!(
            "another process has {directory} open, and does not take commands ({error}); \
             `prism-webhooks run` does"
        );
        Failure::new(ExitReason::Unavailable, message)
    };
    let stream = UnixStream::connect(directory.join(SOCKET)).await;
    let mut frames = Frames::new(stream.map_err(|e| lost(&e))?, LengthDelimitedCodec::new());
    let ask = RelayRequest {
        version: env!("CARGO_PKG_VERSION").to_owned(),
        arguments,
        shows: console.shows,
        user: operator::user(),
    };
    let ask = serde_json::to_vec(&ask).map_err(io::Error::from)?;
    frames
        .send(frame(tag::ASK, &ask))
        .await
        .map_err(|e| lost(&e))?;
    let (mut sending, mut receiving) = frames.split();
    let (out, err, input) = (&mut console.out, &mut console.err, &mut console.input);
    tokio::select! {
        result = show(&mut receiving, out, err) => result,
        // Whoever runs it ends it then: it must not take what there was for the whole.
        error = feed(input, &mut sending) => {
            Err(Failure::new(ExitReason::Failed, format_args!("cannot read: {error}")))
        }
    }
}

/// Sends on what is read from the input, and then stands still; returns if it cannot be read.
async fn feed(input: &mut Input, sending: &mut SplitSink<Frames, Bytes>) -> io::Error {
    let mut buffer = vec![0; CHUNK];
    loop {
        let read = match input.read(&mut buffer).await {
            Ok(read) => read,
            Err(error) => return error,
        };
        // An empty one is the end of the input.
        let sent = sending.send(frame(tag::INPUT, &buffer[..read])).await;
        if read == 0 || sent.is_err() {
            return std::future::pending().await;
        }
    }
}

/// Shows what the command says, until it has ended.
async fn show(
    receiving: &mut SplitStream<Frames>,
    out: &mut Output,
    err: &mut Output,
) -> Result<(), Failure> {
    while let Some(Ok(mut bytes)) = receiving.next().await {
        let content = bytes.split_off(1.min(bytes.len()));
        match bytes.first() {
            Some(&tag::OUT) => {
                out.write_all(&content)?;
                out.flush()?;
            }
            Some(&tag::ERR) => err.write_all(&content)?,
            Some(&tag::END) => {
                let end = serde_json::from_slice(&content).map_err(io::Error::from)?;
                return match end {
                    End(None) => Ok(()),
                    End(Some((kind, message))) => {
                        Err(Failure::new(ExitReason::of_code(kind), message))
                    }
                };
            }
            _ => {}
        }
    }
    let message = "the process that ran the command ended before the command did";
    Err(Failure::new(ExitReason::Unavailable, message))
}

// ----------------------------------------------------------------------------------- the owner

/// Takes commands for the data in a directory.
pub struct Relay {
    listener: UnixListener,
    socket: PathBuf,
}

impl Relay {
    /// Opens the socket in `directory`, which this process has open.
    pub fn open(directory: &Path) -> io::Result<Self> {
        let socket = directory.join(SOCKET);
        // Left behind by a process that was killed: the directory is ours, so nobody listens there.
        match std::fs::remove_file(&socket) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let listener = UnixListener::bind(&socket)?;
        std::fs::set_permissions(&socket, std::fs::Permissions::from_mode(0o600))?;
        Ok(Self { listener, socket })
    }

    /// Runs the commands that come with `run`, each with a console of its own, until `stop`.
    pub async fn serve<R, F>(self, run: R, stop: CancellationToken)
    where
        R: Fn(RelayRequest, Console) -> F + Clone + Send + 'static,
        F: Future<Output = Result<(), Failure>> + Send + 'static,
    {
        loop {
            tokio::select! {
                () = stop.cancelled() => return,
                accepted = self.listener.accept() => {
                    let Ok((stream, _)) = accepted else { continue };
                    let frames = Frames::new(stream, LengthDelimitedCodec::new());
                    tokio::spawn(answer(frames, run.clone(), stop.clone()));
                }
            }
        }
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        // Whatever is left is removed by the next process.
        let _ = std::fs::remove_file(&self.socket);
    }
}

async fn answer<R, F>(mut frames: Frames, run: R, stop: CancellationToken)
where
    R: Fn(RelayRequest, Console) -> F,
    F: Future<Output = Result<(), Failure>>,
{
    let Some(Ok(first)) = frames.next().await else {
        return;
    };
    let ask = match first.split_first() {
        Some((&tag::ASK, content)) => serde_json::from_slice::<RelayRequest>(content).ok(),
        _ => None,
    };
    let Some(ask) = ask else { return };
    let (said, mut to_say) = mpsc::unbounded_channel();
    let (input, mut feed) = tokio::io::simplex(UNREAD);
    let console = Console {
        out: Box::new(Teller(tag::OUT, said.clone())),
        err: Box::new(Teller(tag::ERR, said.clone())),
        input: Box::new(input) as Box<dyn AsyncRead + Send + Unpin>,
        shows: ask.shows,
    };
    let (mut sending, mut receiving) = frames.split();
    let running = async move {
        ask.is_of_this_version()?;
        run(ask, console).await
    };
    let feeding = async {
        while let Some(Ok(mut bytes)) = receiving.next().await {
            let content = bytes.split_off(1.min(bytes.len()));
            if content.is_empty() {
                let _ = feed.shutdown().await;
            } else if feed.write_all(&content).await.is_err() {
                // The command reads no more; that the asker goes away must be noticed all the same.
            }
        }
    };
    // The streams are told to their end, and the end behind them.
    let ending = async move {
        let result = tokio::select! {
            result = running => result,
            () = stop.cancelled() => {
                let message = "the process that has the data is stopping";
                Err(Failure::new(ExitReason::Unavailable, message))
            }
        };
        let end = End(result.err().map(|failure| failure.into_parts()));
        let end = serde_json::to_vec(&end).unwrap_or_default();
        let _ = said.send(frame(tag::END, &end));
    };
    let telling = async {
        while let Some(said) = to_say.recv().await {
            if sending.send(said).await.is_err() {
                return;
            }
        }
    };
    tokio::select! {
        ((), ()) = async { tokio::join!(ending, telling) } => {}
        // The asker has gone, and with it the command.
        () = feeding => {}
    }
}

/// Sends what is written to it as frames.
struct Teller(u8, mpsc::UnboundedSender<Bytes>);

impl Write for Teller {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let sent = self.1.send(frame(self.0, bytes));
        sent.map_err(|_| io::Error::from(io::ErrorKind::BrokenPipe))?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
