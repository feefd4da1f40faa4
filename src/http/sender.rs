//! Makes one request and keeps its time.

use std::pin::pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use http::Method;
use http::header::{HeaderMap, HeaderValue, LOCATION, RETRY_AFTER};
use hyper_util::client::legacy::connect::HttpInfo;
use reqwest::redirect::Policy;
use tokio::time::{Instant, Sleep, sleep_until};
use url::{Host, Position, Url};

use super::excerpt::{Excerpt, Limits};
use super::places::Places;
use super::resolver::CheckedResolver;
use super::reuse::Served;
use super::{failure, own, tls};
use crate::domain::egress::Egress;
use crate::domain::outcome::{FailureKind, Reply, Response, SendFailure};
use crate::domain::own_fault::OwnFault;
use crate::engine::ports::{Request, Sender};

/// The most headers that an answer may have. The client sets room for so many aside with each answer:
/// for 500, a worker delivered a tenth less (measured).
pub(super) const MAX_HEADERS: usize = 128;

/// What is longer says no more: dates have 29 characters.
const MAX_RETRY_AFTER: usize = 64;

/// More headers say no more.
const MOST_RETRY_AFTER: usize = 8;

/// So many characters of a `Location` are kept.
const MAX_LOCATION: usize = 1024;

/// What one attempt may take, and where it may go.
#[derive(Debug, Clone)]
pub struct SenderSettings {
    /// The time to resolve the name, connect and shake hands.
    pub connect_timeout: Duration,
    /// The time of the whole attempt, from the start to the end of the answer's body.
    pub timeout: Duration,
    /// How many bytes of an answer's body are read before the connection is dropped.
    pub read_limit: usize,
    /// How many bytes of an answer's body are kept for the record.
    pub keep_limit: usize,
    /// How many connections to one host are kept open while none is needed. Fewer than are used at
    /// once would make the busiest endpoints connect anew all the time.
    pub idle_connections: usize,
    /// How many connections are kept open in all, to whatever host, those in use included. Each
    /// takes a file handle.
    pub kept_connections: usize,
    /// How long a connection is kept open while it is not needed.
    pub idle_timeout: Duration,
    /// Which addresses may be posted to.
    pub egress: Egress,
    /// Certificate authorities trusted beside the system's.
    pub extra_authorities: Vec<reqwest::Certificate>,
}

impl Default for SenderSettings {
    fn default() -> Self {
        Self {
            connect_timeout: Duration::from_secs(5),
            timeout: Duration::from_secs(10),
            read_limit: 64 * 1024,
            keep_limit: 1024,
            idle_connections: 256,
            kept_connections: 65_536,
            idle_timeout: Duration::from_secs(60),
            egress: Egress::default(),
            extra_authorities: Vec::new(),
        }
    }
}

/// The client could not be set up.
#[derive(Debug, thiserror::Error)]
#[error("the HTTP client cannot be set up; does this machine have CA certificates? {source}")]
pub struct BuildError {
    #[from]
    source: reqwest::Error,
}

/// The sender that speaks HTTP/1.1, with connections kept alive between requests.
#[derive(Debug, Clone)]
pub struct HttpSender {
    /// For requests that have a place among the connections kept.
    keeping: reqwest::Client,
    /// For those that have none, or want a new connection: closed behind each.
    fresh: reqwest::Client,
    places: Arc<Mutex<Places>>,
    served: Served,
    resolver: CheckedResolver,
    egress: Arc<Egress>,
    connect_timeout: Duration,
    timeout: Duration,
    limits: Limits,
}

impl HttpSender {
    /// A sender with `settings`. Reads the system's CA certificates.
    pub fn new(settings: SenderSettings) -> Result<Self, BuildError> {
        tls::install_crypto();
        let egress = Arc::new(settings.egress);
        let resolver = CheckedResolver::new(Arc::clone(&egress));
        let served = Served::default();
        let client = |idle_connections| {
            let builder = reqwest::Client::builder()
                .redirect(Policy::none())
                .referer(false)
                // A proxy would resolve names itself, behind the back of the check.
                .no_proxy()
                // Whether to try again is the engine's to decide. Without a maximum of 0 the client
                // would copy every request for the case.
                .retry(reqwest::retry::never().max_retries_per_request(0))
                .dns_resolver(resolver.clone())
                // What browsers and curl put up with in an answer is no reason to send again.
                .http1_allow_obsolete_multiline_headers_in_responses(true)
                .http1_allow_spaces_after_header_name_in_responses(true)
                .http1_ignore_invalid_headers_in_responses(true)
                .http1_max_headers(MAX_HEADERS)
                .http1_title_case_headers()
                .connector_layer(served.clone())
                .connect_timeout(settings.connect_timeout)
                .tcp_nodelay(true)
                .pool_max_idle_per_host(idle_connections)
                .pool_idle_timeout(settings.idle_timeout)
                .tls_certs_merge(settings.extra_authorities.clone());
            builder.build()
        };
        // The pool looks for connections to close once in each such time.
        let kept_for = settings.idle_timeout * 2;
        let most = match settings.idle_connections {
            0 => 0,
            _ => settings.kept_connections,
        };
        Ok(Self {
            keeping: client(settings.idle_connections)?,
            fresh: client(0)?,
            places: Arc::new(Mutex::new(Places::new(most, kept_for))),
            served,
            resolver,
            egress,
            connect_timeout: settings.connect_timeout,
            timeout: settings.timeout,
            limits: Limits {
                read: settings.read_limit,
                keep: settings.keep_limit,
            },
        })
    }

    fn too_late(&self, what: &str) -> SendFailure {
        SendFailure {
            kind: FailureKind::Timeout,
            message: format!("{what} within {:?}", self.timeout),
        }
    }

    fn failed(&self, error: &reqwest::Error) -> SendFailure {
        failure::describe(error, self.connect_timeout)
    }

    /// Posts, over a connection that is kept or one of its own. What a kept one lost, because the
    /// receiver had given it up meanwhile, goes out again at once: once, on a new one.
    async fn post(
        &self,
        post: reqwest::Request,
        keeping: bool,
    ) -> Result<reqwest::Response, reqwest::Error> {
        // The body is shared, not copied, and so can always be sent again.
        let again = match keeping {
            true => post.try_clone(),
            false => None,
        };
        let client = if keeping { &self.keeping } else { &self.fresh };
        let answer = match (client.execute(post).await, again) {
            (Err(error), Some(again)) if self.was_given_up(&error) => {
                tracing::debug!("a kept connection was closed by the receiver: sending again");
                self.fresh.execute(again).await
            }
            (answer, _) => answer,
        };
        answer.inspect(|answer| {
            if let Some(connection) = answer.extensions().get() {
                self.served.note(connection);
            }
        })
    }

    /// Whether `error` is the end of a connection that had served before.
    fn was_given_up(&self, error: &reqwest::Error) -> bool {
        let had_served = |connection: HttpInfo| self.served.has(&connection);
        failure::is_closed_by_receiver(error) && failure::connection(error).is_some_and(had_served)
    }

    /// Returns our own fault behind `error`, if the request to `url` failed by one.
    async fn own_fault(&self, error: &reqwest::Error, url: &Url) -> Option<OwnFault> {
        if let Some(fault) = failure::of_resolver(error) {
            return Some(fault);
        }
        if error.is_connect() && error.is_timeout() {
            return self.unresolved(url).await;
        }
        let cause = failure::of_system(error)?;
        if !error.is_connect() {
            return own::lacking(cause);
        }
        let addresses = match url.host() {
            _ if !own::is_about_an_address(cause) => Vec::new(),
            Some(Host::Domain(name)) => self.resolver.addresses(name).await.unwrap_or_default(),
            Some(Host::Ipv4(address)) => vec![(address, 0).into()],
            Some(Host::Ipv6(address)) => vec![(address, 0).into()],
            None => Vec::new(),
        };
        own::of_connecting(cause, &addresses)
    }

    /// Says whether the time was lost on a resolver that is away.
    async fn unresolved(&self, url: &Url) -> Option<OwnFault> {
        let name = url.domain()?;
        let silent = self.resolver.keeps_silent(name).await;
        silent.then_some(OwnFault::Resolver)
    }

    async fn read(
        &self,
        mut answer: reqwest::Response,
        deadline: std::pin::Pin<&mut Sleep>,
    ) -> Response {
        let mut excerpt = Excerpt::new(self.limits);
        let broken = tokio::select! {
            biased;
            read = excerpt.read(&mut answer) => read.err().map(|error| self.failed(&error)),
            () = deadline => Some(self.too_late("the answer's body did not end")),
        };
        let headers = answer.headers();
        let redirects = answer.status().is_redirection();
        let location = headers.get(LOCATION).filter(|_| redirects);
        Response {
            status: answer.status().as_u16(),
            retry_after: retry_after(headers),
            location: location.map(without_query),
            body: excerpt.kept,
            truncated: excerpt.truncated,
            broken,
        }
    }
}

fn retry_after(headers: &HeaderMap) -> Vec<String> {
    let values = headers.get_all(RETRY_AFTER).iter().take(MOST_RETRY_AFTER);
    let texts = values.filter_map(|value| value.to_str().ok());
    texts
        .map(|text| text.chars().take(MAX_RETRY_AFTER).collect())
        .collect()
}

/// The beginning of a `Location`, up to its query.
fn without_query(location: &HeaderValue) -> String {
    let text = String::from_utf8_lossy(location.as_bytes());
    match text.split_once(['?', '#']) {
        Some((before, _)) => before
            .chars()
            .take(MAX_LOCATION)
            .chain("?…".chars())
            .collect(),
        None => text.chars().take(MAX_LOCATION).collect(),
    }
}

/// A place among the connections kept, for as long as a request takes.
struct Place<'a> {
    places: &'a Mutex<Places>,
    endpoint: &'a str,
}

impl<'a> Place<'a> {
    fn take(places: &'a Mutex<Places>, url: &'a Url) -> Option<Self> {
        let endpoint = &url[..Position::AfterPort];
        let taken = lock(places).enter(endpoint, Instant::now().into_std());
        taken.then_some(Self { places, endpoint })
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        lock(self.places).leave(self.endpoint, Instant::now().into_std());
    }
}

/// Nothing panics with the lock held that would leave it half changed.
fn lock(places: &Mutex<Places>) -> MutexGuard<'_, Places> {
    places.lock().unwrap_or_else(PoisonError::into_inner)
}

#[async_trait]
impl Sender for HttpSender {
    async fn send(&self, request: Request) -> Result<Reply, OwnFault> {
        // A literal address never reaches the resolver, so it is checked here.
        if let Err(refusal) = self.egress.permits_url(&request.url) {
            return Ok(Reply {
                result: Err(SendFailure {
                    kind: FailureKind::AddressRefused,
                    message: refusal.to_string(),
                }),
                duration: Duration::ZERO,
                remote_addr: None,
            });
        }
        let url = request.url.clone();
        let place = Place::take(&self.places, &url);
        let mut post = reqwest::Request::new(Method::POST, request.url);
        *post.headers_mut() = request.headers;
        *post.body_mut() = Some(request.body.into());

        let started = Instant::now();
        let mut deadline = pin!(sleep_until(started + self.timeout));
        let answer = tokio::select! {
            biased;
            answer = self.post(post, place.is_some()) => Some(answer),
            () = &mut deadline => None,
        };
        let (result, remote_addr) = match answer {
            Some(Ok(answer)) => {
                let remote_addr = answer.remote_addr();
                (Ok(self.read(answer, deadline).await), remote_addr)
            }
            Some(Err(error)) => {
                if let Some(fault) = self.own_fault(&error, &url).await {
                    return Err(fault);
                }
                (Err(self.failed(&error)), failure::remote_addr(&error))
            }
            None => {
                if let Some(fault) = self.unresolved(&url).await {
                    return Err(fault);
                }
                (Err(self.too_late("no answer came")), None)
            }
        };
        Ok(Reply {
            result,
            duration: started.elapsed(),
            remote_addr,
        })
    }
}
