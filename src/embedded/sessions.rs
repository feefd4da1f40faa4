//! Who is signed in to the page, where one process serves it: kept in memory, so one signs in again
//! after a restart.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use tokio::time::Instant;

use crate::store::Unavailable;
use crate::store::sessions::Sessions;

/// The most sessions at once: of more, those go that end first.
const MOST: usize = 10_000;

/// Sessions in memory.
#[derive(Debug, Default)]
pub struct EmbeddedSessions {
    kept: Mutex<HashMap<String, (String, Instant)>>,
}

impl EmbeddedSessions {
    fn with<T>(&self, change: impl FnOnce(&mut HashMap<String, (String, Instant)>) -> T) -> T {
        // The map is whole after every step, so a panic elsewhere spoils nothing.
        change(&mut self.kept.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

#[async_trait]
impl Sessions for EmbeddedSessions {
    async fn begin(&self, id: &str, record: &str, keep: Duration) -> Result<(), Unavailable> {
        let now = Instant::now();
        self.with(|kept| {
            if kept.len() >= MOST {
                kept.retain(|_, (_, until)| *until > now);
            }
            if kept.len() >= MOST {
                let first = kept.iter().min_by_key(|(_, (_, until))| *until);
                if let Some(first) = first.map(|(id, _)| id.clone()) {
                    kept.remove(&first);
                }
            }
            kept.insert(id.to_owned(), (record.to_owned(), now + keep));
        });
        Ok(())
    }

    async fn find(&self, id: &str, keep: Option<Duration>) -> Result<Option<String>, Unavailable> {
        let now = Instant::now();
        Ok(self.with(|kept| {
            let (record, until) = kept.get_mut(id).filter(|(_, until)| *until > now)?;
            if let Some(keep) = keep {
                *until = now + keep;
            }
            Some(record.clone())
        }))
    }

    async fn end(&self, id: &str) -> Result<(), Unavailable> {
        self.with(|kept| kept.remove(id));
        Ok(())
    }
}
