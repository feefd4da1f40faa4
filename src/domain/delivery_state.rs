//! What became of a delivery.

use jiff::Timestamp;

use super::dead_letter::Reason;

/// What became of a delivery.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DeliveryState {
    /// The next attempt is due at this time.
    Waiting(Timestamp),
    /// The receiver has the event.
    Delivered,
    /// The delivery was given up.
    Dead(Reason),
}
