//! A `run` in either mode: embedded, and on servers.

use tempfile::TempDir;

use super::site::{Running, Site};
use crate::support::namespace::Namespace;
use crate::support::servers::{amqp_url, redis_url};

/// What is kept for as long as a `run` runs.
pub enum Kept {
    Directory(#[expect(dead_code, reason = "removed when dropped")] TempDir),
    Namespace(#[expect(dead_code, reason = "removed when dropped")] Namespace),
}

pub async fn embedded(settings: &[(&str, &str)]) -> (Kept, Site, Running) {
    let directory = tempfile::tempdir().unwrap();
    let data = ("PRISM_DATA_DIR", directory.path().to_str().unwrap());
    let site = Site::new(&[&[data], settings].concat());
    let running = site.start().await;
    (Kept::Directory(directory), site, running)
}

pub async fn on_servers(settings: &[(&str, &str)]) -> (Kept, Site, Running) {
    let namespace = Namespace::unique("running");
    let servers = [
        ("PRISM_NAMESPACE", namespace.as_str()),
        ("PRISM_AMQP_URL", amqp_url()),
        ("PRISM_REDIS_URL", redis_url()),
    ];
    let site = Site::new(&[&servers, settings].concat());
    let running = site.start().await;
    (Kept::Namespace(namespace), site, running)
}

/// Runs behaviours in either mode, under these settings.
macro_rules! in_either_mode {
    ($settings:expr => $($behaviour:ident),* $(,)?) => {
        mod embedded {
            $(
                #[tokio::test]
                async fn $behaviour() {
                    let (_kept, _site, running) = crate::running::modes::embedded($settings).await;
                    super::$behaviour(&running).await;
                    running.stop().await;
                }
            )*
        }

        mod on_servers {
            $(
                #[tokio::test]
                async fn $behaviour() {
                    let (_kept, _site, running) = crate::running::modes::on_servers($settings).await;
                    super::$behaviour(&running).await;
                    running.stop().await;
                }
            )*
        }
    };
}
pub(super) use in_either_mode;
