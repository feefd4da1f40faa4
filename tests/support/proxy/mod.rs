//! A TCP proxy in front of a server that others share: cutting, refusing,
//! stalling and freezing its connections looks, to one client, like the server
//! or the network going away. It knows nothing of what passes through it but
//! the bytes that a test names.

mod passing;
mod patterns;

pub use patterns::{Tally, To};

use self::patterns::{Pattern, Tallies};
use super::background::Background;
use std::net::{SocketAddr, TcpListener as StdListener};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use url::Url;

/// A proxy to one upstream. Dropping it closes everything.
pub struct Proxy {
    address: SocketAddr,
    upstream: Url,
    control: Arc<Control>,
    _background: Background,
}

#[derive(Default)]
struct Control {
    door: Mutex<Door>,
    withheld: Withheld,
    tallies: Tallies,
}

/// One lock for both: nobody slips in between being refused and being cut.
#[derive(Default)]
struct Door {
    refusing: bool,
    /// The one that new connections join.
    line: Arc<Line>,
}

/// What connections have in common from when they are made until they end:
/// what is swallowed stays so after the cut.
#[derive(Default)]
struct Line {
    cut: CancellationToken,
    frozen: CancellationToken,
    swallowing: AtomicBool,
}

struct Withheld {
    words: watch::Sender<Words>,
    /// Whether something is held back now.
    any: watch::Sender<bool>,
    numbers: AtomicU64,
}

/// Which of the server's words are held back.
enum Words {
    None,
    All,
    /// What is said to a client after it said this; the number tells it from
    /// the same said at another time.
    AnswersTo(Pattern, u64),
}

impl Default for Withheld {
    fn default() -> Self {
        Self {
            words: watch::Sender::new(Words::None),
            any: watch::Sender::new(false),
            numbers: AtomicU64::new(1),
        }
    }
}

impl Proxy {
    /// Listens on a free port of 127.0.0.1 for connections to the host and
    /// port of `upstream`, any URL that names both.
    pub fn start(upstream: &str) -> Self {
        let upstream = Url::parse(upstream).expect("the URL of the upstream");
        let target = format!(
            "{}:{}",
            upstream.host_str().expect("the upstream's host"),
            upstream.port().expect("the upstream's port")
        );
        let listener = StdListener::bind("127.0.0.1:0").expect("a free port");
        listener
            .set_nonblocking(true)
            .expect("a listener for tokio");
        let address = listener.local_addr().expect("the listener's address");
        let control = Arc::new(Control::default());
        let background = Background::start();
        let listener = background
            .enter(|| TcpListener::from_std(listener))
            .expect("a listener for tokio");
        background.spawn(accept(listener, target, Arc::clone(&control)));
        Self {
            address,
            upstream,
            control,
            _background: background,
        }
    }

    /// The port that the proxy listens on.
    pub fn port(&self) -> u16 {
        self.address.port()
    }

    /// The upstream's URL with the proxy's address in it.
    pub fn url(&self) -> String {
        let mut url = self.upstream.clone();
        url.set_host(Some("127.0.0.1"))
            .and_then(|()| {
                url.set_port(Some(self.port()))
                    .map_err(|()| url::ParseError::InvalidPort)
            })
            .expect("a URL with a host takes another");
        url.into()
    }

    /// Closes every connection that is open now. New ones are let in.
    pub fn cut(&self) {
        self.control.door(Door::cut);
    }

    /// Closes new connections as soon as they are made; others go on.
    pub fn refuse(&self) {
        self.control.door(|door| door.refusing = true);
    }

    /// Closes every connection, and new ones as soon as they are made.
    pub fn down(&self) {
        self.control.door(|door| {
            door.refusing = true;
            door.cut();
        });
    }

    /// Lets new connections in again.
    pub fn up(&self) {
        self.control.door(|door| door.refusing = false);
    }

    /// Connections open now neither close nor carry anything any more, as
    /// after a pulled plug, until they are cut. New ones are let in.
    pub fn freeze(&self) {
        self.control.door(Door::freeze);
    }

    /// Drops what clients say from now on until a cut.
    pub fn swallow(&self) {
        self.control
            .door(|door| door.line.swallowing.store(true, Ordering::SeqCst));
    }

    /// Withholds what the server says from now on: confirms, for instance.
    /// What the client says goes on to the server.
    pub fn stall(&self) {
        self.control.withheld.withhold(|_| Words::All);
    }

    /// Withholds what the server says to a client from when that client says
    /// these bytes: the answer to them, and what comes behind it.
    pub fn withhold_answers_to(&self, request: &[u8]) {
        let request = Pattern::new(request);
        self.control
            .withheld
            .withhold(|number| Words::AnswersTo(request, number));
    }

    /// Lets the server's words through again, those withheld first.
    pub fn resume(&self) {
        self.control.withheld.withhold(|_| Words::None);
    }

    /// Returns once something that the server said is withheld.
    pub async fn withholds(&self) {
        let mut any = self.control.withheld.any.subscribe();
        any.wait_for(|any| *any).await.expect("the proxy is here");
    }

    /// Counts from now on how often `pattern` passes in this direction.
    pub fn tally(&self, to: To, pattern: &[u8]) -> Tally {
        self.control.tallies.add(to, Pattern::new(pattern))
    }
}

impl Control {
    fn door<T>(&self, change: impl FnOnce(&mut Door) -> T) -> T {
        change(&mut self.door.lock().expect("nobody panics at the door"))
    }
}

impl Door {
    /// The line that a connection made now is in, if it is let in.
    fn enter(&mut self) -> Option<Arc<Line>> {
        (!self.refusing).then(|| Arc::clone(&self.line))
    }

    fn cut(&mut self) {
        std::mem::take(&mut self.line).cut.cancel();
    }

    fn freeze(&mut self) {
        let next = Line {
            // A cut ends those that are frozen as well.
            cut: self.line.cut.clone(),
            frozen: CancellationToken::new(),
            swallowing: AtomicBool::new(self.line.swallowing.load(Ordering::SeqCst)),
        };
        std::mem::replace(&mut self.line, Arc::new(next))
            .frozen
            .cancel();
    }
}

impl Withheld {
    fn withhold(&self, which: impl FnOnce(u64) -> Words) {
        let number = self.numbers.fetch_add(1, Ordering::SeqCst);
        self.any.send_replace(false);
        self.words.send_replace(which(number));
    }
}

async fn accept(listener: TcpListener, target: String, control: Arc<Control>) {
    while let Ok((client, _)) = listener.accept().await {
        let Some(line) = control.door(|door| door.enter()) else {
            continue;
        };
        tokio::spawn(hold(client, target.clone(), line, Arc::clone(&control)));
    }
}

/// Keeps a connection until either side ends it or it is cut.
async fn hold(client: TcpStream, target: String, line: Arc<Line>, control: Arc<Control>) {
    let passing = std::pin::pin!(passing::pass(client, &target, &line, &control));
    tokio::select! {
        biased;
        () = line.cut.cancelled() => {}
        // Both ends stay open, and nobody reads.
        () = line.frozen.cancelled() => line.cut.cancelled().await,
        () = passing => {}
    }
}
