//! Whether messages can be published now: asked of the broker, without a message that anybody gets.

use std::sync::atomic::Ordering;
use std::time::Duration;

use lapin::options::{
    BasicPublishOptions, ConfirmSelectOptions, ExchangeDeclareOptions, ExchangeUnbindOptions,
};
use lapin::types::{FieldTable, ShortString};
use lapin::{BasicProperties, Channel, ExchangeKind};

use super::confirm::{ANSWER_LIMIT, Confirmer, Patience, Unconfirmed, refusal};
use super::connection::{ACCESS_REFUSED, PRECONDITION_FAILED, reply_code};
use super::message::Outgoing;

/// A routing key that nothing is bound with.
const NO_KEY: &str = "prism-webhooks.may-this-be-published";

/// How often it is looked whether the broker blocks the connection.
const TICK: Duration = Duration::from_millis(100);

impl Confirmer {
    /// Says why nothing can be published now, if that is so: the exchange is missing, the broker's user
    /// may not, or the broker takes nothing. `probe` is a message to a queue that does not exist: the
    /// broker tells that it is short of memory or disk only to whoever publishes.
    pub(super) async fn can_publish(
        &self,
        exchange: &str,
        probe: &Outgoing,
    ) -> Result<(), Unconfirmed> {
        if self.connection().status().blocked() {
            return Err(Unconfirmed::Blocked);
        }
        // The probe comes first: the broker may still take it, and then answers nothing.
        match self.answered(self.publish(probe, Patience::Briefly)).await {
            Ok(()) | Err(Unconfirmed::Unroutable { .. }) => {}
            Err(Unconfirmed::BlockedMeanwhile) => return Err(Unconfirmed::Blocked),
            Err(error) => return Err(error),
        }
        self.answered(self.exchange_serves(exchange)).await
    }

    async fn exchange_serves(&self, exchange: &str) -> Result<(), Unconfirmed> {
        let refused = |source| refusal(exchange, source);
        // What is refused closes the channel, so it is one of its own.
        let channel = self.connection().create_channel().await?;
        exchange_is_there(&channel, exchange)
            .await
            .map_err(refused)?;
        // Once for each connection: a permission that is taken away is told to whoever publishes.
        if !self.permitted.load(Ordering::Relaxed) {
            self.may_write(&channel, exchange).await.map_err(refused)?;
            self.permitted.store(true, Ordering::Relaxed);
        }
        Ok(())
    }

    /// Removes a binding that does not exist, which takes the permissions to write to the exchange and to
    /// read from it. Where one is lacking, a message that no broker takes tells which: its expiration is
    /// no number, and that is looked at after the permission to write. The broker's log has it as an
    /// error, so it is not the first thing to be asked.
    async fn may_write(&self, channel: &Channel, exchange: &str) -> lapin::Result<()> {
        let (options, none) = (ExchangeUnbindOptions::default(), FieldTable::default());
        let (exchange, key) = (ShortString::from(exchange), ShortString::from(NO_KEY));
        let unbinding = channel.exchange_unbind(
            exchange.clone(),
            exchange.clone(),
            key.clone(),
            options,
            none,
        );
        match unbinding.await {
            Err(refused) if reply_code(&refused) == Some(ACCESS_REFUSED) => {}
            answer => return answer,
        }
        let channel = self.connection().create_channel().await?;
        channel
            .confirm_select(ConfirmSelectOptions::default())
            .await?;
        let nonsense = BasicProperties::default().with_expiration("no number".into());
        let options = BasicPublishOptions::default();
        let published = channel.basic_publish(exchange, key, options, &[], nonsense);
        let refused = match published.await {
            Ok(confirm) => confirm.await.err(),
            Err(error) => Some(error),
        };
        match refused {
            Some(refused) if reply_code(&refused) != Some(PRECONDITION_FAILED) => Err(refused),
            _ => Ok(()),
        }
    }

    /// The answer to a question, for as long as one can be expected.
    async fn answered<T>(
        &self,
        asking: impl Future<Output = Result<T, Unconfirmed>>,
    ) -> Result<T, Unconfirmed> {
        let blocked = async {
            while !self.connection().status().blocked() {
                tokio::time::sleep(TICK).await;
            }
        };
        tokio::select! {
            biased;
            answer = asking => answer,
            () = blocked => Err(Unconfirmed::Blocked),
            () = tokio::time::sleep(ANSWER_LIMIT) => Err(Unconfirmed::Silent),
        }
    }
}

async fn exchange_is_there(channel: &Channel, exchange: &str) -> lapin::Result<()> {
    let passive = ExchangeDeclareOptions {
        passive: true,
        ..Default::default()
    };
    let (name, kind) = (exchange.into(), ExchangeKind::Topic);
    channel
        .exchange_declare(name, kind, passive, FieldTable::default())
        .await
}
