//! The settings: every key with its meaning, its default and what is allowed, declared once.
//!
//! The doc comments are the text of the default file too, so they speak to operators: what it
//! means, and why the default is what it is. The allowed range is added from the kind.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use ipnet::IpNet;

use super::kinds::{
    ApiTokens, Choice, ConnectionUrl, Directory, DurationIn, EventTypes, Factor, ListenAddress,
    LogFilter, Namespace, Networks, Optional, SecretKeys, Size, Switch, Whole, WorkerName,
};
use super::reader::settings;
use super::secret::{ApiToken, Redacted};
use crate::domain::ids::EventType;
use crate::domain::secret::SecretKey;

const MILLISECOND: Duration = Duration::from_millis(1);
const SECOND: Duration = Duration::from_secs(1);
const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(3600);
const DAY: Duration = Duration::from_secs(86_400);
const KIB: usize = 1024;
const MIB: usize = 1024 * KIB;

/// A RabbitMQ on the developer's own machine.
pub(super) const AMQP_EXAMPLE: &str = "amqp://guest:guest@127.0.0.1:5672/%2f";
/// A Redis on the developer's own machine.
pub(super) const REDIS_EXAMPLE: &str = "redis://127.0.0.1:6379";

settings! {
    /// All settings of the program, checked. [`Config::load`] reads them; [`Config::default`] has
    /// the built-in ones.
    Config {
        /// Stands before the name of every exchange, queue and key, so that deployments can share
        /// a RabbitMQ and a Redis.
        namespace: String = "prism".into(), Namespace;

        /// Where embedded mode keeps its data: events, deliveries, webhooks, attempts. It is embedded
        /// while neither `amqp.url` nor `redis.url` is set. Private to its user, one process at a
        /// time; on a local disk.
        data_dir: PathBuf = "./data".into(), Directory;

        /// Where API and page listen. Any address but loopback needs `api.token`.
        listen: SocketAddr = SocketAddr::from(([127, 0, 0, 1], 8080)), ListenAddress;

        /// What encrypts at rest what is secret of webhooks: signing secrets, values of headers,
        /// queries of URLs. One key, or several with commas: the first encrypts, every one
        /// decrypts. Without any they are stored as they are. All processes of a deployment need
        /// the same ones. Better given by environment variable than kept in a file.
        secret_key: Vec<SecretKey> = Vec::new(), SecretKeys;

        /// Whether a webhook's URL may be http:// too. Off, because what is sent is then readable
        /// on the way.
        allow_http: bool = false, Switch;

        /// Networks that may be posted to although they are not public, such as those of receivers
        /// within the company. Everything else private, local or reserved is refused, because
        /// whoever may create a webhook could otherwise reach the servers behind the firewall.
        allow_networks: Vec<IpNet> = Vec::new(), Networks;

        /// Networks that may not be posted to although they are public, or although they lie in
        /// one of `allow_networks`: what a cloud or a company reaches under public addresses.
        deny_networks: Vec<IpNet> = Vec::new(), Networks;

        /// The event types that are known: the events queue is bound once for each, and webhooks
        /// may subscribe to these only. The default ones are what the gateway publishes; operators
        /// add their own.
        event_types: Vec<EventType> = EventType::of_gateway().into(), EventTypes;

        /// The largest body of an event, in bytes. A larger event becomes a dead letter. A worker
        /// holds up to `worker.prefetch` events that wait in memory, and those under way.
        max_event_size: usize = MIB, Size(KIB..=64 * MIB);
    }

    /// What organizations may register.
    webhooks: Webhooks {
        /// At most so many webhooks for each organization. An event to all of them is so many
        /// requests, and a worker keeps all of them in memory.
        max_per_organization: u64 = 1000, Whole(1..=1_000_000);

        /// The largest webhook, in bytes as it is stored: with its description, its headers and its
        /// secrets. What the gateway's control plane writes by itself is not measured.
        max_size: usize = 32 * KIB, Size(4 * KIB..=MIB);
    }

    /// RabbitMQ, where events and deliveries wait.
    amqp: Amqp {
        /// The server, with user, password and virtual host (%2f is "/"). amqps:// speaks TLS.
        url: Option<Redacted> = None,
            Optional(ConnectionUrl { schemes: ["amqp", "amqps"], example: AMQP_EXAMPLE });
    }

    /// Redis, where webhooks and attempts are kept.
    redis: Redis {
        /// The server, with password and database number if need be. rediss:// speaks TLS.
        url: Option<Redacted> = None,
            Optional(ConnectionUrl { schemes: ["redis", "rediss"], example: REDIS_EXAMPLE });
    }

    /// The API and the page.
    api: Api {
        /// Who may use them: one token, or several with commas. A token may be bound to an
        /// organization, as in acme:TOKEN; one that is not may act for all of them. It may have a
        /// name, by which the audit log calls whoever uses it: acme:alice:TOKEN, or *:bob:TOKEN for
        /// all organizations. Without any token whoever reaches the port may do everything, so it
        /// must be one of loopback. Better given by environment variable than kept in a file.
        token: Vec<ApiToken> = Vec::new(), ApiTokens;

        /// After so long without use one must sign in to the page again.
        session_idle: Duration = 2 * HOUR, DurationIn(MINUTE..=7 * DAY);

        /// After so long one must sign in again, however much the page is used.
        session_lifetime: Duration = 12 * HOUR, DurationIn(MINUTE..=30 * DAY);

        /// At most so many live streams of attempts are open at once with each token, those of pages
        /// of whoever signed in with it included; without tokens, of all together. Each takes a
        /// connection to the port for as long as its reader likes; one more is answered with 429.
        max_streams_per_token: usize = 100, Whole(1..=10_000);

        /// Whether browsers reach the page over https alone: its cookies are Secure then. Where a
        /// trusted proxy says so (X-Forwarded-Proto), they are without this.
        secure_cookies: bool = false, Switch;

        /// The proxies before the port that are believed: what they say of a client's address
        /// (X-Forwarded-For) and of https. Nobody else is.
        trusted_proxies: Vec<IpNet> = Vec::new(), Networks;

        /// How long a connection to the port may stay without a request. Longer than a balancer
        /// before it keeps one (a minute, mostly), or that finds it closed now and then.
        idle_timeout: Duration = 75 * SECOND, DurationIn(SECOND..=HOUR);

        /// How long the head of a request may take to come, from its first byte.
        head_timeout: Duration = 15 * SECOND, DurationIn(SECOND..=10 * MINUTE);

        /// How long the body of a request may take to come; one that is large may take a second more
        /// for each 64 KiB. One that is late is answered with 408.
        body_timeout: Duration = 30 * SECOND, DurationIn(SECOND..=HOUR);
    }

    /// When a failed delivery is tried again. A webhook may have a policy of its own.
    retry: Retry {
        /// The delay before the second attempt. A second is the shortest that a delay queue holds.
        initial: Duration = 10 * SECOND, DurationIn(SECOND..=7 * DAY);

        /// Each further delay is so many times the one before, up to `retry.max_delay`.
        factor: f64 = 3.0, Factor(1.0..=10.0);

        /// The longest delay between two attempts; at most `delay.longest`.
        max_delay: Duration = 6 * HOUR, DurationIn(SECOND..=7 * DAY);

        /// After so many attempts a delivery is given up and becomes a dead letter. With the
        /// defaults that is after about fifteen hours.
        max_attempts: u32 = 10, Whole(1..=100);
    }

    /// The queues in which deliveries wait for their next attempt.
    delay: Delay {
        /// The longest delay that a delay queue can hold. It decides how many delay queues are
        /// declared (two for each doubling) and bounds the `Retry-After` that is honoured.
        longest: Duration = 3 * DAY, DurationIn(SECOND..=7 * DAY);
    }

    /// The request to a webhook.
    send: Sending {
        /// How long connecting may take: name, connection and TLS. At most `send.timeout`.
        connect_timeout: Duration = 5 * SECOND, DurationIn(10 * MILLISECOND..=MINUTE);

        /// How long a whole attempt may take, the body of the response included.
        timeout: Duration = 10 * SECOND, DurationIn(10 * MILLISECOND..=5 * MINUTE);

        /// At most so much of a response's body is read, whatever the receiver sends: the rest is
        /// of no use, and a connection that it was read from can serve again.
        read_limit: usize = 64 * KIB, Size(0..=16 * MIB);

        /// At most so much of a response's body is recorded with the attempt; at most
        /// `send.read_limit`.
        keep_limit: usize = KIB, Size(0..=MIB);

        /// So many idle connections are kept open to each endpoint for the next attempts; fewer
        /// where the limit of open files leaves no room for them.
        idle_connections: usize = 256, Whole(0..=10_000);

        /// After so long without use a connection is closed.
        idle_timeout: Duration = MINUTE, DurationIn(SECOND..=HOUR);
    }

    /// One process that delivers.
    worker: Worker {
        /// The threads that a worker's work runs on. One is cheapest by far; where a core is not
        /// enough, a second worker is worth more than a second thread, and fails apart.
        threads: usize = 1, Whole(1..=1024);

        /// The number of requests that a worker has open at once, for the first half second of
        /// each: then they count towards `worker.max_slow`. More than 256 made it no faster when
        /// measured with a receiver that answers at once. Each request takes a file handle; where too
        /// few may be open, fewer requests are, with a warning.
        max_in_flight: usize = 256, Whole(1..=30_000);

        /// The number of requests that may be open for longer than half a second. They cost memory
        /// and a socket each, and the work of nobody else.
        max_slow: usize = 1024, Whole(1..=30_000);

        /// The number of requests that one webhook may have open; at most `worker.max_in_flight`.
        /// It begins with four, and has more while its receiver keeps its time, fewer when it fails
        /// or takes longer the more it is given.
        webhook_max_in_flight: usize = 64, Whole(1..=65_535);

        /// The number of deliveries that wait in a worker for their turn; at least
        /// `worker.max_in_flight`. What is beyond waits in RabbitMQ. Below 1000 throughput falls,
        /// above there is little to gain. RabbitMQ hands a worker so many messages ahead of their
        /// settlement, and one for each request that may be open.
        prefetch: u16 = 1000, Whole(1..=65_535);

        /// After a run of so many failures a webhook's receiver is left alone, and tried with one
        /// delivery at a time at growing intervals, up to a minute; its other deliveries are put off
        /// meanwhile. A timeout counts as four. 0: never.
        breaker_after: u32 = 20, Whole(0..=1_000_000);

        /// An event that more webhooks than this want is split into messages of their own, which
        /// workers share; up to this many are sent straight from the event, at a third of the cost.
        fanout_inline_max: usize = 128, Whole(1..=10_000);

        /// How long a worker that is told to stop may take to finish what is in flight. What is
        /// then still open is cut off and repeated by another worker. Under the 30s after which
        /// Kubernetes kills.
        grace: Duration = 25 * SECOND, DurationIn(Duration::ZERO..=HOUR);

        /// Whether a worker declares exchanges and queues when it starts. Turn it off where its
        /// user may not, and run `topology apply` instead.
        declare_topology: bool = true, Switch;

        /// What the worker is called in the record of attempts and in the servers' lists of
        /// connections. Not set: host name and process id.
        name: Option<String> = None, Optional(WorkerName);
    }

    /// The webhooks that a worker keeps in memory.
    subscriptions: Subscriptions {
        /// An organization's webhooks are loaded again at the latest after this long. A change is
        /// told at once; this mends what a lost notice left out.
        max_age: Duration = MINUTE, DurationIn(SECOND..=DAY);

        /// The number of organizations whose webhooks are kept; those used least make room.
        max_organizations: u64 = 100_000, Whole(1..=100_000_000);
    }

    /// The delivery log: attempts, and deliveries with their bodies.
    delivery_log: DeliveryLog {
        /// About so many attempts are kept in the stream of all webhooks: the feed for pipelines.
        /// A million take about 400 MB of Redis's memory while the responses are short.
        attempts_kept: usize = 1_000_000, Whole(1..=1_000_000_000);

        /// About so many attempts are kept for each webhook: its delivery log. It goes with its
        /// webhook; in Redis also when the webhook had no attempt for 90 days.
        attempts_kept_per_webhook: usize = 1000, Whole(1..=1_000_000);

        /// Of which deliveries the body is kept for a manual retry: `failed`, those that failed at
        /// least once; `all`, so that a success can be sent again too, which takes memory in Redis
        /// for every delivery.
        keep_bodies: KeepBodies = KeepBodies::Failed,
            Choice(&[("failed", KeepBodies::Failed), ("all", KeepBodies::All)]);

        /// How long a delivery's record and body stay after its last change. Longer than
        /// `delay.longest`, or it could be gone before the delivery is tried again.
        deliveries_kept: Duration = 7 * DAY, DurationIn(2 * SECOND..=365 * DAY);

        /// At most so many bytes of bodies are kept for each organization; beyond that the oldest go,
        /// and such a delivery can no longer be retried from its record, only from its dead letter.
        /// So no organization fills the store for the others. Plan for so much times the
        /// organizations whose deliveries fail at the same time; 0 keeps no bodies.
        bodies_per_organization: usize = 64 * MIB, Size(0..=1024 * 1024 * MIB);

        /// At most so many attempts go to Redis in one batch.
        batch: usize = 512, Whole(1..=10_000);
    }

    /// The audit log: who changed what, and when.
    audit_log: AuditLog {
        /// So many entries are kept of each organization, the newest. Ten thousand take about 4 MB
        /// of Redis's memory, and few organizations ever have as many.
        entries_kept: u64 = 10_000, Whole(1..=10_000_000);

        /// No entry is kept for longer. A year, so that what is looked into once a year is there.
        kept_for: Duration = 365 * DAY, DurationIn(DAY..=3650 * DAY);
    }

    /// When a webhook is taken out of service by itself.
    disable: Disable {
        /// Nothing but failures for so long disables a webhook. Longer than a weekend, so that
        /// its owner has a working day to notice. It takes at least five failed attempts, and a
        /// silence of more than half of this time begins the count anew; one event a day is enough.
        after: Duration = 5 * DAY, DurationIn(SECOND..=365 * DAY);

        /// Whether the answer `410 Gone` disables a webhook at once.
        on_gone: bool = true, Switch;
    }

    /// What the program says about itself, on standard error.
    logging: Logging {
        /// `text` for people, `json` for machines; `auto` takes text on a terminal, JSON otherwise.
        format: LogFormat = LogFormat::Auto,
            Choice(&[("auto", LogFormat::Auto), ("text", LogFormat::Text), ("json", LogFormat::Json)]);

        /// What is logged. At `info` every attempt that failed has a line, at `debug` every attempt.
        level: String = "info".into(), LogFilter;
    }
}

/// Of which deliveries the body is kept in Redis.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeepBodies {
    /// Of those that failed at least once.
    Failed,
    /// Of every one.
    All,
}

/// How log lines look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogFormat {
    /// Text on a terminal, JSON otherwise.
    Auto,
    /// Lines for people.
    Text,
    /// One JSON object a line.
    Json,
}
