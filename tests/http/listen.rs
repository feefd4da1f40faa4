//! The `listen` command: what it prints, and when it ends.

use std::future::pending;
use std::io::Write;
use std::sync::{Arc, Mutex};

use clap::Parser;
use prism_webhooks::cli::listen::{ListenArgs, ListenError, ListenSummary, run_to};
use prism_webhooks::domain::secret::Secret;
use prism_webhooks::domain::signature;
use prism_webhooks::engine::ports::{Request, Sender as _};
use serde_json::Value;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use super::{answered, in_time, patient, request, send, sender};

#[derive(Parser)]
struct Command {
    #[command(flatten)]
    args: ListenArgs,
}

/// Arguments for a free port, and `more`.
fn parse(more: &[&str]) -> Result<ListenArgs, clap::Error> {
    let words = ["listen", "--listen", "127.0.0.1:0"].iter().chain(more);
    Command::try_parse_from(words).map(|command| command.args)
}

/// What is printed: all of it, and each piece as it comes.
#[derive(Clone)]
struct Screen {
    all: Arc<Mutex<String>>,
    pieces: mpsc::UnboundedSender<String>,
}

impl Write for Screen {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        let text = String::from_utf8(bytes.to_vec()).unwrap();
        self.all.lock().unwrap().push_str(&text);
        let _ = self.pieces.send(text);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

struct Listening {
    url: String,
    all: Arc<Mutex<String>>,
    task: JoinHandle<Result<ListenSummary, ListenError>>,
}

impl Listening {
    async fn start(more: &[&str]) -> Self {
        let (pieces, mut seen) = mpsc::unbounded_channel();
        let all = Arc::new(Mutex::new(String::new()));
        let screen = Screen {
            all: Arc::clone(&all),
            pieces,
        };
        let task = tokio::spawn(run_to(parse(more).unwrap(), pending(), screen));
        let mut first = String::new();
        while !first.contains('\n') {
            first += &in_time(seen.recv()).await.unwrap();
        }
        let start = first.find("http://").unwrap();
        let url = first[start..].trim_end_matches(['\n', '"', '}']).to_owned();
        Self { url, all, task }
    }

    /// The summary and the lines after the first, once the command has ended by itself.
    async fn end(self) -> (ListenSummary, Vec<String>) {
        let summary = in_time(self.task).await.unwrap().unwrap();
        let all = self.all.lock().unwrap();
        (summary, all.lines().skip(1).map(str::to_owned).collect())
    }
}

fn delivery(url: &str, secret: &str) -> Request {
    let mut request = request(url);
    let signature = signature::prism(&Secret::new(secret).unwrap(), &request.body);
    for (name, value) in [
        ("x-prism-event", "a.b"),
        ("x-prism-delivery", "d-1"),
        ("x-prism-attempt", "3"),
        ("x-prism-signature", &signature),
    ] {
        request.headers.insert(name, value.parse().unwrap());
    }
    request
}

#[tokio::test]
async fn it_prints_the_url_each_request_and_a_summary_and_ends_after_the_count() {
    let listening = Listening::start(&["--secret", "hunter2", "--count", "3"]).await;
    let sender = sender(patient());
    for sent in [
        delivery(&listening.url, "hunter2"),
        delivery(&listening.url, "wrong"),
        request(&listening.url),
    ] {
        assert_eq!(
            answered(in_time(sender.send(sent)).await.unwrap()).status,
            200
        );
    }
    let (summary, lines) = listening.end().await;
    let expected = ListenSummary {
        requests: 3,
        verified: 1,
        not_verified: 2,
    };
    assert_eq!(summary, expected);
    let rest = |line: &str| line.split_once("  ").unwrap().1.to_owned();
    assert_eq!(
        rest(&lines[0]),
        "a.b  delivery d-1  attempt 3  signature valid  15 bytes  answer: 200"
    );
    assert_eq!(lines[1], "    {\"event\":\"a.b\"}");
    assert!(lines[2].contains("SIGNATURE INVALID"), "{}", lines[2]);
    assert!(
        lines[4].contains("-  delivery -  attempt -  NOT SIGNED"),
        "{}",
        lines[4]
    );
    assert_eq!(lines[6], "Requests: 3, verified: 1, not verified: 2");
    assert_eq!(lines.len(), 7);
}

#[tokio::test]
async fn quiet_leaves_the_bodies_out() {
    let listening = Listening::start(&["--quiet", "--count", "1"]).await;
    send(patient(), &listening.url).await;
    let (_, lines) = listening.end().await;
    assert_eq!(lines.len(), 2);
    assert!(lines[0].contains("signature not checked"), "{}", lines[0]);
}

#[tokio::test]
async fn as_json_every_line_is_an_object() {
    let listening = Listening::start(&["--json", "--count", "2", "--status", "503"]).await;
    let sender = sender(patient());
    in_time(sender.send(delivery(&listening.url, "x")))
        .await
        .unwrap();
    let mut bytes = request(&listening.url);
    bytes.body = vec![0xff].into();
    in_time(sender.send(bytes)).await.unwrap();
    let (_, lines) = listening.end().await;
    let lines: Vec<Value> = lines
        .iter()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!(lines[0]["event_type"], "a.b");
    assert_eq!(lines[0]["attempt"], 3);
    assert_eq!(lines[0]["signature"], "no_secret");
    assert_eq!(lines[0]["headers"]["content-type"], "application/json");
    assert_eq!(lines[0]["body"], "{\"event\":\"a.b\"}");
    assert_eq!(lines[0]["answer"], "503");
    assert_eq!(lines[1]["body_base64"], "/w==");
    assert_eq!(lines[2]["requests"], 2);
}

#[tokio::test]
async fn what_a_terminal_would_obey_is_printed_escaped() {
    let listening = Listening::start(&["--count", "1"]).await;
    let mut sent = request(&listening.url);
    sent.body = "\x1b[2Jgone\nnext".into();
    in_time(sender(patient()).send(sent)).await.unwrap();
    let (_, lines) = listening.end().await;
    assert_eq!(lines[1..3], ["    \\u001b[2Jgone", "    next"]);
}

#[tokio::test]
async fn failing_first_means_500_unless_told_otherwise() {
    for (more, expected) in [
        (&["--fail-first", "1", "--count", "2"][..], [500, 200]),
        (
            &["--fail-first", "1", "--count", "2", "--status", "429"],
            [429, 200],
        ),
    ] {
        let listening = Listening::start(more).await;
        for status in expected {
            assert_eq!(
                answered(send(patient(), &listening.url).await).status,
                status
            );
        }
        listening.end().await;
    }
}

#[tokio::test]
async fn it_ends_when_told_to() {
    let args = parse(&[]).unwrap();
    let summary = in_time(run_to(args, async {}, Vec::new())).await.unwrap();
    assert_eq!(summary, ListenSummary::default());
}

#[tokio::test]
async fn a_screen_that_is_gone_ends_it() {
    struct Gone;
    impl Write for Gone {
        fn write(&mut self, _: &[u8]) -> std::io::Result<usize> {
            Err(std::io::ErrorKind::BrokenPipe.into())
        }
        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }
    let ended = in_time(run_to(parse(&[]).unwrap(), pending(), Gone)).await;
    assert!(matches!(ended, Err(ListenError::Output(_))));
}

#[tokio::test]
async fn an_address_in_use_is_an_error_that_names_it() {
    let listening = Listening::start(&[]).await;
    let address = listening
        .url
        .trim_start_matches("http://")
        .trim_end_matches('/');
    let mut args = parse(&[]).unwrap();
    args.listen = address.parse().unwrap();
    let error = in_time(run_to(args, pending(), Vec::new()))
        .await
        .unwrap_err();
    assert!(error.to_string().contains(address), "{error}");
}

#[tokio::test]
async fn a_secret_that_cannot_be_one_is_refused_and_never_quoted() {
    let args = parse(&["--secret", "whsec_hunter2!"]).unwrap();
    assert!(!format!("{args:?}").contains("hunter2"));
    let error = in_time(run_to(args, pending(), Vec::new()))
        .await
        .unwrap_err();
    assert!(error.to_string().contains("Base64"), "{error}");
    assert!(!error.to_string().contains("hunter2"));
}

#[test]
fn arguments_that_make_no_sense_are_refused_with_the_mend() {
    for (more, expected) in [
        (["--delay", "soon"], "500ms"),
        (["--delay", "-1s"], "negative"),
        (["--header", "no colon"], "Name: value"),
        (["--header", "a b: c"], "no header name"),
        (["--status", "99"], "from 200 to 599"),
        (["--count", "0"], "1 or more"),
    ] {
        let more = [&format!("{}={}", more[0], more[1])[..]];
        let error = parse(&more).unwrap_err().to_string();
        assert!(error.contains(expected), "{error}");
    }
    assert!(parse(&["--hang", "--drip"]).is_err());
    let args = parse(&["--delay", "1m 500ms", "--header", "Retry-After: 30"]).unwrap();
    assert_eq!(args.delay.unwrap().as_millis(), 60_500);
    assert_eq!(args.headers[0].1, "30");
}
