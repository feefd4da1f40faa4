//! New attempts as they are made, as server-sent events: where a reader goes on, and when they end.

use std::convert::Infallible;

use axum::http::HeaderMap;
use axum::response::sse::{Event, KeepAlive, Sse};
use futures::{Stream, StreamExt as _};

use super::cursor::Cursors;
use super::state::AppState;
use super::streams::{Holder, TooManyStreams};
use crate::domain::ids::Organization;
use crate::store::Unavailable;
use crate::store::delivery_log::{AttemptFilter, RecordedAttempt};
use crate::store::entry::EntryId;

/// Says where a reader goes on that lost the connection: the id of the last event that it had.
const LAST_EVENT_ID: &str = "last-event-id";

/// Why there is no stream.
#[derive(Debug, thiserror::Error)]
pub(super) enum NotLive {
    /// Whoever asks has as many as may be.
    #[error(transparent)]
    TooMany(#[from] TooManyStreams),
    /// The record cannot be read.
    #[error(transparent)]
    Unavailable(#[from] Unavailable),
}

/// Whose stream it is, and how it tells where it is.
pub(super) struct Listener {
    /// Whose streams it counts among.
    pub holder: Holder,
    /// The cursors of whoever listens.
    pub cursors: Cursors,
}

impl Listener {
    /// Whoever of this organization.
    pub async fn new(
        app: &AppState,
        holder: Holder,
        organization: &Organization,
    ) -> Result<Self, Unavailable> {
        let cursors = Cursors::of(app, organization).await?;
        Ok(Self { holder, cursors })
    }

    /// Where a reader goes on, if it says so; the inner one is absent if that is no entry of the record.
    pub fn last_event_id(&self, headers: &HeaderMap) -> Option<Option<EntryId>> {
        let value = headers.get(LAST_EVENT_ID)?;
        let text = value.to_str().ok();
        Some(text.and_then(|text| self.cursors.read(text)))
    }
}

/// The attempts that `filter` lets through, behind the entry `after` or else from now on, as events
/// that are called `name` and carry what `show` makes of them. They end once it is `over`, and when
/// the service is to stop.
pub(super) async fn attempts<F, O>(
    app: &AppState,
    listener: Listener,
    filter: AttemptFilter,
    after: Option<EntryId>,
    name: Option<&'static str>,
    over: O,
    show: F,
) -> Result<Sse<impl Stream<Item = Result<Event, Infallible>> + use<F, O>>, NotLive>
where
    F: Fn(RecordedAttempt, &Cursors) -> String + Send + 'static,
    O: Future<Output = ()> + Send + 'static,
{
    let permit = app.streams.begin(listener.holder)?;
    let cursors = listener.cursors;
    let attempts = app.deployment.delivery_log.follow(filter, after).await?;
    let events = attempts.map(move |one| {
        // It ends when the stream is dropped: when the reader has left, too.
        let _permit = &permit;
        let event = Event::default();
        let event = match name {
            Some(name) => event.event(name),
            None => event,
        };
        let id = cursors.seal(one.entry);
        Ok(event.id(id).data(show(one, &cursors)))
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
