//! Being told to stop by the operating system.

use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

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

/// Runs `work` to its end. The first signal cancels `stop`, so that it may finish what is in flight;
/// a second one gives it up, and there is no result.
pub async fn until_finished<T>(
    work: impl Future<Output = T>,
    stop: &CancellationToken,
) -> Option<T> {
    tokio::pin!(work);
    tokio::select! {
        result = &mut work => return Some(result),
        () = self::stop() => {}
    }
    tracing::info!("stopping: finishing what is in flight");
    stop.cancel();
    tokio::select! {
        result = &mut work => Some(result),
        () = self::stop() => None,
    }
}
