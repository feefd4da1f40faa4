//! The demonstration: a whole deployment on sample traffic, told as it happens.
//!
//! | file | does |
//! |---|---|
//! | [`traffic`] | says what the gateway publishes, and when |
//! | [`receivers`] | the three endpoints, each with a kind of its own |
//! | [`scenario`] | starts everything, publishes, and tells what comes of it |
//! | [`summary`] | adds up what was published, recorded and received |

pub mod receivers;
pub mod scenario;
pub mod summary;
pub mod traffic;
