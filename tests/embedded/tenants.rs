//! What one organization does leaves no trace in what another is told of the record.

use std::sync::Arc;

use prism_webhooks::embedded::database::Database;
use prism_webhooks::engine::clock::Clock;

use super::world::embedded;
use crate::conformance::tenants::{OTHERS, expected, parts};

#[tokio::test]
async fn the_parts_of_a_list_are_the_same_whatever_others_do() {
    for others in OTHERS {
        let directory = tempfile::tempdir().unwrap();
        let database = Arc::new(Database::open(directory.path()).unwrap());
        let embedded = embedded(database, Clock::system());
        let parts = parts(&*embedded.log(), &embedded, others).await;
        assert_eq!(parts, expected(), "amid {others}");
        embedded.store().close().await;
    }
}
