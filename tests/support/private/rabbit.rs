//! A RabbitMQ of a test's own.

use super::{PrivateServer, SCRIPT, ports::free_ports};
use lapin::{Connection, ConnectionProperties};
use tokio::process::Command;

/// A RabbitMQ node with its own name, cookie, epmd and data. Several may run
/// at once. Dropping it leaves nothing running.
#[derive(Debug)]
pub struct PrivateRabbit {
    server: PrivateServer,
    url: String,
}

impl PrivateRabbit {
    /// Starts a node without plugins and waits until a client can log in:
    /// about 6 s.
    pub async fn start() -> Self {
        let ports = free_ports::<3>();
        let mut rabbit = Self {
            server: PrivateServer::new("rabbitmq", ports.to_vec()),
            url: format!("amqp://guest:guest@127.0.0.1:{}/%2f", ports[0]),
        };
        rabbit.start_again().await;
        rabbit
    }

    /// Where it answers; the same after every restart.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Has the node write down which quorum queues it has. It does so by itself within three
    /// seconds of a declaration (its registry is a DETS table; `ra_directory_reverse` in 3.10), and
    /// if it is killed before that, it starts again without the queue's log: empty, and without
    /// a leader. Operators declare queues long before a broker dies; a test does not.
    pub async fn write_down_queues(&self) {
        let sync = "[ok = dets:sync(Table) || Table <- dets:all()].";
        self.rabbitmqctl(&["eval", sync]).await;
    }

    /// Kills the node with SIGKILL and waits until it is gone. Its data stays.
    pub fn kill9(&mut self) {
        self.server.kill9();
    }

    /// Starts a killed node again on the same port and data.
    pub async fn start_again(&mut self) {
        let url = self.url.clone();
        self.server.start(async || log_in(&url).await).await;
    }

    /// Kills the node and starts it again.
    pub async fn restart(&mut self) {
        self.kill9();
        self.start_again().await;
    }

    /// Stops the broker inside the node in good order: connections are closed.
    pub async fn stop_app(&self) {
        self.rabbitmqctl(&["stop_app"]).await;
    }

    /// Starts the broker inside the node again, and waits until a client can log in.
    pub async fn start_app(&self) {
        self.rabbitmqctl(&["start_app"]).await;
        log_in(&self.url)
            .await
            .expect("start_app waits for the listeners");
    }

    /// Runs `rabbitmqctl` on this node and gives what it printed, without table
    /// headers. Panics with its words when it fails. What it says of numbers of
    /// messages lags by seconds: ask the broker over AMQP instead.
    pub async fn rabbitmqctl(&self, arguments: &[&str]) -> String {
        let output = Command::new(SCRIPT)
            .arg("rabbitmqctl")
            .arg(self.server.path())
            .args(arguments)
            .output()
            .await
            .expect("tests/support/private-server starts");
        assert!(
            output.status.success(),
            "rabbitmqctl {arguments:?}: {}",
            String::from_utf8_lossy(&output.stderr)
        );
        String::from_utf8_lossy(&output.stdout).into_owned()
    }
}

/// A whole handshake: a port that is open does not yet serve.
async fn log_in(url: &str) -> lapin::Result<()> {
    let connection = Connection::connect(url, ConnectionProperties::default()).await?;
    connection.close(200, "ready".into()).await
}
