//! `listen`: a receiver for a developer's machine, that verifies and prints what comes.

use std::io::{self, Write};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use clap::Args;
use http::{HeaderName, HeaderValue, StatusCode};
use jiff::SignedDuration;
use serde_json::json;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::arguments;
use super::printable::printable;
use super::secret_text::{self, SecretError, SecretText};
use crate::domain::secret::InvalidSecret;
use crate::receiver::{Answer, Behaviour, BindError, Manner, Received, Receiver, Verification};

/// Requests that wait to be printed before the answers are held up.
const BACKLOG: usize = 256;

/// Receive webhooks on this machine: verify, print and answer them.
#[derive(Debug, Args)]
pub struct ListenArgs {
    /// The address to listen on.
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:9000", value_parser = arguments::address)]
    pub listen: SocketAddr,
    /// The signing secret to verify with; give both while a webhook changes from one to another. Others on
    /// this machine can see it in the process list: --secret-file shows it to nobody.
    #[arg(
        long = "secret",
        value_name = "SECRET",
        env = "PRISM_LISTEN_SECRET",
        hide_env_values = true
    )]
    pub secrets: Vec<SecretText>,
    /// Read a secret to verify with from a file; - is standard input. Can be given several times, and
    /// beside --secret.
    #[arg(long = "secret-file", value_name = "PATH")]
    pub secret_files: Vec<PathBuf>,
    /// The status to answer with [default: 200, or 500 with --fail-first].
    #[arg(long, value_name = "CODE", value_parser = arguments::whole(200_u16, 599))]
    pub status: Option<u16>,
    /// How long to wait before answering: 500ms, 2s, 1m.
    #[arg(long, value_name = "DURATION", value_parser = duration)]
    pub delay: Option<Duration>,
    /// Never answer.
    #[arg(long, conflicts_with = "drip")]
    pub hang: bool,
    /// Send the answer's body one byte a second; without --body, dots for ever.
    #[arg(long)]
    pub drip: bool,
    /// Treat only the first N requests so, and answer all others 200 at once.
    #[arg(long, value_name = "N", value_parser = arguments::at_least(0_u64))]
    pub fail_first: Option<u64>,
    /// A header to answer with, such as 'Retry-After: 30'; may be given several times.
    #[arg(long = "header", value_name = "NAME: VALUE", value_parser = header)]
    pub headers: Vec<(HeaderName, HeaderValue)>,
    /// The body to answer with.
    #[arg(
        long,
        value_name = "TEXT",
        default_value = "",
        hide_default_value = true
    )]
    pub body: String,
    /// Print one JSON object a line.
    #[arg(long)]
    pub json: bool,
    /// Do not print bodies.
    #[arg(long)]
    pub quiet: bool,
    /// Stop after N requests.
    #[arg(long, value_name = "N", value_parser = arguments::at_least(1_u64))]
    pub count: Option<u64>,
}

/// The requests that came while `listen` ran.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ListenSummary {
    /// The requests.
    pub requests: u64,
    /// Those with valid signatures.
    pub verified: u64,
    /// All others: invalid, unsigned, or without a secret to verify with.
    pub not_verified: u64,
}

/// Why it could not listen, or had to stop.
#[derive(Debug, thiserror::Error)]
pub enum ListenError {
    /// A secret cannot be one.
    #[error("--secret: {0}")]
    Secret(#[from] InvalidSecret),
    /// A secret cannot be read from a file.
    #[error(transparent)]
    SecretFile(#[from] SecretError),
    /// The address cannot be listened on.
    #[error(transparent)]
    Bind(#[from] BindError),
    /// A request could not be printed.
    #[error("cannot print: {0}")]
    Output(#[from] io::Error),
}

/// Listens until `stop` is over or enough requests have come, printing to standard output.
pub async fn run(
    args: ListenArgs,
    stop: impl Future<Output = ()>,
) -> Result<ListenSummary, ListenError> {
    run_to(args, stop, io::stdout()).await
}

/// [`run`], printing to `out`.
pub async fn run_to(
    args: ListenArgs,
    stop: impl Future<Output = ()>,
    out: impl Write,
) -> Result<ListenSummary, ListenError> {
    let behaviour = behaviour(&args);
    let given = args.secrets.iter().map(SecretText::secret);
    let mut secrets = given.collect::<Result<Vec<_>, _>>()?;
    for path in &args.secret_files {
        secrets.push(secret_text::read(path, &mut tokio::io::stdin()).await?);
    }
    let (reports, received) = mpsc::channel(BACKLOG);
    let receiver = Receiver::bind(args.listen, secrets, behaviour, reports).await?;
    let mut printer = Printer {
        out,
        json: args.json,
        quiet: args.quiet,
        summary: ListenSummary::default(),
    };
    printer.opening(receiver.address())?;

    let enough = CancellationToken::new();
    let printing = async {
        // However this ends, the receiver ends with it, and what still comes while the last
        // answers go out waits for nobody.
        let _ends = enough.clone().drop_guard();
        let mut received = received;
        let mut stop = std::pin::pin!(stop);
        while args.count != Some(printer.summary.requests) {
            tokio::select! {
                () = &mut stop => break,
                Some(request) = received.recv() => printer.request(&request)?,
                else => break,
            }
        }
        Ok::<(), ListenError>(())
    };
    let (printed, ()) = tokio::join!(printing, receiver.run(enough.cancelled()));
    printed?;
    printer.closing()?;
    Ok(printer.summary)
}

fn behaviour(args: &ListenArgs) -> Behaviour {
    let usual = if args.fail_first.is_some() { 500 } else { 200 };
    // The range of the argument has no other codes than valid ones.
    let status = StatusCode::from_u16(args.status.unwrap_or(usual)).unwrap_or_default();
    Behaviour {
        answer: Answer {
            status,
            headers: args.headers.iter().cloned().collect(),
            body: args.body.clone().into(),
        },
        delay: args.delay.unwrap_or_default(),
        manner: match (args.hang, args.drip) {
            (true, _) => Manner::Hang,
            (false, true) => Manner::Drip,
            (false, false) => Manner::Whole,
        },
        first: args.fail_first,
    }
}

fn duration(text: &str) -> Result<Duration, String> {
    let parsed: SignedDuration = text.parse().map_err(|_| "write it like 500ms, 2s or 1m")?;
    Duration::try_from(parsed).map_err(|_| "it must not be negative".to_owned())
}

fn header(text: &str) -> Result<(HeaderName, HeaderValue), String> {
    let (name, value) = text.split_once(':').ok_or("write it like 'Name: value'")?;
    let name = name.trim().parse().map_err(|_| "that is no header name")?;
    let value = value
        .trim()
        .parse()
        .map_err(|_| "the value has characters that a header cannot carry")?;
    Ok((name, value))
}

struct Printer<W> {
    out: W,
    json: bool,
    quiet: bool,
    summary: ListenSummary,
}

impl<W: Write> Printer<W> {
    fn opening(&mut self, address: SocketAddr) -> io::Result<()> {
        let url = url(address);
        if self.json {
            writeln!(self.out, "{}", json!({ "listening": address, "url": url }))?;
        } else {
            writeln!(self.out, "Listening on {address}. Register this URL: {url}")?;
        }
        self.out.flush()
    }

    fn request(&mut self, request: &Received) -> io::Result<()> {
        self.summary.requests += 1;
        if request.verified == Verification::Valid {
            self.summary.verified += 1;
        } else {
            self.summary.not_verified += 1;
        }
        if self.json {
            writeln!(self.out, "{}", object(request, self.quiet))?;
        } else {
            writeln!(self.out, "{}", line(request))?;
            if !self.quiet {
                for line in String::from_utf8_lossy(&request.body).lines() {
                    writeln!(self.out, "    {}", printable(line))?;
                }
            }
        }
        self.out.flush()
    }

    fn closing(&mut self) -> io::Result<()> {
        let ListenSummary {
            requests,
            verified,
            not_verified,
        } = self.summary;
        if self.json {
            let counts = json!({
                "requests": requests, "verified": verified, "not_verified": not_verified,
            });
            writeln!(self.out, "{counts}")?;
        } else {
            writeln!(
                self.out,
                "Requests: {requests}, verified: {verified}, not verified: {not_verified}"
            )?;
        }
        self.out.flush()
    }
}

/// The URL under which this machine reaches `address`; every address is reached by its own.
fn url(address: SocketAddr) -> String {
    let reachable = match address.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        ip => ip,
    };
    format!("http://{}/", SocketAddr::new(reachable, address.port()))
}

fn text<'a>(request: &'a Received, name: &str) -> Option<&'a str> {
    request.headers.get(name)?.to_str().ok()
}

fn line(request: &Received) -> String {
    let or_none = |name| text(request, name).unwrap_or("-");
    let signature = match &request.verified {
        Verification::Valid => "signature valid".to_owned(),
        Verification::Invalid(why) => format!("SIGNATURE INVALID ({why})"),
        Verification::Unsigned => "NOT SIGNED".to_owned(),
        Verification::NoSecret => "signature not checked (no --secret)".to_owned(),
    };
    format!(
        "{:.3}  {}  delivery {}  attempt {}  {signature}  {} bytes  answer: {}",
        request.at,
        or_none("x-prism-event"),
        or_none("x-prism-delivery"),
        or_none("x-prism-attempt"),
        request.body.len(),
        answer(&request.answered),
    )
}

fn answer(behaviour: &Behaviour) -> String {
    let status = behaviour.answer.status.as_u16();
    let after = match behaviour.delay {
        Duration::ZERO => String::new(),
        delay => format!(" after {delay:?}"),
    };
    match behaviour.manner {
        Manner::Whole => format!("{status}{after}"),
        Manner::Drip => format!("{status}{after}, dripping"),
        Manner::Hang => "none".to_owned(),
    }
}

fn object(request: &Received, quiet: bool) -> serde_json::Value {
    let (signature, problem) = match &request.verified {
        Verification::Valid => ("valid", None),
        Verification::Invalid(why) => ("invalid", Some(why)),
        Verification::Unsigned => ("unsigned", None),
        Verification::NoSecret => ("no_secret", None),
    };
    let mut headers = serde_json::Map::new();
    for (name, value) in &request.headers {
        let value = String::from_utf8_lossy(value.as_bytes());
        headers.insert(name.to_string(), value.into());
    }
    let mut object = json!({
        "at": request.at,
        "method": request.method.as_str(),
        "path": request.path,
        "event_type": text(request, "x-prism-event"),
        "delivery_id": text(request, "x-prism-delivery"),
        "attempt": text(request, "x-prism-attempt").and_then(|text| text.parse::<u32>().ok()),
        "signature": signature,
        "problem": problem,
        "headers": headers,
        "bytes": request.body.len(),
        "answer": answer(&request.answered),
    });
    if !quiet {
        // Bytes that are no text come in Base64.
        let (key, body) = match std::str::from_utf8(&request.body) {
            Ok(text) => ("body", text.to_owned()),
            Err(_) => ("body_base64", STANDARD.encode(&request.body)),
        };
        object[key] = body.into();
    }
    object
}
