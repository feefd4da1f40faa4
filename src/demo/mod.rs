//! The demonstration: a whole deployment on sample traffic, told as it happens.
//!
//! | file | does |
//! |---|---|
//! | [`traffic`] | says what the gateway publishes, and when |
//! | [`receivers`] | the three endpoints, each with a temper of its own |
//! | [`story`] | starts everything, publishes, and tells what comes of it |
//! | [`reckoning`] | adds up what was published, recorded and received |

pub mod receivers;
pub mod reckoning;
pub mod story;
pub mod traffic;
