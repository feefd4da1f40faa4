//! New attempts as they are made, as server-sent events: where a reader goes on, and when they end.

use std::convert::Infallible;

use axum::http::HeaderMap;
use axum::response::sse::{Event, KeepAlive, Sse};
use futures::{Stream, StreamExt as _};

use super::cursor::Cursor;
use super::state::AppState;
use crate::store::Unavailable;
use crate::store::delivery_log::{AttemptFilter, RecordedAttempt};

/// Says where a reader goes on that lost the connection: the id of the last event that it had.
const LAST_EVENT_ID: &str = "last-event-id";

/// Where a reader goes on, if it says so; the inner one is absent if that is no entry of the record.
pub(super) fn last_event_id(headers: &HeaderMap) -> Option<Option<Cursor>> {
    let value = headers.get(LAST_EVENT_ID)?;
    Some(value.to_str().ok().and_then(Cursor::new))
}

/// The attempts that `filter` lets through, behind the entry `after` or else from now on, as events
/// that are called `name` and carry what `show` makes of them. They end once it is `over`, and when
/// the service is to stop.
pub(super) async fn attempts<F, O>(
    app: &AppState,
    filter: AttemptFilter,
    after: Option<Cursor>,
    name: Option<&'static str>,
    over: O,
    show: F,
) -> Result<Sse<impl Stream<Item = Result<Event, Infallible>> + use<F, O>>, Unavailable>
where
    F: Fn(RecordedAttempt) -> String + Send + 'static,
    O: Future<Output = ()> + Send + 'static,
{
    let after = after.map(Cursor::entry);
    let attempts = app.deployment.delivery_log.follow(filter, after).await?;
    let events = attempts.map(move |one| {
        let event = Event::default();
        let event = match name {
            Some(name) => event.event(name),
            None => event,
        };
        Ok(event.id(one.entry.to_string()).data(show(one)))
    });
    let stop = app.stop.clone().cancelled_owned();
    let events = events.take_until(Box::pin(async move {
        tokio::select! {
            () = stop => {}
            () = over => {}
        }
    }));
    Ok(Sse::new(events).keep_alive(KeepAlive::default()))
}
