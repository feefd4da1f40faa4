//! That the machinery sees what it is there to see, and leaves nothing behind.

use super::chrome::{Browser, SOON};
use super::{paths, site};
use crate::support::deadline::{eventually, eventually_ok};

#[tokio::test]
async fn axe_finds_a_picture_without_a_name() {
    let (_kept, running) = site::embedded(&[]).await;
    let browser = Browser::start(&running).await;
    browser.open(paths::LIST).await;
    assert_eq!(browser.axe("as it is").await, Vec::<String>::new());
    let script = "document.querySelector('main').append(document.createElement('img'))";
    browser.script(script, vec![]).await;
    let found = browser.axe("with a picture").await.concat();
    assert!(found.contains("image-alt (critical)"), "{found}");
    browser.close().await;
    running.stop().await;
}

#[tokio::test]
async fn what_the_policy_refuses_is_complained_of() {
    let (_kept, running) = site::embedded(&[]).await;
    let browser = Browser::start(&running).await;
    browser.open(paths::LIST).await;
    assert_eq!(browser.complaints().await, Vec::<String>::new());
    let script = "const script = document.createElement('script');
                  script.textContent = '0'; document.body.append(script)";
    browser.script(script, vec![]).await;
    let complained = async || {
        let complaints = browser.complaints().await.concat();
        let found = complaints.contains("Content Security Policy");
        found.then_some(()).ok_or(complaints)
    };
    eventually_ok(SOON, "a complaint", complained).await;
    browser.close().await;
    running.stop().await;
}

#[tokio::test]
async fn a_test_that_fails_leaves_no_browser_behind() {
    let (_kept, running) = site::embedded(&[]).await;
    let browser = Browser::start(&running).await;
    let profile = browser.profile();
    assert!(processes_with(&profile) > 0, "Chromium names its profile");
    browser.kill();
    // Killed is not gone yet: the kernel takes a moment.
    let gone = async || (processes_with(&profile) == 0).then_some(());
    eventually(SOON, "every process is gone", gone).await;
    running.stop().await;
}

/// How many processes were started with this among their arguments.
fn processes_with(part: &str) -> usize {
    let all = std::fs::read_dir("/proc").expect("Linux");
    all.filter_map(Result::ok)
        .filter_map(|entry| std::fs::read(entry.path().join("cmdline")).ok())
        .filter(|arguments| String::from_utf8_lossy(arguments).contains(part))
        .count()
}
