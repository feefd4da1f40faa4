//! Being told to stop by the operating system.

use tokio::signal::unix::{SignalKind, signal};

/// Returns once the process has got SIGTERM or SIGINT.
pub async fn stop() {
    let (Ok(mut term), Ok(mut int)) = (
        signal(SignalKind::terminate()),
        signal(SignalKind::interrupt()),
    ) else {
        // Without handlers the system ends the process itself.
        return std::future::pending().await;
    };
    tokio::select! {
        _ = term.recv() => {}
        _ = int.recv() => {}
    }
}
