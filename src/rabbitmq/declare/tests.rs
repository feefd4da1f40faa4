use std::time::Duration;

use super::*;

fn object(name: &str) -> Object {
    let topology = Topology::new("ns", [], Duration::from_secs(1));
    topology
        .objects()
        .into_iter()
        .find(|object| object.name == name)
        .unwrap()
}

#[track_caller]
fn assert_read(name: &str, text: &str, expected: (&str, &str, &str)) {
    match mismatch(&object(name), text) {
        TopologyError::Mismatch {
            argument,
            present,
            wanted,
            ..
        } => {
            assert_eq!((&*argument, &*present, &*wanted), expected);
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn the_brokers_text_is_read() {
    assert_read(
        "ns.webhooks.delay.1s",
        "PRECONDITION_FAILED - inequivalent arg 'x-message-ttl' for queue \
         'ns.webhooks.delay.1s' in vhost '/': received the value '1000' of type 'signedint' \
         but current is the value '2000' of type 'signedint'",
        ("x-message-ttl", "2000", "1000"),
    );
    assert_read(
        "ns.webhooks.delay.1s",
        "PRECONDITION_FAILED - inequivalent arg 'x-overflow' for queue 'q' in vhost '/': \
         received the value 'reject-publish' of type 'longstr' but current is none",
        ("x-overflow", "none", "reject-publish"),
    );
    assert_read(
        "ns.webhooks.delay.1s",
        "PRECONDITION_FAILED - inequivalent arg 'durable' for queue 'q' in vhost '/': \
         received 'true' but current is 'false'",
        ("durable", "false", "true"),
    );
    assert_read(
        "ns.events",
        "PRECONDITION_FAILED - inequivalent arg 'type' for exchange 'ns.events' in vhost '/': \
         received 'topic' but current is 'direct'",
        ("type", "direct", "topic"),
    );
}

#[test]
fn the_mend_says_how_a_queue_is_emptied_and_an_empty_value_is_seen() {
    let text = "inequivalent arg 'x-dead-letter-exchange' for queue 'q' in vhost '/': received \
                the value '' of type 'longstr' but current is none";
    let said = |name: &str| mismatch(&object(name), text).to_string();
    let letters = said("ns.webhooks.dead-letters");
    assert!(letters.contains("dead-letters requeue"), "{letters}");
    let deliveries = said("ns.webhooks.deliveries");
    assert!(deliveries.contains("wanted is \"\""), "{deliveries}");
    assert!(
        deliveries.contains("a worker that was running before"),
        "{deliveries}"
    );
}

#[test]
fn a_text_that_was_cut_or_is_unknown_still_says_what_it_can() {
    let cut = "PRECONDITION_FAILED - inequivalent arg 'x-message-ttl' for queue 'ns.we";
    let error = mismatch(&object("ns.webhooks.delay.1s"), cut).to_string();
    assert!(
        error.contains("x-message-ttl is not what it should be"),
        "{error}"
    );
    assert!(error.contains("wanted is 1000"), "{error}");
    assert!(error.contains("if it has an x-message-ttl"), "{error}");
    let error = mismatch(&object("ns.events"), "PRECONDITION_FAILED - no").to_string();
    assert!(error.contains("PRECONDITION_FAILED - no"), "{error}");
}
