//! Reading the index, part by part.

use std::collections::BTreeSet;

use redis::cmd;

use super::{Entry, RedisLetters, moment};
use crate::redis::error::StoreError;
use crate::store::dead_letters::{Filter, Position};
use crate::store::letter_index::{Indexed, Looked};

/// So many letters are read at a time.
const AT_ONCE: isize = 256;

/// So many letters one look goes through at most: beyond them it goes on where it stopped, when it is
/// asked again.
const LOOK_LIMIT: u64 = 100_000;

impl RedisLetters {
    /// The entries of these ids, in their order, without those there are none of.
    async fn entries(&self, ids: &[String]) -> Result<Vec<Indexed>, StoreError> {
        if ids.is_empty() {
            return Ok(Vec::new());
        }
        let mut command = cmd("HMGET");
        command.arg(self.keys.letters()).arg(ids);
        let found: Vec<Option<String>> = self.connection.call(&command).await?;
        let entries = ids.iter().zip(found).filter_map(|(id, json)| {
            let entry: Entry = serde_json::from_str(&json?).ok()?;
            Some(Indexed {
                id: id.clone(),
                sequence: entry.sequence,
                summary: entry.summary,
                usable: entry.usable,
            })
        });
        Ok(entries.collect())
    }

    /// The list that has what a filter can mean.
    fn list_for(&self, filter: &Filter) -> String {
        match &filter.organization {
            Some(organization) => self.keys.letters_of(organization),
            None => self.keys.letters_part("times"),
        }
    }

    /// How many of a list stand surely not behind this position.
    async fn rank(&self, list: &str, position: &Position) -> Result<isize, StoreError> {
        let mut command = cmd("ZRANK");
        command.arg(list).arg(&position.id);
        if let Some(rank) = self.connection.call::<Option<isize>>(&command).await? {
            return Ok(rank + 1);
        }
        // It has gone: those of the same microsecond are passed over one by one.
        let mut command = cmd("ZCOUNT");
        command
            .arg(list)
            .arg("-inf")
            .arg(format!("({}", position.at));
        self.connection.call(&command).await
    }

    /// Looks through the list that has what the filter can mean.
    pub(super) async fn look_through(
        &self,
        filter: &Filter,
        after: Option<&Position>,
        limit: usize,
    ) -> Result<Looked, StoreError> {
        let list = self.list_for(filter);
        let since = filter.since.map(|since| Position {
            at: moment(Some(since)),
            id: String::new(),
        });
        let mut place = after.cloned().max(since);
        let mut looked = Looked::default();
        let mut rank = match &place {
            Some(place) => self.rank(&list, place).await?,
            None => 0,
        };
        loop {
            let mut command = cmd("ZRANGE");
            command.arg(&list).arg(rank).arg(rank + AT_ONCE - 1);
            command.arg("WITHSCORES");
            let part: Vec<(String, i64)> = self.connection.call(&command).await?;
            let read = part.len();
            let part = part.into_iter().map(|(id, at)| Position { at, id });
            let part: Vec<_> = part.filter(|one| Some(one) > place.as_ref()).collect();
            let passed_over = part.is_empty();
            let ids: Vec<String> = part.iter().map(|one| one.id.clone()).collect();
            let mut entries = self.entries(&ids).await?.into_iter().peekable();
            for one in part {
                let over = filter
                    .until
                    .is_some_and(|until| one.at > moment(Some(until)));
                if over {
                    return Ok(looked);
                }
                if looked.letters.len() == limit || looked.looked_at == LOOK_LIMIT {
                    looked.next = place;
                    return Ok(looked);
                }
                let entry = entries.next_if(|entry| entry.id == one.id);
                place = Some(one);
                looked.looked_at += 1;
                // It may have gone meanwhile.
                let meant = entry.filter(|entry| filter.matches(&entry.summary));
                looked.letters.extend(meant);
            }
            if read < AT_ONCE as usize {
                return Ok(looked);
            }
            // What went meanwhile moved the others up.
            rank = match &place {
                Some(place) if !passed_over => self.rank(&list, place).await?,
                _ => rank + AT_ONCE,
            };
        }
    }

    /// The letters of these deliveries, if that is what all the ids are.
    pub(super) async fn by_id(
        &self,
        filter: &Filter,
        ids: &BTreeSet<String>,
    ) -> Result<Option<Looked>, StoreError> {
        if ids.len() > AT_ONCE as usize {
            return Ok(None);
        }
        let wanted: Vec<String> = ids.iter().cloned().collect();
        let mut letters = self.entries(&wanted).await?;
        if letters.len() < wanted.len() {
            return Ok(None);
        }
        let looked_at = letters.len() as u64;
        letters.retain(|letter| filter.matches(&letter.summary));
        letters.sort_by_key(|letter| letter.summary.dead_at);
        Ok(Some(Looked {
            letters,
            looked_at,
            next: None,
        }))
    }
}
