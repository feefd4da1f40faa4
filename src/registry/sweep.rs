//! Going through the webhooks of all organizations: with which keys they are sealed, and sealing them
//! anew with the first.
//!
//! Everything goes on meanwhile. A document is put in its place if it is still the one that was read,
//! and what it says stays the same, so nobody need be told. To go through them again does no harm.

use std::collections::BTreeMap;
use std::ops::ControlFlow;

use super::documents::{self, Change, DocumentReader, DocumentStore, Replacement};
use super::sealing::Stands;
use super::webhooks::Webhooks;
use crate::domain::ids::{Organization, WebhookId};
use crate::domain::secret::KeyId;
use crate::domain::webhook::{InvalidWebhook, WebhookKey};
use crate::store::Unavailable;

/// How often a document is sealed anew on top of somebody else's change before it is left.
const TRIES: usize = 5;

/// So many webhooks that cannot be opened are told one by one.
const TOLD: usize = 100;

/// After so many webhooks others have their turn.
const TURN: usize = 64;

/// Whether something is changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// Everything is only looked at.
    Look,
    /// What is not sealed with the first key is sealed anew.
    SealAnew,
}

/// What was found and done.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Tally {
    /// Webhooks looked at.
    pub looked_at: u64,
    /// Webhooks of which everything secret is sealed with the first key, or that have nothing secret.
    pub as_they_should_be: u64,
    /// Webhooks that were sealed anew; of a mere look, those that would be.
    pub anew: u64,
    /// Webhooks that others kept changing.
    pub overtaken: u64,
    /// Webhooks that cannot be opened for want of a key.
    pub for_want_of_key: u64,
    /// Webhooks that cannot be opened for another reason.
    pub unreadable: u64,
    /// How many secret parts stood how when they were looked at.
    pub parts: BTreeMap<Stands, u64>,
    /// The first hundred of those that cannot be opened, and the first that cannot for want of a key.
    pub unopened: Vec<Unopened>,
}

/// A webhook that cannot be opened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unopened {
    /// Its organization.
    pub organization: Organization,
    /// The id that it stands under.
    pub id: String,
    /// Why; without anything secret.
    pub problem: String,
    /// Whether that is for want of a key.
    pub for_want_of_key: bool,
}

impl Tally {
    /// How many webhooks cannot be opened.
    pub fn not_opened(&self) -> u64 {
        self.for_want_of_key + self.unreadable
    }

    fn stood(&mut self, parts: Vec<Stands>) {
        for stands in parts {
            *self.parts.entry(stands).or_default() += 1;
        }
    }

    fn not_open(&mut self, organization: &Organization, id: String, problem: &InvalidWebhook) {
        let for_want_of_key = problem.is_for_want_of_key();
        match for_want_of_key {
            true => self.for_want_of_key += 1,
            false => self.unreadable += 1,
        }
        if self.unopened.len() < TOLD || for_want_of_key && self.for_want_of_key == 1 {
            self.unopened.push(Unopened {
                organization: organization.clone(),
                id,
                problem: problem.to_string(),
                for_want_of_key,
            });
        }
    }
}

impl Webhooks {
    /// The ids of the keys, the one that encrypts first.
    pub fn key_ids(&self) -> Vec<KeyId> {
        self.reader.cipher().key_ids().collect()
    }

    /// Goes through the webhooks of all organizations: which keys they are sealed with. If that is the
    /// purpose, they are sealed anew with the first. `report` is told how far it is, and may end it.
    pub async fn sweep(
        &self,
        purpose: Purpose,
        report: &mut (dyn FnMut(&Tally) -> ControlFlow<()> + Send),
    ) -> Result<Tally, Unavailable> {
        sweep(&*self.documents, &self.reader, purpose, report).await
    }
}

/// Goes through all webhooks. `report` is told after each how far it is, and may end it.
async fn sweep(
    store: &dyn DocumentStore,
    reader: &DocumentReader,
    purpose: Purpose,
    report: &mut (dyn FnMut(&Tally) -> ControlFlow<()> + Send),
) -> Result<Tally, Unavailable> {
    let mut tally = Tally::default();
    let mut next = Some(String::new());
    while let Some(after) = next {
        let part = store.organizations(&after).await?;
        for organization in part.organizations {
            for (id, json) in store.all(&organization).await? {
                one(store, reader, purpose, &organization, id, json, &mut tally).await?;
                tally.looked_at += 1;
                if report(&tally).is_break() {
                    return Ok(tally);
                }
                if tally.looked_at.is_multiple_of(TURN as u64) {
                    tokio::task::yield_now().await;
                }
            }
        }
        if report(&tally).is_break() {
            return Ok(tally);
        }
        next = part.next;
    }
    Ok(tally)
}

async fn one(
    store: &dyn DocumentStore,
    reader: &DocumentReader,
    purpose: Purpose,
    organization: &Organization,
    id: String,
    mut json: Vec<u8>,
    tally: &mut Tally,
) -> Result<(), Unavailable> {
    for _ in 0..TRIES {
        let anew = match anew(reader, purpose, organization, &id, &json) {
            Ok(anew) => anew,
            Err(problem) => {
                tally.not_open(organization, id, &problem);
                return Ok(());
            }
        };
        let Some(new) = anew.json else {
            tally.stood(anew.parts);
            match anew.is_as_it_should_be {
                true => tally.as_they_should_be += 1,
                false => tally.anew += 1,
            }
            return Ok(());
        };
        let replacement = Replacement {
            old: &json,
            new: &new,
            name: None,
            forget_health: false,
            entry: None,
            means_the_same: true,
        };
        match store.replace(&anew.webhook, &replacement).await? {
            Change::Done => {
                tally.stood(anew.parts);
                tally.anew += 1;
                return Ok(());
            }
            Change::Gone => return Ok(()),
            Change::Conflict | Change::NameTaken(_) | Change::TooMany => {
                match store.get(organization, &id).await? {
                    Some(newer) => json = newer,
                    None => return Ok(()),
                }
            }
        }
    }
    tally.overtaken += 1;
    Ok(())
}

/// A document looked at.
struct Anew {
    webhook: WebhookKey,
    parts: Vec<Stands>,
    is_as_it_should_be: bool,
    /// What is to be put in its place, if anything.
    json: Option<String>,
}

fn anew(
    reader: &DocumentReader,
    purpose: Purpose,
    organization: &Organization,
    id: &str,
    json: &[u8],
) -> Result<Anew, InvalidWebhook> {
    let webhook = WebhookKey {
        organization: organization.clone(),
        id: WebhookId::new(id)?,
    };
    let sealer = reader.sealer(&webhook);
    let mut fields = documents::fields(json)?;
    let parts = match purpose {
        Purpose::Look => sealer.look(&fields)?,
        Purpose::SealAnew => sealer.seal_anew(&mut fields)?,
    };
    let is_as_it_should_be = parts.iter().all(|part| sealer.is_as_it_should_be(*part));
    let changes = purpose == Purpose::SealAnew && !is_as_it_should_be;
    let json = changes.then(|| fields.to_json()).transpose()?;
    Ok(Anew {
        webhook,
        parts,
        is_as_it_should_be,
        json,
    })
}
