//! One connection, both ways.

use super::patterns::{Heard, To};
use super::{Control, Line, Withheld, Words};
use std::sync::atomic::{AtomicU64, Ordering};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};

const BUFFER: usize = 64 * 1024;

/// Passes bytes on until either side closes; then the other learns of it,
/// since the half that wrote to it is dropped.
pub(super) async fn pass(client: TcpStream, target: &str, line: &Line, control: &Control) {
    let Ok(server) = TcpStream::connect(target).await else {
        return;
    };
    // Small writes go on at once, as they would without us.
    if client
        .set_nodelay(true)
        .and(server.set_nodelay(true))
        .is_err()
    {
        return;
    }
    let (from_client, to_client) = client.into_split();
    let (from_server, to_server) = server.into_split();
    let asked = Asked::default();
    tokio::join!(
        ask(from_client, to_server, line, control, &asked),
        answer(from_server, to_client, control, &asked),
    );
}

/// The number of the request that this client made last of those whose
/// answers are withheld.
#[derive(Default)]
struct Asked(AtomicU64);

impl Asked {
    fn note(&self, heard: &Heard, withheld: &Withheld) {
        if let Words::AnswersTo(request, number) = &*withheld.words.borrow()
            && heard.occurrences(request) > 0
        {
            self.0.store(*number, Ordering::SeqCst);
        }
    }

    fn is_withheld(&self, words: &Words) -> bool {
        match words {
            Words::None => false,
            Words::All => true,
            Words::AnswersTo(_, number) => self.0.load(Ordering::SeqCst) == *number,
        }
    }
}

/// What the client says counts as it comes, swallowed or not.
async fn ask(
    mut from: OwnedReadHalf,
    mut to: OwnedWriteHalf,
    line: &Line,
    control: &Control,
    asked: &Asked,
) {
    let mut heard = Heard::default();
    let mut buffer = vec![0; BUFFER];
    while let Ok(read @ 1..) = from.read(&mut buffer).await {
        let said = &buffer[..read];
        heard.hear(said);
        control.tallies.count(To::Server, &heard);
        if line.swallowing.load(Ordering::SeqCst) {
            continue;
        }
        asked.note(&heard, &control.withheld);
        if to.write_all(said).await.is_err() {
            return;
        }
    }
}

/// What the server says counts once it has been passed on.
async fn answer(mut from: OwnedReadHalf, mut to: OwnedWriteHalf, control: &Control, asked: &Asked) {
    let mut words = control.withheld.words.subscribe();
    let mut heard = Heard::default();
    let mut buffer = vec![0; BUFFER];
    while let Ok(read @ 1..) = from.read(&mut buffer).await {
        if asked.is_withheld(&words.borrow()) {
            control.withheld.any.send_replace(true);
        }
        if words
            .wait_for(|words| !asked.is_withheld(words))
            .await
            .is_err()
            || to.write_all(&buffer[..read]).await.is_err()
        {
            return;
        }
        heard.hear(&buffer[..read]);
        control.tallies.count(To::Client, &heard);
    }
}
