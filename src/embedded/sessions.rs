//! Who is signed in to the page, where one process serves it: kept in memory, so one signs in again
//! after a restart.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use tokio::time::Instant;

use crate::store::Unavailable;
use crate::store::sessions::{MOST_OF_ONE, Sessions};

/// Sessions in memory.
#[derive(Debug, Default)]
pub struct EmbeddedSessions {
    kept: Mutex<Kept>,
}

#[derive(Debug, Default)]
struct Kept {
    sessions: HashMap<String, Session>,
    /// How many have begun.
    begun: u64,
}

#[derive(Debug)]
struct Session {
    record: String,
    until: Instant,
    whose: String,
    /// The how many-th it was that began.
    number: u64,
}

impl EmbeddedSessions {
    fn with<T>(&self, change: impl FnOnce(&mut Kept) -> T) -> T {
        // What is kept is whole after every step, so a panic elsewhere spoils nothing.
        change(&mut self.kept.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Kept {
    /// Makes room for one more with this token.
    fn make_room(&mut self, whose: &str, now: Instant) {
        self.sessions.retain(|_, one| one.until > now);
        let own = self.sessions.iter().filter(|(_, one)| one.whose == whose);
        let own: Vec<_> = own.map(|(id, one)| (one.number, id)).collect();
        if own.len() >= MOST_OF_ONE
            && let Some((_, first)) = own.into_iter().min()
        {
            let first = first.clone();
            self.sessions.remove(&first);
        }
    }
}

#[async_trait]
impl Sessions for EmbeddedSessions {
    async fn begin(
        &self,
        whose: &str,
        id: &str,
        record: &str,
        keep: Duration,
    ) -> Result<(), Unavailable> {
        let now = Instant::now();
        self.with(|kept| {
            kept.make_room(whose, now);
            kept.begun += 1;
            let session = Session {
                record: record.to_owned(),
                until: now + keep,
                whose: whose.to_owned(),
                number: kept.begun,
            };
            kept.sessions.insert(id.to_owned(), session);
        });
        Ok(())
    }

    async fn find(&self, id: &str, keep: Option<Duration>) -> Result<Option<String>, Unavailable> {
        let now = Instant::now();
        Ok(self.with(|kept| {
            let session = kept.sessions.get_mut(id).filter(|one| one.until > now)?;
            if let Some(keep) = keep {
                session.until = now + keep;
            }
            Some(session.record.clone())
        }))
    }

    async fn end(&self, id: &str) -> Result<(), Unavailable> {
        self.with(|kept| kept.sessions.remove(id));
        Ok(())
    }
}
