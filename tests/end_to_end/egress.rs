//! Where requests may go: without an allow-list nothing private is ever connected to, however it
//! is written.

use crate::support::receiver::Receiver;

use super::deployment::{Deployment, field};

#[tokio::test]
async fn without_an_allow_list_no_form_of_a_private_address_gets_a_connection() {
    let deployment = Deployment::start("egress", &[("PRISM_ALLOW_NETWORKS", "")]).await;
    let broker = deployment.broker().await;
    let receiver = Receiver::ok();
    let hosts = [
        "localhost",
        "127.0.0.1",
        "[::ffff:127.0.0.1]",
        "[::1]",
        "0x7f.1",
        "2130706433",
        "127.1",
        "0",
        "[::ffff:7f00:1]",
        "017700000001",
    ];
    for host in hosts {
        let url = format!("http://{host}:{}/", receiver.port());
        if host != "localhost" {
            let create = ["webhooks", "create", "--name", host, "--url", &url];
            let refused = deployment.refused(&create, 1);
            assert!(
                refused.contains("loopback") || refused.contains("network"),
                "{refused}"
            );
        }
        // Registered where more is permitted: the worker judges each connection by itself.
        let permitted = ["--set", "allow_networks=0.0.0.0/0,::/0"];
        let once = ["--retry-max-attempts", "1"];
        deployment.webhook(host, &url, &[once, permitted].concat());
    }
    deployment.publish(&["error.occurred"]);
    let letters = deployment.dead_letters_when(&broker, hosts.len()).await;
    assert_eq!(
        field(&letters, "last_outcome"),
        ["address_refused"; 10],
        "{letters:#?}"
    );
    let attempts = deployment
        .attempts_when(hosts.len(), &["--outcome", "address_refused"])
        .await;
    for attempt in attempts {
        assert!(attempt["remote_addr"].is_null(), "{attempt:#?}");
        assert!(attempt["error"].is_string(), "it says why: {attempt:#?}");
    }
    assert_eq!((receiver.count(), receiver.connections()), (0, 0));
}

#[tokio::test]
async fn what_the_operator_denies_gets_no_connection_though_it_is_allowed() {
    let allowed = ("PRISM_ALLOW_NETWORKS", "127.0.0.0/8");
    let settings = [allowed, ("PRISM_DENY_NETWORKS", "127.0.0.2/31")];
    let deployment = Deployment::start("denied", &settings).await;
    let receiver = Receiver::ok();
    let url = format!("http://127.0.0.2:{}/", receiver.port());
    let create = ["webhooks", "create", "--name", "denied", "--url", &url];
    let refused = deployment.refused(&create, 1);
    assert!(
        refused.contains("in a network that deny_networks names"),
        "{refused}"
    );
    let once = ["--retry-max-attempts", "1", "--set", "deny_networks="];
    deployment.webhook("denied", &url, &once);
    deployment.publish(&["error.occurred"]);
    let refused = ["--outcome", "address_refused"];
    let attempts = deployment.attempts_when(1, &refused).await;
    assert!(attempts[0]["remote_addr"].is_null(), "{attempts:#?}");
    assert_eq!(receiver.connections(), 0);
}
