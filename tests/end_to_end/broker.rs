//! The broker as others use it: a gateway that keeps the contract for events, or breaks it.

use lapin::options::{BasicPublishOptions, ConfirmSelectOptions, QueueDeclareOptions};
use lapin::types::{AMQPValue, FieldTable};
use lapin::{BasicProperties, Channel, Connection, ConnectionProperties};

use crate::support::servers::amqp_url;

/// A connection with a channel that confirms.
pub struct Broker {
    _connection: Connection,
    channel: Channel,
    namespace: String,
}

/// A message, as anybody may publish it.
pub struct Message {
    routing_key: String,
    body: Vec<u8>,
    id: Option<String>,
    expiration: Option<String>,
    headers: FieldTable,
}

impl Message {
    /// A message with this routing key and body and nothing else.
    pub fn new(routing_key: &str, body: impl Into<Vec<u8>>) -> Self {
        Self {
            routing_key: routing_key.to_owned(),
            body: body.into(),
            id: None,
            expiration: None,
            headers: FieldTable::default(),
        }
    }

    /// An event as the gateway publishes it, under this id.
    pub fn event(event_type: &str, id: &str) -> Self {
        let body = serde_json::json!({"event": event_type, "request_id": id}).to_string();
        Self::new(event_type, body).id(id)
    }

    /// Sets the `message_id`.
    pub fn id(mut self, id: &str) -> Self {
        self.id = Some(id.to_owned());
        self
    }

    /// Sets the `expiration`, in milliseconds.
    pub fn expiration(mut self, millis: &str) -> Self {
        self.expiration = Some(millis.to_owned());
        self
    }

    /// Adds a header of any kind.
    pub fn header(mut self, name: &str, value: AMQPValue) -> Self {
        self.headers.insert(name.into(), value);
        self
    }

    /// Adds the header `organization`.
    pub fn organization(self, name: &str) -> Self {
        self.header("organization", AMQPValue::LongString(name.into()))
    }
}

impl Broker {
    /// Connects.
    pub async fn connect(namespace: &str) -> Self {
        let connection = Connection::connect(amqp_url(), ConnectionProperties::default())
            .await
            .expect("the shared RabbitMQ lets us in");
        let channel = connection.create_channel().await.expect("a channel");
        let options = ConfirmSelectOptions::default();
        channel.confirm_select(options).await.expect("confirms");
        Self {
            _connection: connection,
            channel,
            namespace: namespace.to_owned(),
        }
    }

    /// The channel, for what nothing here does.
    pub fn channel(&self) -> &Channel {
        &self.channel
    }

    /// Publishes to the exchange of events.
    pub async fn publish(&self, message: Message) {
        let exchange = format!("{}.events", self.namespace);
        let key = message.routing_key.clone();
        self.send(&exchange, &key, message).await;
    }

    /// Puts a message straight into the queue `<ns>.<queue>`, past the exchange.
    pub async fn put(&self, queue: &str, message: Message) {
        let queue = format!("{}.{queue}", self.namespace);
        self.send("", &queue, message).await;
    }

    async fn send(&self, exchange: &str, routing_key: &str, message: Message) {
        let mut properties = BasicProperties::default().with_headers(message.headers);
        if let Some(id) = message.id {
            properties = properties.with_message_id(id.into());
        }
        if let Some(millis) = message.expiration {
            properties = properties.with_expiration(millis.into());
        }
        let mandatory = BasicPublishOptions {
            mandatory: true,
            ..Default::default()
        };
        let (exchange, routing_key) = (exchange.into(), routing_key.into());
        let publishing =
            self.channel
                .basic_publish(exchange, routing_key, mandatory, &message.body, properties);
        let confirmation = publishing
            .await
            .expect("the channel is open")
            .await
            .expect("the broker confirms");
        assert!(confirmation.is_ack(), "{confirmation:?}");
        assert!(confirmation.take_message().is_none(), "it was unroutable");
    }

    /// How many messages wait in the queue `<ns>.<queue>`.
    pub async fn depth(&self, queue: &str) -> u32 {
        let name = format!("{}.{queue}", self.namespace);
        let passive = QueueDeclareOptions::durable().passive();
        self.channel
            .queue_declare(name.into(), passive, FieldTable::default())
            .await
            .expect("the queue is there")
            .message_count()
    }
}
