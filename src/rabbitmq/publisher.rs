//! Handing over what comes next: a connection of its own, since a broker short of memory or disk
//! blocks a connection that publishes, acknowledgements and all.
//!
//! A hand-over never gives up: whatever goes wrong, it waits and publishes again, until it is
//! confirmed or the publisher is told to stop.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use jiff::Timestamp;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::confirm::{Confirmer, Patience, Unconfirmed};
use super::connection::{ConnectError, Purpose, STEADY, Server, close, until_dead};
use super::dead_letter_message::DeadLetterMessage;
use super::message::{self, LONGEST_NAME, Outgoing};
use super::topology::Topology;
use super::waits::{Place, Waits};
use crate::domain::delivery::Delivery;
use crate::domain::event::RawEvent;
use crate::engine::ports::{FollowUp, Handover, Stopped};
use crate::reconnect::Reconnect;
use crate::store::letter_index::LetterIndex;

/// Publishes to the broker. Clones share one connection.
#[derive(Debug, Clone)]
pub struct Publisher {
    link: watch::Receiver<Link>,
    topology: Arc<Topology>,
    waits: Arc<Mutex<Waits>>,
    letters: Option<Letters>,
    outages: Arc<OutageLog>,
    stop: CancellationToken,
    supervisor: Arc<tokio::sync::Mutex<Option<JoinHandle<()>>>>,
}

/// The index that dead letters are entered in.
#[derive(Clone)]
struct Letters(Arc<dyn LetterIndex>);

impl fmt::Debug for Letters {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Letters")
    }
}

/// The state of the connection.
#[derive(Debug, Clone)]
enum Link {
    /// There is none, and this is why, once that is known.
    Down(Option<Arc<ConnectError>>),
    /// There is one.
    Up(Arc<Confirmer>),
}

/// An event could not be published.
#[derive(Debug, thiserror::Error)]
pub enum PublishError {
    /// The routing key or the message id is longer than AMQP allows.
    #[error("the {what} has {size} bytes; AMQP takes at most {LONGEST_NAME}")]
    TooLong {
        /// Which of the two.
        what: &'static str,
        /// Its size in bytes.
        size: usize,
    },
    /// There is no connection.
    #[error(transparent)]
    Connect(Arc<ConnectError>),
    /// The message was not confirmed.
    #[error(transparent)]
    Unconfirmed(#[from] Unconfirmed),
    /// The publisher was stopped.
    #[error(transparent)]
    Stopped(#[from] Stopped),
}

impl Publisher {
    /// Starts to connect in the background, and stops for good when `stop` is cancelled: what is
    /// not confirmed by then is not handed over.
    pub fn start(server: Server, topology: Arc<Topology>, stop: CancellationToken) -> Self {
        let (state, link) = watch::channel(Link::Down(None));
        let supervisor = tokio::spawn(supervise(server, state, stop.clone()));
        Self {
            link,
            topology,
            waits: Arc::new(Mutex::new(Waits::new(Instant::now()))),
            letters: None,
            outages: Arc::default(),
            stop,
            supervisor: Arc::new(tokio::sync::Mutex::new(Some(supervisor))),
        }
    }

    /// The same, but dead letters are entered in their index before they are published.
    pub fn with_index(mut self, letters: Arc<dyn LetterIndex>) -> Self {
        self.letters = Some(Letters(letters));
        self
    }

    /// Publishes an event as the gateway would, once: the caller decides what a failure means.
    /// Waits while a connection is being made, and fails when that does.
    pub async fn publish_event(&self, event: &RawEvent) -> Result<(), PublishError> {
        let names = [
            ("routing key", Some(&event.routing_key)),
            ("message id", event.message_id.as_ref()),
        ];
        for (what, name) in names {
            if let Some(size) = name.map(String::len).filter(|size| *size > LONGEST_NAME) {
                return Err(PublishError::TooLong { what, size });
            }
        }
        let stamp = event.stamp.clone().unwrap_or_else(message::new_stamp);
        let event = &RawEvent {
            stamp: Some(stamp),
            ..event.clone()
        };
        let outgoing = message::encode_raw(event).for_exchange(
            self.topology.exchange().into(),
            event.routing_key.as_str().into(),
        );
        let confirmer = self.connected().await?;
        tokio::select! {
            published = confirmer.publish(&outgoing, Patience::Briefly) => Ok(published?),
            () = self.stop.cancelled() => Err(Stopped.into()),
        }
    }

    /// Hands a delivery over, once: somebody waits for an answer. Waits while a connection is being
    /// made, and fails when that does.
    pub async fn enqueue(&self, delivery: Delivery) -> Result<(), PublishError> {
        let follow_up = FollowUp::Enqueue(delivery);
        let outgoing = message::encode(&follow_up, &self.topology, Timestamp::now());
        let confirmer = self.connected().await?;
        tokio::select! {
            published = confirmer.publish(&outgoing, Patience::Briefly) => Ok(published?),
            () = self.stop.cancelled() => Err(Stopped.into()),
        }
    }

    /// Says why no event can be published now, if that is so: there is no connection, no exchange or
    /// no permission, or the broker takes nothing. Waits while a connection is being made.
    pub async fn ready(&self) -> Result<(), PublishError> {
        let confirmer = self.connected().await?;
        let probe = message::encode_raw(&RawEvent::default());
        let probe = probe.for_exchange("".into(), self.topology.no_queue().into());
        Ok(confirmer
            .can_publish(self.topology.exchange(), &probe)
            .await?)
    }

    /// The connection there is. Waits while one is being made, and fails when that does.
    async fn connected(&self) -> Result<Arc<Confirmer>, PublishError> {
        let mut link = self.link.clone();
        let known = tokio::select! {
            known = link.wait_for(|link| !matches!(link, Link::Down(None))) => {
                known.map(|link| link.clone())
            }
            () = self.stop.cancelled() => return Err(Stopped.into()),
        };
        match known {
            Ok(Link::Up(confirmer)) => Ok(confirmer),
            Ok(Link::Down(Some(error))) => Err(PublishError::Connect(error)),
            Ok(Link::Down(None)) | Err(_) => Err(Stopped.into()),
        }
    }

    /// Stops, and returns once the connection is closed.
    pub async fn close(&self) {
        self.stop.cancel();
        if let Some(supervisor) = self.supervisor.lock().await.take() {
            // The supervisor ends by itself, and a panic in it has been reported already.
            let _ = supervisor.await;
        }
    }

    /// Chooses where a delivery that is put off waits.
    fn choose_queue(&self, follow_up: FollowUp) -> FollowUp {
        let mut waits = self.waits.lock().unwrap_or_else(PoisonError::into_inner);
        let (steps, now) = (self.topology.steps(), Instant::now());
        match follow_up {
            FollowUp::Delay(delivery, step) => {
                waits.full_step(step, now);
                FollowUp::Delay(delivery, step)
            }
            FollowUp::Defer(delivery, delay) => {
                placed(delivery, delay, waits.place(delay, steps, now))
            }
            FollowUp::DeferInLine(delivery, delay) => {
                placed(delivery, delay, waits.place_in_line(delay, steps, now))
            }
            other => other,
        }
    }

    async fn until_confirmed(&self, outgoing: &Outgoing) {
        let mut waits = Reconnect::new();
        let mut link = self.link.clone();
        loop {
            let up = link
                .wait_for(|link| matches!(link, Link::Up(_)))
                .await
                .map(|link| link.clone());
            let Ok(Link::Up(confirmer)) = up else {
                // The supervisor has gone: only stopping ends this.
                return std::future::pending().await;
            };
            match confirmer.publish(outgoing, Patience::WhileItMayCome).await {
                Ok(()) => return self.outages.over(outgoing),
                Err(error) => self.outages.note(outgoing, &error),
            }
            tokio::time::sleep(waits.next_wait()).await;
        }
    }
}

#[async_trait]
impl Handover for Publisher {
    async fn hand_over(&self, follow_up: FollowUp) -> Result<(), Stopped> {
        let follow_up = self.choose_queue(follow_up);
        let outgoing = message::encode(&follow_up, &self.topology, Timestamp::now());
        let publishing = async {
            match &self.letters {
                Some(Letters(index)) if matches!(follow_up, FollowUp::DeadLetter(_)) => {
                    let letter = DeadLetterMessage::new(outgoing.clone().into(), &self.topology);
                    let letter = letter.indexed(&self.topology);
                    index.expect(&letter).await;
                    self.until_confirmed(&outgoing).await;
                    index.confirm(&letter).await;
                }
                _ => self.until_confirmed(&outgoing).await,
            }
        };
        tokio::select! {
            biased;
            () = self.stop.cancelled() => Err(Stopped),
            () = publishing => Ok(()),
        }
    }
}

/// Which addresses have been failing since when, so that the log says when it begins and when it
/// is over instead of repeating itself with every try of every message.
#[derive(Debug, Default)]
struct OutageLog(Mutex<HashMap<(String, String), Outage>>);

#[derive(Debug)]
struct Outage {
    since: Instant,
    failures: u64,
}

impl OutageLog {
    fn note(&self, message: &Outgoing, error: &Unconfirmed) {
        let mut outages = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let trouble = outages.entry(address(message)).or_insert_with(|| {
            tracing::warn!(
                exchange = message.exchange.as_str(),
                routing_key = message.routing_key.as_str(),
                %error,
                "a message could not be handed over; trying again until it can"
            );
            Outage {
                since: Instant::now(),
                failures: 0,
            }
        });
        trouble.failures += 1;
    }

    fn over(&self, message: &Outgoing) {
        let mut outages = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if outages.is_empty() {
            return;
        }
        if let Some(trouble) = outages.remove(&address(message)) {
            tracing::warn!(
                exchange = message.exchange.as_str(),
                routing_key = message.routing_key.as_str(),
                failures = trouble.failures,
                seconds = trouble.since.elapsed().as_secs(),
                "messages are handed over again"
            );
        }
    }
}

/// Puts a delivery off to this place.
fn placed(delivery: Delivery, delay: Duration, place: Place) -> FollowUp {
    match place {
        Place::UntilItsEnd => FollowUp::Defer(delivery, delay),
        Place::First { step, rest } => FollowUp::Delay(delivery.deferred(Some(rest)), step),
    }
}

fn address(message: &Outgoing) -> (String, String) {
    (
        message.exchange.to_string(),
        message.routing_key.to_string(),
    )
}

/// Keeps a connection up until `stop`.
async fn supervise(server: Server, state: watch::Sender<Link>, stop: CancellationToken) {
    let mut waits = Reconnect::new();
    let mut down = false;
    loop {
        let connecting = server.connect(Purpose::Publish);
        let connected = tokio::select! {
            connected = connecting => connected,
            () = stop.cancelled() => return,
        };
        match connected {
            Ok(connection) => {
                if std::mem::take(&mut down) {
                    tracing::warn!(server = server.address(), "publishing again");
                }
                let up_at = Instant::now();
                let confirmer = Arc::new(Confirmer::new(connection));
                state.send_replace(Link::Up(Arc::clone(&confirmer)));
                let reason = tokio::select! {
                    reason = until_dead(confirmer.connection()) => reason,
                    () = stop.cancelled() => {
                        state.send_replace(Link::Down(None));
                        close(confirmer.connection()).await;
                        return;
                    }
                };
                down = true;
                tracing::warn!(
                    server = server.address(),
                    reason,
                    "lost the connection to publish on"
                );
                state.send_replace(Link::Down(None));
                if up_at.elapsed() > STEADY {
                    waits.succeeded();
                }
            }
            Err(error) => {
                if !std::mem::replace(&mut down, true) {
                    tracing::warn!(%error, "cannot publish; trying again until it works");
                }
                state.send_replace(Link::Down(Some(Arc::new(error))));
            }
        }
        tokio::select! {
            () = tokio::time::sleep(waits.next_wait()) => {}
            () = stop.cancelled() => return,
        }
    }
}
