//! What people do to a deployment by hand, the same over the API and the page.

pub mod retry;
