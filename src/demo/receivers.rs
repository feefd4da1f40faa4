//! The endpoints of the demonstration: one that is well, one that fails twice and then recovers, one
//! that is gone for good.

use std::net::{Ipv4Addr, SocketAddr};

use http::StatusCode;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use crate::domain::secret::Secret;
use crate::receiver::{Answer, Behaviour, BindError, Received, Receiver};

/// An endpoint's kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReceiverKind {
    /// Answers 200, and verifies the signature.
    Healthy,
    /// Answers 500 twice, and 200 from then on.
    Flaky,
    /// Answers 410.
    Gone,
}

impl ReceiverKind {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Healthy, Self::Flaky, Self::Gone];

    /// The name of the receiver's webhook.
    pub fn name(self) -> &'static str {
        match self {
            Self::Healthy => "healthy",
            Self::Flaky => "flaky",
            Self::Gone => "gone",
        }
    }

    /// How it behaves, for people.
    pub fn described(self) -> &'static str {
        match self {
            Self::Healthy => "answers at once and verifies the signature",
            Self::Flaky => "fails twice, then recovers",
            Self::Gone => "answers 410 Gone, for good",
        }
    }

    /// The event types that its webhook subscribes to.
    pub fn event_types(self) -> &'static [&'static str] {
        match self {
            Self::Healthy => &crate::domain::ids::GATEWAY_EVENT_TYPES,
            Self::Flaky => &["error.occurred"],
            Self::Gone => &["budget.exceeded"],
        }
    }

    fn behaviour(self) -> Behaviour {
        let answers = |status, first| Behaviour {
            answer: Answer {
                status,
                ..Answer::default()
            },
            first,
            ..Behaviour::default()
        };
        match self {
            Self::Healthy => Behaviour::default(),
            Self::Flaky => answers(StatusCode::INTERNAL_SERVER_ERROR, Some(2)),
            Self::Gone => answers(StatusCode::GONE, None),
        }
    }

    /// Starts the endpoint on a free port of this machine. It reports every request, and ends with
    /// `stop`.
    pub async fn start(
        self,
        secret: Option<Secret>,
        reports: mpsc::UnboundedSender<(Self, Received)>,
        stop: CancellationToken,
    ) -> Result<SocketAddr, BindError> {
        let (received, mut arrivals) = mpsc::channel(64);
        let free = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        let secrets = secret.into_iter().collect();
        let receiver = Receiver::bind(free, secrets, self.behaviour(), received).await?;
        let address = receiver.address();
        tokio::spawn(async move { receiver.run(stop.cancelled()).await });
        tokio::spawn(async move {
            while let Some(one) = arrivals.recv().await {
                // Nobody counts any more once the story is over.
                let _ = reports.send((self, one));
            }
        });
        Ok(address)
    }
}
