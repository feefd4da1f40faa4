//! Signing in and out.

use super::chrome::Browser;
use super::{paths, site};

const TOKEN: &str = "0123456789abcdef0123456789abcdef";

#[tokio::test]
async fn with_tokens_nobody_looks_without_signing_in() {
    let (_kept, running) = site::embedded(&[("PRISM_API_TOKEN", TOKEN)]).await;
    let mut browser = Browser::start(&running).await;
    browser.open(paths::LIST).await;
    browser.wait_for_path(paths::SIGN_IN).await;
    browser.fill("Token", "wrong").await;
    browser.click("button", "Sign in").await;
    browser
        .wait_for_text("none of the deployment's tokens")
        .await;
    // The browser tells its console of every refused form.
    browser.forgive("403");
    browser.fill("Token", TOKEN).await;
    browser.click("button", "Sign in").await;
    browser.find("heading", "Webhooks").await;
    browser.click("button", "Sign out").await;
    browser.wait_for_path(paths::SIGN_IN).await;
    browser.open(paths::NEW).await;
    browser.wait_for_path(paths::SIGN_IN).await;
    browser.close().await;
    running.stop().await;
}
