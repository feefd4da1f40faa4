//! A TCP proxy in front of a server that others share: cutting, refusing and
//! stalling its connections looks, to one client, like the server going away.

use super::background::Background;
use std::net::{SocketAddr, TcpListener as StdListener};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use url::Url;

/// A proxy to one upstream. Dropping it closes everything.
pub struct Proxy {
    address: SocketAddr,
    upstream: Url,
    control: Arc<Control>,
    _background: Background,
}

struct Control {
    /// Counts the cuts: a connection ends when it changes.
    cuts: watch::Sender<u64>,
    stalled: watch::Sender<bool>,
    refusing: AtomicBool,
    connections: AtomicU64,
    to_server: AtomicU64,
    to_client: AtomicU64,
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
        let control = Arc::new(Control {
            cuts: watch::Sender::new(0),
            stalled: watch::Sender::new(false),
            refusing: AtomicBool::new(false),
            connections: AtomicU64::new(0),
            to_server: AtomicU64::new(0),
            to_client: AtomicU64::new(0),
        });
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
        self.control.cuts.send_modify(|cuts| *cuts += 1);
    }

    /// Whether new connections are closed as soon as they are made.
    pub fn refuse(&self, refuse: bool) {
        self.control.refusing.store(refuse, Ordering::SeqCst);
    }

    /// Withholds what the server says from now on: confirms, for instance.
    /// What the client says goes on to the server.
    pub fn stall(&self) {
        self.control.stalled.send_replace(true);
    }

    /// Lets the server's words through again, those withheld first.
    pub fn resume(&self) {
        self.control.stalled.send_replace(false);
    }

    /// Connections let through so far.
    pub fn connections(&self) -> u64 {
        self.control.connections.load(Ordering::SeqCst)
    }

    /// Bytes passed on to the server so far.
    pub fn bytes_to_server(&self) -> u64 {
        self.control.to_server.load(Ordering::SeqCst)
    }

    /// Bytes passed on to clients so far.
    pub fn bytes_to_client(&self) -> u64 {
        self.control.to_client.load(Ordering::SeqCst)
    }
}

async fn accept(listener: TcpListener, target: String, control: Arc<Control>) {
    while let Ok((client, _)) = listener.accept().await {
        if control.refusing.load(Ordering::SeqCst) {
            continue;
        }
        control.connections.fetch_add(1, Ordering::SeqCst);
        // Subscribed before anything is connected: no cut is missed.
        let mut cuts = control.cuts.subscribe();
        let (target, control) = (target.clone(), Arc::clone(&control));
        tokio::spawn(async move {
            tokio::select! {
                _ = cuts.changed() => {}
                () = pass(client, &target, &control) => {}
            }
        });
    }
}

async fn pass(client: TcpStream, target: &str, control: &Control) {
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
    let mut stalled = control.stalled.subscribe();
    tokio::join!(
        copy(from_client, to_server, &control.to_server, None),
        copy(
            from_server,
            to_client,
            &control.to_client,
            Some(&mut stalled)
        ),
    );
}

/// Passes bytes on until either side closes; then the other learns of it,
/// since the half that wrote to it is dropped.
async fn copy(
    mut from: OwnedReadHalf,
    mut to: OwnedWriteHalf,
    count: &AtomicU64,
    mut stalled: Option<&mut watch::Receiver<bool>>,
) {
    let mut buffer = vec![0; 64 * 1024];
    loop {
        let Ok(read @ 1..) = from.read(&mut buffer).await else {
            return;
        };
        if let Some(stalled) = &mut stalled
            && stalled.wait_for(|stalled| !stalled).await.is_err()
        {
            return;
        }
        if to.write_all(&buffer[..read]).await.is_err() {
            return;
        }
        count.fetch_add(read as u64, Ordering::SeqCst);
    }
}
