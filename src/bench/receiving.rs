//! The process that receives, from within: many endpoints, each on a port of its own as the
//! endpoints of many customers are, that answer as their path says and keep count. One thread, no
//! signatures checked, nothing printed: it is to cost little beside what it measures.
//!
//! The process prints its ports as a JSON array. Asked for `counts` or a `report`, a line on its
//! standard input, it answers with a line of JSON. It ends when its standard input does.

use std::io::Write as _;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use rustix::process::{Resource, getrlimit, setrlimit};
use serde::{Deserialize, Serialize};
use tokio::io::{AsyncBufReadExt as _, AsyncRead, BufReader};
use tokio::net::{TcpListener, TcpStream};

use super::clock;
use super::error::BenchError;
use super::load::PUBLISHED;

/// Of so many requests to one endpoint it is kept when they came: far more than any scenario
/// looks at.
const TIMES_KEPT: usize = 200_000;

/// How long accepting pauses when the process has run out of file handles.
const BREATH: Duration = Duration::from_millis(50);

/// How an endpoint answers. Written as the path of its URL.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Answer {
    /// 200 at once.
    AtOnce,
    /// 200 after a while.
    After(Duration),
    /// Never.
    Hang,
    /// 500 at once.
    Error,
    /// 429 at once, with a `Retry-After` of so many seconds.
    Throttle(u64),
}

impl Answer {
    /// The path of the URL of an endpoint that answers so.
    pub fn path(self) -> String {
        match self {
            Self::AtOnce => "/at-once".to_owned(),
            Self::After(delay) => format!("/after/{}", delay.as_millis()),
            Self::Hang => "/hang".to_owned(),
            Self::Error => "/error".to_owned(),
            Self::Throttle(seconds) => format!("/throttle/{seconds}"),
        }
    }

    /// Reads what a path says; all else is answered at once.
    fn of(path: &str) -> Self {
        let (what, number) = path
            .trim_start_matches('/')
            .split_once('/')
            .unwrap_or((path.trim_start_matches('/'), ""));
        let number = number.parse().unwrap_or_default();
        match what {
            "after" => Self::After(Duration::from_millis(number)),
            "hang" => Self::Hang,
            "error" => Self::Error,
            "throttle" => Self::Throttle(number),
            _ => Self::AtOnce,
        }
    }
}

/// What one endpoint got.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Got {
    /// Requests that came.
    pub arrived: u64,
    /// Those that were answered 200.
    pub taken: u64,
    /// Those open now.
    pub open: u64,
    /// The most that were open at once.
    pub most_open: u64,
    /// When the first came, by the [`clock`].
    pub first_arrival: Option<u64>,
    /// When the last 200 was answered.
    pub last_taken: Option<u64>,
    /// When each was published and came, in the order of coming.
    pub times: Vec<(u64, u64)>,
}

/// Receives on `endpoints` ports of this machine until `input` ends.
pub async fn run(endpoints: usize, input: impl AsyncRead + Unpin) -> Result<(), BenchError> {
    raise_file_handles();
    let mut ports = Vec::with_capacity(endpoints);
    let mut all = Vec::with_capacity(endpoints);
    for _ in 0..endpoints {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
        ports.push(listener.local_addr()?.port());
        let got = Arc::<Mutex<Got>>::default();
        all.push(got.clone());
        tokio::spawn(accept(listener, got));
    }
    print(&ports)?;
    let mut lines = BufReader::new(input).lines();
    while let Some(line) = lines.next_line().await? {
        let all = all.iter().map(|got| lock(got));
        match line.as_str() {
            "counts" => print(&all.map(|got| (got.arrived, got.taken)).collect::<Vec<_>>())?,
            _ => print(&all.map(|got| got.clone()).collect::<Vec<_>>())?,
        }
    }
    Ok(())
}

/// As many as this user may have: every sender keeps connections to every endpoint.
pub fn raise_file_handles() {
    let mut limit = getrlimit(Resource::Nofile);
    limit.current = limit.maximum;
    // With fewer it still works, up to some number of connections.
    let _ = setrlimit(Resource::Nofile, limit);
}

fn print(answer: &impl Serialize) -> Result<(), BenchError> {
    let line = serde_json::to_string(answer).map_err(std::io::Error::from)?;
    let mut out = std::io::stdout().lock();
    writeln!(out, "{line}")?;
    Ok(out.flush()?)
}

fn lock(got: &Mutex<Got>) -> std::sync::MutexGuard<'_, Got> {
    got.lock().unwrap_or_else(PoisonError::into_inner)
}

async fn accept(listener: TcpListener, got: Arc<Mutex<Got>>) {
    loop {
        match listener.accept().await {
            Ok((stream, _)) => drop(tokio::spawn(serve(stream, got.clone()))),
            Err(_) => tokio::time::sleep(BREATH).await,
        }
    }
}

async fn serve(stream: TcpStream, got: Arc<Mutex<Got>>) {
    // Without it an answer may wait for the sender's acknowledgement of the one before.
    let _ = stream.set_nodelay(true);
    let service = service_fn(|request| respond(request, got.clone()));
    // A connection that breaks off is the sender's affair.
    let _ = hyper::server::conn::http1::Builder::new()
        .serve_connection(TokioIo::new(stream), service)
        .await;
}

async fn respond(
    request: Request<Incoming>,
    got: Arc<Mutex<Got>>,
) -> Result<Response<Full<Bytes>>, hyper::Error> {
    let answer = Answer::of(request.uri().path());
    let body = request.into_body().collect().await?.to_bytes();
    let _open = Open::count(&got, &body);
    match answer {
        Answer::AtOnce => Ok(take(&got)),
        Answer::After(delay) => {
            tokio::time::sleep(delay).await;
            Ok(take(&got))
        }
        Answer::Hang => std::future::pending().await,
        Answer::Error => Ok(refuse(StatusCode::INTERNAL_SERVER_ERROR)),
        Answer::Throttle(seconds) => {
            let mut response = refuse(StatusCode::TOO_MANY_REQUESTS);
            let headers = response.headers_mut();
            headers.insert(http::header::RETRY_AFTER, seconds.into());
            Ok(response)
        }
    }
}

fn take(got: &Mutex<Got>) -> Response<Full<Bytes>> {
    let mut got = lock(got);
    got.taken += 1;
    got.last_taken = Some(clock::now());
    Response::new(Full::new(Bytes::from_static(b"ok")))
}

fn refuse(status: StatusCode) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(Bytes::new()));
    *response.status_mut() = status;
    response
}

/// A request counts as open until it is answered or the sender breaks it off.
struct Open<'a>(&'a Mutex<Got>);

impl<'a> Open<'a> {
    fn count(counts: &'a Mutex<Got>, body: &[u8]) -> Self {
        let now = clock::now();
        let mut got = lock(counts);
        got.arrived += 1;
        got.open += 1;
        got.most_open = got.most_open.max(got.open);
        got.first_arrival.get_or_insert(now);
        if got.times.len() < TIMES_KEPT
            && let Some(published) = published(body)
        {
            got.times.push((published, now));
        }
        Self(counts)
    }
}

impl Drop for Open<'_> {
    fn drop(&mut self) {
        lock(self.0).open -= 1;
    }
}

/// The time of the publish in a body.
fn published(body: &[u8]) -> Option<u64> {
    let mark = PUBLISHED.as_bytes();
    let at = body.windows(mark.len()).position(|part| part == mark)?;
    let digits = body[at + mark.len()..].iter();
    let digits = digits.take_while(|byte| byte.is_ascii_digit());
    Some(digits.fold(0, |number, digit| number * 10 + u64::from(digit - b'0')))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bench::load;
    use crate::domain::ids::Organization;

    #[test]
    fn an_endpoint_answers_as_the_path_of_its_url_says() {
        for answer in [
            Answer::AtOnce,
            Answer::After(Duration::from_millis(150)),
            Answer::Hang,
            Answer::Error,
            Answer::Throttle(20),
        ] {
            assert_eq!(Answer::of(&answer.path()), answer);
        }
    }

    #[test]
    fn the_time_of_the_publish_is_read_from_the_body() {
        let before = clock::now();
        let event = load::event(1, &Organization::default());
        let time = published(&event.body).unwrap();
        assert!((before..=clock::now()).contains(&time));
        assert_eq!(published(b"{}"), None);
    }

    #[test]
    fn the_most_open_requests_are_kept_and_those_open_are_let_go() {
        let got = Mutex::default();
        let (one, two) = (Open::count(&got, b""), Open::count(&got, b""));
        drop(one);
        let three = Open::count(&got, b"");
        drop((two, three));
        let got = lock(&got).clone();
        assert_eq!((got.arrived, got.open, got.most_open), (3, 0, 2));
    }
}
