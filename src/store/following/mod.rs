//! Attempts as they are made, for any number of followers and at the cost of one reader.
//!
//! Each part of the record that somebody follows is read once, by one task on one connection, and
//! handed to all who follow it through a [ring](followed) of a bounded length. Whoever is too slow
//! for the ring reads what it missed for itself, behind the last entry that it had, and goes on in
//! the ring: nobody waits for it, and nothing is left out or told twice. The task is there while
//! there is a follower.
//!
//! | file | what it does |
//! |---|---|
//! | [`followed`] | what is followed, by how many, and up to where it was read |
//! | [`follower`] | one who follows |

pub mod followed;
pub mod follower;

use std::sync::Arc;

use async_trait::async_trait;
use tokio_util::task::AbortOnDropHandle;

use super::Unavailable;
use super::delivery_log::{AttemptFilter, RecordedAttempt};
use super::entry::EntryId;
use crate::domain::ids::Organization;
use crate::domain::webhook::WebhookKey;

use followed::Followed;
use follower::Follower;

/// A part of the record that is kept for itself, with entries of its own.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Record {
    /// Every attempt.
    Whole,
    /// The attempts of one webhook.
    Webhook(WebhookKey),
}

/// What is followed: of a part of the record everything, or what is of one organization.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Scope {
    /// Where it is kept.
    pub record: Record,
    /// Of the whole record: of this organization alone.
    pub organization: Option<Organization>,
}

impl Scope {
    /// The smallest that has all that `filter` wants.
    pub fn of(filter: &AttemptFilter) -> Self {
        match (&filter.organization, &filter.webhook) {
            (Some(organization), Some(webhook)) => Self {
                record: Record::Webhook(WebhookKey {
                    organization: organization.clone(),
                    id: webhook.clone(),
                }),
                organization: None,
            },
            (organization, _) => Self {
                record: Record::Whole,
                organization: organization.clone(),
            },
        }
    }
}

/// Some of the record, oldest first.
#[derive(Debug, Default)]
pub struct Part {
    /// The attempts; what cannot be read is left out.
    pub attempts: Vec<RecordedAttempt>,
    /// The last entry that was looked at.
    pub reached: EntryId,
    /// Whether there may be more behind it now.
    pub more: bool,
}

/// A store whose record can be followed.
#[async_trait]
pub trait Reader: Clone + Send + Sync + 'static {
    /// The newest entry there is.
    async fn newest(&self, record: &Record) -> Result<EntryId, Unavailable>;

    /// What stands behind the entry `last`, of what is followed at least. Waits while the store is
    /// away.
    async fn behind(&self, scope: &Scope, last: EntryId) -> Part;

    /// Reads what comes in everything that is [followed](Followed::read_up_to), and
    /// [tells](Followed::tell) of it. Never returns: when the store is away it tries again.
    async fn read(self, followed: Arc<Followed>);
}

/// Everybody who follows, in one process, and the one reader that they share.
#[derive(Debug)]
pub struct Following<R> {
    reader: R,
    followed: Arc<Followed>,
}

impl<R: Reader> Following<R> {
    /// Nobody follows yet, and nothing is read.
    pub fn new(reader: R) -> Self {
        Self {
            reader,
            followed: Arc::default(),
        }
    }

    /// One more follower: of the attempts wanted from now on, or behind the entry `after`. Must be
    /// called on a Tokio runtime.
    pub async fn follow(
        &self,
        filter: AttemptFilter,
        after: Option<EntryId>,
    ) -> Result<Follower<R>, Unavailable> {
        let scope = Scope::of(&filter);
        // Before it joins: what is newer than this comes through the ring, and what it reads for
        // itself afterwards goes further than this.
        let newest = self.reader.newest(&scope.record).await?;
        let joined = Followed::join(&self.followed, scope, newest, || {
            let (reader, followed) = (self.reader.clone(), self.followed.clone());
            AbortOnDropHandle::new(tokio::spawn(reader.read(followed)))
        });
        let last = after.unwrap_or(newest);
        Ok(Follower::new(self.reader.clone(), filter, joined, last))
    }
}
