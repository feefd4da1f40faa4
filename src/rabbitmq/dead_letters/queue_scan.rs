//! Taking dead letters off the queue's front, and giving back what is not to go.

use std::time::Duration;

use futures::StreamExt;
use lapin::message::Delivery;
use lapin::options::{BasicAckOptions, BasicConsumeOptions, BasicGetOptions, BasicQosOptions};
use lapin::types::FieldTable;
use lapin::{Channel, Connection, Consumer};
use tokio::time::Instant;

use crate::rabbitmq::ack_tracker::{AckTracker, MAX_ACK_DELAY};
use crate::rabbitmq::connection::let_acks_land;
use crate::rabbitmq::declare;

/// How long the queue may be silent before it counts as having no more. The letters counted at the
/// start may have been taken by somebody else meanwhile.
const SILENCE: Duration = Duration::from_secs(3);

/// How long to wait for the broker to put back what was given back.
const BACK_LIMIT: Duration = Duration::from_secs(5);

/// How letters come.
enum Supply {
    /// The broker sends as many as may be in hand.
    Sent(Consumer),
    /// Each is asked for: between one and the next none is in hand.
    Asked,
}

/// The letters that were there at the start, one after the other.
pub(super) struct QueueScan {
    channel: Channel,
    queue: String,
    supply: Supply,
    total: u64,
    taken: u64,
    acks: AckTracker,
    acked: u64,
    started_at: Instant,
}

impl QueueScan {
    /// Starts to take the first `total` messages of `queue`, with so many in hand at most, or one by
    /// one as they are asked for.
    pub(super) async fn start(
        connection: &Connection,
        queue: &str,
        total: u64,
        prefetch: Option<u16>,
    ) -> lapin::Result<Self> {
        let channel = connection.create_channel().await?;
        let supply = match prefetch {
            None => Supply::Asked,
            Some(prefetch) => {
                let qos = BasicQosOptions::default();
                channel.basic_qos(prefetch, qos).await?;
                let options = BasicConsumeOptions::default();
                let consuming =
                    channel.basic_consume(queue.into(), "".into(), options, FieldTable::default());
                Supply::Sent(consuming.await?)
            }
        };
        Ok(Self {
            channel,
            queue: queue.to_owned(),
            supply,
            total,
            taken: 0,
            acks: AckTracker::default(),
            acked: 0,
            started_at: Instant::now(),
        })
    }

    /// Whether all that were there at the start have come.
    pub(super) fn complete(&self) -> bool {
        self.taken >= self.total
    }

    /// Whether a letter comes only when it is asked for, which must then be waited for.
    pub(super) fn is_asked(&self) -> bool {
        matches!(self.supply, Supply::Asked)
    }

    /// The next letter; `None` once all have come, or if there is none, or none comes for a while.
    pub(super) async fn next(&mut self) -> lapin::Result<Option<Delivery>> {
        if self.complete() {
            return Ok(None);
        }
        let next = match &mut self.supply {
            Supply::Sent(consumer) => {
                let next = tokio::time::timeout(SILENCE, consumer.next()).await;
                next.ok().flatten().transpose()?
            }
            Supply::Asked => {
                let queue = self.queue.as_str().into();
                let got = self.channel.basic_get(queue, BasicGetOptions::default());
                got.await?.map(|message| message.delivery)
            }
        };
        self.taken += u64::from(next.is_some());
        Ok(next)
    }

    /// The letter `tag` may go. Those that may go do so in runs: nobody waits for one alone, which
    /// is why time stands still for the tracker.
    pub(super) async fn ack(&mut self, tag: u64) -> lapin::Result<()> {
        self.acked += 1;
        self.acks.settled(tag, self.started_at);
        self.send_acks(self.started_at).await
    }

    async fn send_acks(&mut self, now: Instant) -> lapin::Result<()> {
        let plan = self.acks.plan(now);
        if let Some(tag) = plan.up_to {
            self.channel
                .basic_ack(tag, BasicAckOptions { multiple: true })
                .await?;
        }
        for tag in plan.singles {
            self.channel
                .basic_ack(tag, BasicAckOptions { multiple: false })
                .await?;
        }
        Ok(())
    }

    /// Gives back what was taken and may not go, in the old order, and waits until it is there
    /// again: who comes next must not find the queue empty.
    pub(super) async fn give_back(
        mut self,
        connection: &Connection,
        queue: &str,
    ) -> lapin::Result<()> {
        if self.acked > 0 {
            self.send_acks(self.started_at + MAX_ACK_DELAY).await?;
            let_acks_land().await;
        }
        self.channel.close(200, "OK".into()).await?;
        let expected = self.total - self.acked;
        let start = Instant::now();
        while start.elapsed() < BACK_LIMIT {
            if u64::from(declare::look(queue, connection).await?.messages) >= expected {
                break;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        Ok(())
    }
}
