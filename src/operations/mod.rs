//! What people do to a deployment by hand, the same over the API, the page and the commands.
//!
//! | file | what it does |
//! |---|---|
//! | [`audit`] | what is entered in the audit log of it |
//! | [`deployment`] | what they are done to |
//! | [`disabling`] | what is said of a webhook that is disabled |
//! | [`listing`] | the webhooks, a part at a time |
//! | [`mod@test`] | sends an event to one endpoint now, and says what came back |
//! | [`retry`] | starts a delivery again from its record |
//! | [`inspect`] | what is on record of a delivery, and the request as it was sent |
//! | [`explain`] | would a webhook get events of a type, and if not, why |
//! | [`statistics`] | how a webhook did over a time |
//! | [`jobs`] | requeues and purges of dead letters under way, with their progress |

pub mod audit;
pub mod deployment;
pub mod disabling;
pub mod explain;
pub mod inspect;
pub mod jobs;
pub mod listing;
pub mod retry;
pub mod sent;
pub mod statistics;
pub mod test;
