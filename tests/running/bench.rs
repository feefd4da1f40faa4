//! `bench`, in sizes that say nothing, on real servers: what it prints, and that it leaves nothing
//! behind however it ends.

use std::fs;
use std::time::Duration;

use prism_webhooks::app;
use prism_webhooks::config::Config;
use prism_webhooks::rabbitmq::connection::{Purpose, Server};
use prism_webhooks::rabbitmq::declare;
use serde_json::Value;

use crate::support::deadline::eventually;
use crate::support::process::{Process, Signal};
use crate::support::servers::{amqp_url, redis_url};

/// How long a bench of these sizes may take on a machine that is busy.
const DONE: Duration = Duration::from_secs(120);

fn start(arguments: &[&str]) -> Process {
    let variables = [
        ("PRISM_AMQP_URL", amqp_url()),
        ("PRISM_REDIS_URL", redis_url()),
    ];
    Process::start(&[&["bench", "--quick"], arguments].concat(), &variables)
}

/// What the names of its namespaces begin with.
async fn base(bench: &mut Process) -> String {
    let line = bench.wait_for_line("in namespaces bench-", DONE).await;
    let name = line.split("in namespaces ").nth(1).unwrap();
    name.split("-1 and").next().unwrap().to_owned()
}

/// How many exchanges and queues of a namespace there are.
async fn objects(namespace: &str) -> usize {
    let config = Config {
        namespace: namespace.to_owned(),
        ..Config::default()
    };
    let server = Server::new(amqp_url(), "test of the bench").unwrap();
    let connection = server.connect(Purpose::Topology).await.unwrap();
    let check = declare::check(&app::topology(&config), &connection)
        .await
        .unwrap();
    check.objects - check.problems.len()
}

async fn keys(base: &str) -> Vec<String> {
    let client = redis::Client::open(redis_url()).unwrap();
    let mut connection = client.get_multiplexed_async_connection().await.unwrap();
    let (mut cursor, mut found) = (0_u64, Vec::new());
    loop {
        let mut scan = redis::cmd("SCAN");
        scan.arg(cursor)
            .arg("MATCH")
            .arg(format!("{base}*"))
            .arg("COUNT")
            .arg(1000);
        let (next, keys): (u64, Vec<String>) = scan.query_async(&mut connection).await.unwrap();
        found.extend(keys);
        cursor = next;
        if cursor == 0 {
            return found;
        }
    }
}

/// The processes that are `worker`, `receiver` and so on of this bench.
fn parts(bench: u32) -> Vec<(u32, String)> {
    let pids = fs::read_dir("/proc").unwrap().flatten();
    let pids = pids.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
    pids.filter_map(|pid| {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        let parent = stat
            .rsplit_once(") ")?
            .1
            .split(' ')
            .nth(1)?
            .parse::<u32>()
            .ok()?;
        let arguments = fs::read_to_string(format!("/proc/{pid}/cmdline")).ok()?;
        (parent == bench).then(|| (pid, arguments.replace('\0', " ")))
    })
    .collect()
}

async fn nothing_is_left(base: &str, namespaces: usize) {
    for number in 1..=namespaces {
        let namespace = format!("{base}-{number}");
        assert_eq!(objects(&namespace).await, 0, "of {namespace}");
    }
    assert_eq!(keys(base).await, Vec::<String>::new());
}

/// Waits until a worker is at work for a bench that has just been started, and gives all its
/// processes.
async fn at_work(bench: &Process, base: &str) -> Vec<(u32, String)> {
    eventually(DONE, "a worker, a receiver, queues and keys", async || {
        let parts = parts(bench.id());
        let runs = |what: &str| parts.iter().any(|(_, arguments)| arguments.contains(what));
        let there = runs(" worker ") && runs(" receiver ");
        // The record of attempts is there once something was delivered.
        let delivered = async || keys(base).await.iter().any(|key| key.contains("attempts"));
        (there && delivered().await && objects(&format!("{base}-1")).await > 0).then_some(parts)
    })
    .await
}

#[tokio::test]
async fn the_bench_prints_one_object_with_the_figures_where_they_are_looked_for() {
    let only = "drain,fanout_10,organizations,burst,latency,isolation,flood";
    let sizes = ["--deliveries", "40", "--events", "20", "--seconds", "1"];
    let mut bench = start(&[&["--json", "--only", only], sizes.as_slice()].concat());
    let base = base(&mut bench).await;
    let status = bench.wait_exit(DONE).await;
    assert!(status.success(), "{status}\n{}", bench.stderr());
    let printed: Value = serde_json::from_str(&bench.stdout()).unwrap();
    for path in [
        "/drain/deliveries_per_second",
        "/drain/deliveries_per_second_min",
        "/drain/deliveries_per_second_max",
        "/drain/bare_loop_per_second",
        "/drain/cpu_us_per_delivery/worker",
        "/drain/cpu_us_per_delivery/receiver",
        "/drain/bare_loop_cpu_us_per_delivery/loop",
        "/drain/peak_mib",
        "/fanout_10/deliveries_per_second",
        "/fanout_10/deferred",
        "/organizations/deliveries_per_second",
        "/burst/times_ideal/receiver_20_ms",
        "/burst/deferred/receiver_2000_ms",
        "/latency/p50_ms",
        "/latency/p99_ms",
        "/isolation/healthy_p99_ms/undisturbed",
        "/isolation/healthy_p99_ms/hanging",
        "/isolation/healthy_p99_ms/erring",
        "/isolation/healthy_p99_ms/slow",
        "/isolation/healthy_p99_ms/throttling",
        "/isolation/most_open_to_the_disturbed/hanging",
        "/isolation/healthy_deferred/hanging",
        "/flood/trickle_p99_ms",
    ] {
        let value = printed.pointer(path);
        assert!(
            value.is_some_and(Value::is_number),
            "{path}: {value:?}\n{printed:#}"
        );
    }
    for path in [
        "/drain/not_arrived",
        "/fanout_10/not_arrived",
        "/organizations/not_arrived",
        "/burst/not_arrived/receiver_20_ms",
        "/latency/not_arrived",
        "/isolation/healthy_not_arrived/undisturbed",
        "/flood/flood_not_arrived",
        "/flood/trickle_not_arrived",
    ] {
        assert_eq!(
            printed.pointer(path),
            Some(&Value::from(0)),
            "{path}\n{printed:#}"
        );
    }
    assert_eq!(printed["drain"]["deliveries"], 40);
    // Three drains by workers and by the loop, four bursts, five tempers, two others.
    nothing_is_left(&base, 3 * 2 + 4 + 5 + 2).await;
}

#[tokio::test]
async fn a_bench_that_is_stopped_leaves_no_queue_no_key_and_no_process() {
    let mut bench = start(&["--only", "latency", "--seconds", "60"]);
    let base = base(&mut bench).await;
    let parts = at_work(&bench, &base).await;
    bench.signal(Signal::INT);
    let status = bench.wait_exit(DONE).await;
    let said = bench.stderr();
    assert_eq!(status.code(), Some(1), "{said}");
    assert!(
        said.contains("stopped before everything was measured"),
        "{said}"
    );
    for (pid, arguments) in parts {
        let gone = !fs::exists(format!("/proc/{pid}")).unwrap();
        assert!(gone, "{pid} goes on: {arguments}");
    }
    nothing_is_left(&base, 1).await;
}

#[tokio::test]
async fn a_bench_that_fails_says_why_and_leaves_nothing() {
    // It takes seconds, and asks all the time how much has come.
    let mut bench = start(&["--only", "drain", "--deliveries", "40000"]);
    let base = base(&mut bench).await;
    let parts = at_work(&bench, &base).await;
    let receiver = parts
        .iter()
        .find(|(_, arguments)| arguments.contains(" receiver "));
    let pid = receiver
        .and_then(|(pid, _)| i32::try_from(*pid).ok())
        .unwrap();
    let pid = rustix::process::Pid::from_raw(pid).unwrap();
    rustix::process::kill_process(pid, Signal::KILL).unwrap();
    let status = bench.wait_exit(DONE).await;
    let said = bench.stderr();
    assert_eq!(status.code(), Some(1), "{said}");
    assert!(said.contains("the receiver ended early"), "{said}");
    nothing_is_left(&base, 1).await;
}

#[tokio::test]
async fn embedded_it_measures_draining_without_any_server() {
    let arguments = [
        "--embedded",
        "--json",
        "--only",
        "drain,fanout_3",
        "--deliveries",
        "30",
    ];
    let mut bench = Process::start(&[["bench", "--quick"].as_slice(), &arguments].concat(), &[]);
    let status = bench.wait_exit(DONE).await;
    assert!(status.success(), "{status}\n{}", bench.stderr());
    let printed: Value = serde_json::from_str(&bench.stdout()).unwrap();
    assert_eq!(printed["mode"], "embedded");
    assert_eq!(printed["fanout_3"]["not_arrived"], 0);
    assert!(
        printed["drain"]["deliveries_per_second"].is_number(),
        "{printed:#}"
    );
}
