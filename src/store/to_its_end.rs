//! Work that goes on to its end, whether or not whoever asked for it waits.

use std::panic::resume_unwind;

use super::Unavailable;

/// Does `work` in a task of its own, and waits for it. Whoever is gone before it is over ends only the
/// waiting: what belongs together is done together. Must be called on a Tokio runtime.
pub(crate) async fn to_its_end<T: Send + 'static>(
    work: impl Future<Output = T> + Send + 'static,
) -> Result<T, Unavailable> {
    tokio::spawn(work)
        .await
        .map_err(|error| match error.try_into_panic() {
            Ok(panic) => resume_unwind(panic),
            // The runtime is going down.
            Err(cancelled) => Unavailable::new(cancelled),
        })
}

#[cfg(test)]
mod tests {
    use futures::FutureExt as _;
    use tokio::sync::oneshot;

    use super::*;

    #[tokio::test]
    async fn what_nobody_waits_for_any_more_is_done_all_the_same() {
        let (go, may_go) = oneshot::channel::<()>();
        let (tell, told) = oneshot::channel();
        let mut work = Box::pin(to_its_end(async move {
            let _ = may_go.await;
            let _ = tell.send("done");
        }));
        assert!(work.as_mut().now_or_never().is_none());
        drop(work);
        go.send(()).unwrap();
        assert_eq!(told.await, Ok("done"));
    }
}
