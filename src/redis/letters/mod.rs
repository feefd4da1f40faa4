//! The index of the dead-letter queue, in Redis.
//!
//! Every change is one script, so that an entry and its places in the lists go together. Looking
//! reads part by part: it costs what it shows, and what a filter passes over.

mod listing;

use async_trait::async_trait;
use jiff::Timestamp;
use redis::{Script, ScriptInvocation, cmd};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::redis::connection::Connection;
use crate::redis::deliveries::{Deliveries, delivery_of};
use crate::redis::error::StoreError;
use crate::redis::keys::Keys;
use crate::store::Unavailable;
use crate::store::dead_letters::{Filter, Position, Summary};
use crate::store::letter_index::{
    Extent, Indexed, LetterIndex, Looked, Pass, PassProgress, Standing,
};
use crate::store::retention::REQUEUE_CLAIMED;

/// For how long a pass stands without a word, in milliseconds.
const PASS_STANDS: u64 = 15_000;

/// An entry that was seen so many microseconds before a pass began may have been in somebody's hands
/// all the time.
const IN_HAND: u64 = 30_000_000;

/// The index of a deployment's dead letters.
#[derive(Debug)]
pub struct RedisLetters {
    connection: Connection,
    keys: Keys,
    deliveries: Deliveries,
    scripts: Scripts,
}

#[derive(Debug)]
struct Scripts {
    enter: Script,
    gone: Script,
    extent: Script,
    pass: Script,
    sweep: Script,
}

/// An entry, as it is kept.
#[derive(Debug, Serialize, Deserialize)]
struct Entry {
    sequence: u32,
    usable: bool,
    summary: Summary,
}

/// A script that works with the index.
fn working(script: &str) -> String {
    let functions = include_str!("../scripts/letters.lua");
    format!("{functions}\n{script}")
}

/// The script that makes the letter of a delivery void, and what it is called with, before the id and
/// the sequence: for what is written together with a delivery's record.
pub(super) fn delivered() -> String {
    working(include_str!("../scripts/letters_delivered.lua"))
}

/// The keys of every script.
pub(super) fn script_keys(keys: &Keys) -> [String; 7] {
    let part = |name| keys.letters_part(name);
    [
        keys.letters(),
        part("times"),
        part("seen"),
        part("unconfirmed"),
        part("void"),
        part("known"),
        part("pass"),
    ]
}

/// What the key of an organization's letters begins and ends with.
pub(super) fn around_organization(keys: &Keys) -> [String; 2] {
    // No organization is called that.
    let key = keys.letters_of("\0");
    let (begin, end) = key.split_once('\0').unwrap_or((&key, ""));
    [begin.to_owned(), end.to_owned()]
}

impl RedisLetters {
    /// The index of the deployment whose keys these are.
    pub fn new(connection: Connection, keys: Keys) -> Self {
        let script = |text: &str| Script::new(&working(text));
        let scripts = Scripts {
            enter: script(include_str!("../scripts/letters_enter.lua")),
            gone: script(include_str!("../scripts/letters_gone.lua")),
            extent: script(include_str!("../scripts/letters_extent.lua")),
            pass: script(include_str!("../scripts/letters_pass.lua")),
            sweep: script(include_str!("../scripts/letters_sweep.lua")),
        };
        Self {
            deliveries: Deliveries::new(connection.clone(), keys.clone()),
            connection,
            keys,
            scripts,
        }
    }

    fn call<'a>(&self, script: &'a Script) -> ScriptInvocation<'a> {
        let mut call = script.prepare_invoke();
        for key in script_keys(&self.keys) {
            call.key(key);
        }
        for text in around_organization(&self.keys) {
            call.arg(text);
        }
        call
    }

    async fn enter(&self, how: &str, letter: &Indexed) -> Result<bool, StoreError> {
        let entry = Entry {
            sequence: letter.sequence,
            usable: letter.usable,
            summary: letter.summary.clone(),
        };
        // It holds texts and numbers alone.
        let json = serde_json::to_string(&entry).unwrap_or_default();
        let mut call = self.call(&self.scripts.enter);
        call.arg(how).arg(&letter.id).arg(letter.sequence);
        call.arg(moment(letter.summary.dead_at)).arg(json);
        self.connection.script(&call).await
    }

    /// Enters what must be entered: there is no going on without.
    async fn enter_in_any_case(&self, how: &str, letter: &Indexed) {
        let entering = self.connection.persist(|| self.enter(how, letter));
        if let Err(error) = entering.await {
            tracing::error!(%error, id = letter.id, "a dead letter cannot be entered in the index");
        }
    }

    async fn pass(
        &self,
        token: &str,
        progress: PassProgress,
        stands: u64,
    ) -> Result<u64, StoreError> {
        let mut call = self.call(&self.scripts.pass);
        call.arg(token).arg(progress.looked_at).arg(progress.total);
        call.arg(stands);
        self.connection.script(&call).await
    }
}

/// A time in microseconds since 1970; of what has none, the beginning.
fn moment(time: Option<Timestamp>) -> i64 {
    time.map_or(0, Timestamp::as_microsecond)
}

/// What a pass says of itself: its token, how many it has looked at, how many there are.
fn progress(text: &str) -> Option<PassProgress> {
    let mut parts = text.split(' ').skip(1).map(|part| part.parse().ok());
    Some(PassProgress {
        looked_at: parts.next()??,
        total: parts.next()??,
    })
}

/// How much there is, as the script tells it.
type ExtentReply = (u64, u64, u64, Option<u64>, bool, u64, Option<String>);

#[async_trait]
impl LetterIndex for RedisLetters {
    async fn expect(&self, letter: &Indexed) {
        self.enter_in_any_case("expect", letter).await;
    }

    async fn confirm(&self, letter: &Indexed) {
        self.enter_in_any_case("confirm", letter).await;
    }

    async fn see(&self, letter: &Indexed) -> Result<Standing, Unavailable> {
        // Of what was given up before there was an index, the delivery's record knows.
        if self
            .deliveries
            .supersedes(&letter.summary, letter.sequence)
            .await?
        {
            return Ok(Standing::Void);
        }
        let stands = self.enter("see", letter).await;
        match stands.map_err(Unavailable::new)? {
            true => Ok(Standing::Stands),
            false => Ok(Standing::Void),
        }
    }

    async fn claim(&self, letter: &Indexed) -> Result<bool, Unavailable> {
        let Some((organization, delivery)) = delivery_of(&letter.summary) else {
            return Ok(true);
        };
        let sequence = letter.sequence + 1;
        let claiming =
            self.deliveries
                .claim_retry(&organization, &delivery, sequence, REQUEUE_CLAIMED);
        claiming.await.map_err(Unavailable::new)
    }

    async fn release(&self, letter: &Indexed) -> Result<(), Unavailable> {
        let Some((organization, delivery)) = delivery_of(&letter.summary) else {
            return Ok(());
        };
        let releasing =
            self.deliveries
                .release_retry(&organization, &delivery, letter.sequence + 1);
        releasing.await.map_err(Unavailable::new)
    }

    async fn gone(&self, id: &str, sequence: u32) -> Result<(), Unavailable> {
        let mut call = self.call(&self.scripts.gone);
        call.arg(id).arg(sequence);
        self.connection
            .script(&call)
            .await
            .map_err(Unavailable::new)
    }

    async fn extent(&self) -> Result<Extent, Unavailable> {
        let call = self.call(&self.scripts.extent);
        let reply: Result<ExtentReply, _> = self.connection.script(&call).await;
        let (entries, void, unconfirmed, unconfirmed_for, known, twice, pass) =
            reply.map_err(Unavailable::new)?;
        Ok(Extent {
            known,
            entries,
            void,
            twice,
            unconfirmed,
            unconfirmed_for,
            pass: pass.as_deref().and_then(progress),
        })
    }

    async fn look(
        &self,
        filter: &Filter,
        after: Option<&Position>,
        limit: usize,
    ) -> Result<Looked, Unavailable> {
        if let (Some(ids), None) = (&filter.ids, after)
            && let Some(found) = self.by_id(filter, ids).await.map_err(Unavailable::new)?
        {
            return Ok(found);
        }
        let looked = self.look_through(filter, after, limit).await;
        looked.map_err(Unavailable::new)
    }

    async fn doubt(&self) -> Result<(), Unavailable> {
        let mut command = cmd("HDEL");
        command.arg(self.keys.letters_part("known")).arg("began");
        self.connection
            .call(&command)
            .await
            .map_err(Unavailable::new)
    }

    async fn begin_pass(&self) -> Result<Option<Pass>, Unavailable> {
        let token = Uuid::new_v4().simple().to_string();
        let began = self
            .pass(&token, PassProgress::default(), PASS_STANDS)
            .await;
        let began = began.map_err(Unavailable::new)?;
        Ok((began > 0).then_some(Pass { token, began }))
    }

    async fn note_pass(&self, pass: &Pass, progress: PassProgress) -> Result<(), Unavailable> {
        let noted = self.pass(&pass.token, progress, PASS_STANDS).await;
        noted.map(drop).map_err(Unavailable::new)
    }

    async fn end_pass(&self, pass: &Pass, twice: Option<u64>) -> Result<(), Unavailable> {
        if let Some(twice) = twice {
            loop {
                let mut call = self.call(&self.scripts.sweep);
                call.arg(pass.began.saturating_sub(IN_HAND));
                call.arg(pass.began).arg(twice);
                let removed: Result<u64, _> = self.connection.script(&call).await;
                if removed.map_err(Unavailable::new)? == 0 {
                    break;
                }
            }
        }
        let ended = self.pass(&pass.token, PassProgress::default(), 0).await;
        ended.map(drop).map_err(Unavailable::new)
    }
}
