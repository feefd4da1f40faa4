//! The command `ready`: asks a `run` on this machine whether it can take events, for health checks
//! in images that have nothing else to ask with.

use std::io::Write as _;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use clap::Args;

use crate::config::Config;

use super::console::Console;
use super::failure::{ExitReason, Failure};

/// How long an answer may take.
const LIMIT: Duration = Duration::from_secs(4);

/// Ask the `run` of these settings, on this machine, whether it can take events
///
/// For health checks. Exit code 0: it can; 1: it cannot, and says why; 4: nobody answers.
#[derive(Debug, Args)]
pub struct ReadyArgs {}

/// Asks.
pub async fn run(_: &ReadyArgs, config: &Config, console: &mut Console) -> Result<(), Failure> {
    let url = format!("http://{}/readyz", reachable(config.listen));
    let nobody = |error: reqwest::Error| {
        let why = match error.is_timeout() {
            true => format!("no answer within {LIMIT:?}"),
            false => "nobody answers there".to_owned(),
        };
        Failure::new(
            ExitReason::Unavailable,
            format_args!(
                "{url}: {why}; start `run` with the same settings, or set PRISM_LISTEN to where it listens"
            ),
        )
    };
    let client = reqwest::Client::builder().no_proxy().timeout(LIMIT);
    let client = client.build().map_err(nobody)?;
    let response = client.get(&url).send().await.map_err(nobody)?;
    let ready = response.status().is_success();
    let said = response.text().await.map_err(nobody)?;
    if !ready {
        return Err(Failure::new(ExitReason::Failed, said.trim()));
    }
    Ok(writeln!(console.out, "{}", said.trim())?)
}

/// Where to ask a process that listens on `address`: whoever listens everywhere also does here.
fn reachable(address: SocketAddr) -> SocketAddr {
    let ip = match address.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        ip => ip,
    };
    SocketAddr::new(ip, address.port())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_listens_everywhere_is_asked_on_loopback() {
        let asked = |text: &str| reachable(text.parse().unwrap()).to_string();
        assert_eq!(asked("0.0.0.0:8080"), "127.0.0.1:8080");
        assert_eq!(asked("[::]:8080"), "[::1]:8080");
        assert_eq!(asked("127.0.0.1:1"), "127.0.0.1:1");
    }
}
