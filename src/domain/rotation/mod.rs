//! How one signing secret takes over from another, so that no receiver gets a request that it cannot
//! verify.
//!
//! A new secret is *staged* first: it signs beside the current one, and a receiver can be taught it
//! meanwhile. Then it is *promoted*: it signs first, and what was before goes on signing beside it for
//! an overlap. Then the old one ends. A secret that leaked can be replaced at once.
//!
//! The current secret is kept at the head of the list: a program that does not know of staging takes
//! the first that is active, and signs as the receiver expects.

use std::time::Duration;

use jiff::Timestamp;

use super::stored_secret::{MOST_ACTIVE, StoredSecret, active};

/// For how long the old secret signs on unless something else is said: a day.
pub const DEFAULT_OVERLAP: Duration = Duration::from_secs(86_400);

/// When a new secret is to take over, and for how long the others then sign on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rotation {
    /// When.
    pub promote: Promote,
    /// For how long the others sign on after that.
    pub overlap: Duration,
}

/// When a new secret is to be promoted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Promote {
    /// When somebody says so.
    ByHand,
    /// By itself, at this time; if that is over, at once.
    At(Timestamp),
    /// At once.
    Now,
}

/// Why secrets cannot be rotated as asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum RotationError {
    /// One more would be too many.
    #[error(
        "it has {MOST_ACTIVE} active secrets, and that is the most: promote or drop what is staged, {}, \
         or rotate at once with an overlap of 0, which ends all others", until(.0)
    )]
    TooMany(Option<Timestamp>),
    /// None is staged.
    #[error("no secret of it is staged; rotate the secret first, which stages a new one")]
    NoneStaged,
    /// It is the current one.
    #[error("this is its current secret already; choose another, or have one generated")]
    Current,
}

fn until(next_end: &Option<Timestamp>) -> String {
    match next_end {
        Some(at) => format!("wait until the next one ends at {at:.0}"),
        None => "none of them ends by itself".to_owned(),
    }
}

/// Adds `new` to the secrets, staged or promoted. The first secret of all signs at once: there is
/// nothing that a receiver would have to change over from.
pub fn rotate(
    secrets: &[StoredSecret],
    new: String,
    rotation: Rotation,
    now: Timestamp,
) -> Result<Vec<StoredSecret>, RotationError> {
    let mut all = settled(secrets, now);
    let new = StoredSecret::new(new);
    let rotated = match rotation.promote {
        _ if all.is_empty() => vec![new],
        Promote::ByHand => {
            all.insert(1, staged(new, None, rotation.overlap));
            all
        }
        Promote::At(at) if now < at => {
            for one in &mut all {
                end(one, at, rotation.overlap);
                // It would take over from a newer one.
                one.promote_at = one.promote_at.filter(|earlier| *earlier < at);
            }
            all.insert(1, staged(new, Some(at), rotation.overlap));
            all
        }
        Promote::At(_) | Promote::Now => take_over(new, all, rotation.overlap, now),
    };
    if rotated.len() > MOST_ACTIVE {
        let ends = rotated.iter().filter_map(|one| one.expires_at);
        return Err(RotationError::TooMany(ends.min()));
    }
    Ok(rotated)
}

/// Promotes the newest staged secret now. The others sign on for `overlap`; `None`: as was said when
/// it was staged.
pub fn promote(
    secrets: &[StoredSecret],
    overlap: Option<Duration>,
    now: Timestamp,
) -> Result<Vec<StoredSecret>, RotationError> {
    let active = active(secrets, StoredSecret::term, now);
    let mut all: Vec<StoredSecret> = active.into_iter().cloned().collect();
    let staged = all.iter().position(|one| one.term().is_staged(now));
    let new = all.remove(staged.ok_or(RotationError::NoneStaged)?);
    let said = new.overlap_seconds.map(Duration::from_secs);
    let overlap = overlap.or(said).unwrap_or(DEFAULT_OVERLAP);
    Ok(take_over(new, all, overlap, now))
}

/// Drops every staged secret. The current one stays what it is; if it was to end because of them, it
/// does not any more.
pub fn drop_staged(
    secrets: &[StoredSecret],
    now: Timestamp,
) -> Result<Vec<StoredSecret>, RotationError> {
    let all = settled(secrets, now);
    let (dropped, mut kept): (Vec<_>, Vec<_>) = all.into_iter().partition(|one| one.staged);
    if dropped.is_empty() {
        return Err(RotationError::NoneStaged);
    }
    let was_to_take_over = dropped.iter().any(|one| one.promote_at.is_some());
    if let Some(current) = kept.first_mut().filter(|_| was_to_take_over) {
        current.expires_at = None;
    }
    Ok(kept)
}

/// The secrets as they stand at `now`: what has ended is gone, what was promoted is no longer staged,
/// and the current one comes first.
fn settled(secrets: &[StoredSecret], now: Timestamp) -> Vec<StoredSecret> {
    let active = active(secrets, StoredSecret::term, now);
    let as_it_stands =
        |(index, one): (usize, &StoredSecret)| match index > 0 && one.term().is_staged(now) {
            true => one.clone(),
            false => promoted(one.clone()),
        };
    active.into_iter().enumerate().map(as_it_stands).collect()
}

/// Makes `new` the current secret. The others, staged ones included, end after `overlap`.
fn take_over(
    new: StoredSecret,
    others: Vec<StoredSecret>,
    overlap: Duration,
    now: Timestamp,
) -> Vec<StoredSecret> {
    let new = StoredSecret {
        expires_at: None,
        ..promoted(new)
    };
    let ending = others.into_iter().map(|mut other| {
        end(&mut other, now, overlap);
        promoted(other)
    });
    let ending = ending.filter(|one| one.term().is_active(now));
    std::iter::once(new).chain(ending).collect()
}

fn staged(secret: StoredSecret, promote_at: Option<Timestamp>, overlap: Duration) -> StoredSecret {
    StoredSecret {
        staged: true,
        promote_at,
        overlap_seconds: Some(overlap.as_secs()),
        ..secret
    }
}

fn promoted(secret: StoredSecret) -> StoredSecret {
    StoredSecret {
        staged: false,
        promote_at: None,
        overlap_seconds: None,
        ..secret
    }
}

/// Lets a secret end `overlap` after `from`, unless it ends sooner.
fn end(secret: &mut StoredSecret, from: Timestamp, overlap: Duration) {
    let end = from.checked_add(overlap).unwrap_or(Timestamp::MAX);
    secret.expires_at = Some(secret.expires_at.map_or(end, |earlier| earlier.min(end)));
}

#[cfg(test)]
mod tests;
