//! One queue being consumed on one channel, until the channel dies.
//!
//! Two tasks share the work. The *reader* reads messages and offers them to the engine; a message
//! that is not taken leaves no room for the next, and the prefetch bounds what lapin has buffered
//! meanwhile. The [acker](Acker) alone acknowledges. It owns the channel, and a lapin channel without
//! recovery never comes back to life, so a tag can only ever reach the channel that it came from.

use std::time::Duration;

use futures::StreamExt;
use lapin::options::{BasicCancelOptions, BasicConsumeOptions, BasicQosOptions};
use lapin::types::FieldTable;
use lapin::{Channel, Connection, Consumer};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::acker::{Acker, Marks};
use super::life::Life;
use super::message::Received;
use crate::engine::ports::{Incoming, Message, Receipt, Settlement};

/// How long cancelling a consumer may take when the intake stops.
const CANCEL_LIMIT: Duration = Duration::from_secs(5);

/// The settings of a queue's consumer.
#[derive(Debug, Clone)]
pub(super) struct Plan {
    /// The queue.
    pub queue: String,
    /// How many messages may be unsettled at once.
    pub prefetch: u16,
    /// How its messages are read.
    pub decode: fn(Received) -> Message,
    /// Where its messages go.
    pub messages: mpsc::Sender<Incoming>,
    /// Where it is told which acknowledgements arrived.
    pub marks: Marks,
    /// Cancelled when no more messages are to be taken.
    pub stop: CancellationToken,
}

/// A queue being consumed.
#[derive(Debug)]
pub(super) struct QueueConsumer {
    reader: JoinHandle<()>,
    flush: CancellationToken,
    flushed: CancellationToken,
}

impl QueueConsumer {
    /// Starts to consume on a new channel of `connection`.
    pub(super) async fn open(
        plan: &Plan,
        connection: &Connection,
        life: &Life,
    ) -> lapin::Result<Self> {
        let channel = connection.create_channel().await?;
        channel
            .basic_qos(plan.prefetch, BasicQosOptions::default())
            .await?;
        let consumer = channel
            .basic_consume(
                plan.queue.as_str().into(),
                "".into(),
                BasicConsumeOptions::default(),
                FieldTable::default(),
            )
            .await?;
        let (settlements, settled) = mpsc::unbounded_channel();
        let flush = CancellationToken::new();
        let flushed = CancellationToken::new();
        let acker = Acker::new(&channel, plan.prefetch, life, &plan.marks, settled, &flush);
        let done = flushed.clone().drop_guard();
        tokio::spawn(async move { acker.run(done).await });
        let reader = Reader {
            channel,
            consumer,
            plan: plan.clone(),
            settlements,
            life: life.clone(),
        };
        let reader = tokio::spawn(reader.run());
        Ok(Self {
            reader,
            flush,
            flushed,
        })
    }

    /// After the intake has been stopped: returns once what was settled so far is acknowledged.
    pub(super) async fn finish(self) {
        // A panic in it has been reported already.
        let _ = self.reader.await;
        self.flush.cancel();
        self.flushed.cancelled().await;
    }
}

// ------------------------------------------------------------------------------------- the reader

struct Reader {
    channel: Channel,
    consumer: Consumer,
    plan: Plan,
    settlements: mpsc::UnboundedSender<Settlement>,
    life: Life,
}

impl Reader {
    async fn run(mut self) {
        let life = self.life.clone();
        tokio::select! {
            biased;
            _ = life.ended() => {}
            () = self.take() => self.stop().await,
        }
    }

    /// Hands messages out until the intake is stopped.
    async fn take(&mut self) {
        let stop = self.plan.stop.clone();
        loop {
            let room = tokio::select! {
                biased;
                () = stop.cancelled() => return,
                room = self.plan.messages.reserve() => room,
            };
            // Nobody receives any more, which stops this consumer as well.
            let Ok(room) = room else { return };
            let next = tokio::select! {
                biased;
                () = stop.cancelled() => return,
                next = self.consumer.next() => next,
            };
            let problem = match next {
                Some(Ok(message)) => {
                    let tag = message.delivery_tag;
                    room.send(Incoming {
                        redelivered: message.redelivered,
                        message: (self.plan.decode)(message.into()),
                        receipt: Receipt::new(tag, self.settlements.clone())
                            .until(self.life.over().clone()),
                    });
                    continue;
                }
                Some(Err(error)) => format!("consuming {} failed: {error}", self.plan.queue),
                None => format!("RabbitMQ cancelled the consumer of {}", self.plan.queue),
            };
            self.life.end(problem);
            std::future::pending::<()>().await;
        }
    }

    /// Tells the broker to send no more, and returns what had come and was not handed out.
    async fn stop(&mut self) {
        let stopping = async {
            let tag = self.consumer.tag();
            self.channel
                .basic_cancel(tag, BasicCancelOptions::default())
                .await?;
            // The stream ends behind what was buffered when the broker confirmed.
            while let Some(message) = self.consumer.next().await {
                drop(Receipt::new(
                    message?.delivery_tag,
                    self.settlements.clone(),
                ));
            }
            Ok::<(), lapin::Error>(())
        };
        if !matches!(
            tokio::time::timeout(CANCEL_LIMIT, stopping).await,
            Ok(Ok(()))
        ) {
            let queue = &self.plan.queue;
            self.life
                .end(format!("the consumer of {queue} could not be cancelled"));
        }
    }
}
