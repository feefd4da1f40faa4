//! The RabbitMQ and the Redis that all tests share: named by `tests/run`, or on
//! their usual ports, so that a plain `cargo test` works where they run.

use std::net::{SocketAddr, TcpStream};
use std::sync::OnceLock;
use std::time::Duration;
use url::Url;

/// URL of the shared RabbitMQ. Never stop it or change its state beyond a
/// [`Namespace`](super::namespace::Namespace).
pub fn amqp_url() -> &'static str {
    static URL: OnceLock<String> = OnceLock::new();
    URL.get_or_init(|| {
        shared(
            "RabbitMQ",
            "PRISM_TEST_AMQP_URL",
            5672,
            "amqp://guest:guest@127.0.0.1:5672/%2f",
        )
    })
}

/// URL of the shared Redis. Never flush it: other tests are using it.
pub fn redis_url() -> &'static str {
    static URL: OnceLock<String> = OnceLock::new();
    URL.get_or_init(|| {
        shared(
            "Redis",
            "PRISM_TEST_REDIS_URL",
            6379,
            "redis://127.0.0.1:6379",
        )
    })
}

fn shared(server: &str, variable: &str, port: u16, usual: &str) -> String {
    if let Ok(url) = std::env::var(variable) {
        return with_port(url, port);
    }
    let address = SocketAddr::from(([127, 0, 0, 1], port));
    if let Err(error) = TcpStream::connect_timeout(&address, Duration::from_secs(2)) {
        panic!(
            "no {server} at {address} ({error}): run the tests with `tests/run`, \
             which starts one, or name one in {variable}"
        );
    }
    usual.to_owned()
}

/// The URL with the usual port unless it names one: a proxy needs it.
fn with_port(url: String, usual: u16) -> String {
    match Url::parse(&url) {
        Ok(mut parsed) if parsed.port().is_none() => {
            parsed.set_port(Some(usual)).expect("a URL of a server");
            parsed.into()
        }
        _ => url,
    }
}
