//! Sessions of the page: a random value for the browser, and in the store what it stands for.
//!
//! The store has no value and no token, only digests: under the value's own stands a digest of the
//! token that is keyed with the value. So whoever reads the store can neither use a session nor try
//! out tokens, and a session ends with the token that it was begun with.

use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, KeyInit as _, Mac as _};
use jiff::Timestamp;
use sha2::{Digest as _, Sha256};

use crate::config::ApiToken;
use crate::store::Unavailable;
use crate::store::sessions::Sessions;

/// How often a live stream asks whether its session has ended.
const LOOK_AGAIN: Duration = Duration::from_secs(5);

/// Begins, finds and ends sessions.
#[derive(Clone)]
pub struct SessionKeeper {
    store: Arc<dyn Sessions>,
    tokens: Arc<[ApiToken]>,
    /// A session that was not used for so long has ended.
    idle: Duration,
    /// However much it is used, it ends then.
    lifetime: Duration,
}

impl SessionKeeper {
    /// Sessions of those who have one of `tokens`, kept in `store`. One ends once it was not used
    /// for `idle`, and after `lifetime`.
    pub fn new(
        store: Arc<dyn Sessions>,
        tokens: Arc<[ApiToken]>,
        idle: Duration,
        lifetime: Duration,
    ) -> Self {
        Self {
            store,
            tokens,
            idle,
            lifetime,
        }
    }

    /// Begins a session of whoever has `token`, and gives the value for the browser.
    pub(super) async fn begin(&self, token: &ApiToken) -> Result<String, Unavailable> {
        let value = URL_SAFE_NO_PAD.encode(rand::random::<[u8; 32]>());
        let record = format!("{} {}", Timestamp::now().as_second(), mark(&value, token));
        let keep = self.idle.min(self.lifetime);
        let (whose, id) = (whose(token), id(&value));
        self.store.begin(&whose, &id, &record, keep).await?;
        Ok(value)
    }

    /// The token of the session that has this value, if it goes on; this counts as a use of it.
    pub(super) async fn find(&self, value: &str) -> Result<Option<&ApiToken>, Unavailable> {
        self.look(value, Some(self.idle)).await
    }

    /// Ends a session, for every process and every browser that has its value.
    pub(super) async fn end(&self, value: &str) -> Result<(), Unavailable> {
        self.store.end(&id(value)).await
    }

    /// Returns once the session has ended.
    pub(super) async fn ended(&self, value: &str) {
        // Of a store that is away nothing is known.
        while !matches!(self.look(value, None).await, Ok(None)) {
            tokio::time::sleep(LOOK_AGAIN).await;
        }
    }

    async fn look(
        &self,
        value: &str,
        keep: Option<Duration>,
    ) -> Result<Option<&ApiToken>, Unavailable> {
        let record = self.store.find(&id(value), keep).await?;
        let now = Timestamp::now();
        Ok(record.and_then(|record| self.read(value, &record, now)))
    }

    fn read(&self, value: &str, record: &str, now: Timestamp) -> Option<&ApiToken> {
        let (began, marked) = record.split_once(' ')?;
        let age = now.as_second().checked_sub(began.parse().ok()?)?;
        // A clock that is behind another's makes no session older.
        let age = Duration::from_secs(u64::try_from(age).unwrap_or(0));
        let token = self
            .tokens
            .iter()
            .find(|token| mark(value, token) == marked);
        token.filter(|_| age < self.lifetime)
    }
}

/// What a session stands under.
fn id(value: &str) -> String {
    hex::encode(Sha256::digest(value))
}

/// What the sessions of a token are counted under: what it is called, and nothing of what it is.
fn whose(token: &ApiToken) -> String {
    let organization = token.organization().map_or("*", |one| one.as_str());
    format!("{organization}:{}", token.name())
}

/// What a session keeps of its token. Only who has the value can make it, so it need not be compared
/// in constant time.
fn mark(value: &str, token: &ApiToken) -> String {
    #[expect(clippy::expect_used, reason = "HMAC takes keys of any length")]
    let mut mac = Hmac::<Sha256>::new_from_slice(value.as_bytes()).expect("any key will do");
    mac.update(token.expose().as_bytes());
    hex::encode(mac.finalize().into_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::embedded::sessions::EmbeddedSessions;

    const MINUTE: Duration = Duration::from_secs(60);

    fn tokens(texts: &[&str]) -> Arc<[ApiToken]> {
        texts
            .iter()
            .map(|text| ApiToken::new(None, *text))
            .collect()
    }

    fn keeper(store: &Arc<EmbeddedSessions>, texts: &[&str]) -> SessionKeeper {
        SessionKeeper::new(store.clone(), tokens(texts), MINUTE, 3 * MINUTE)
    }

    #[tokio::test(start_paused = true)]
    async fn a_session_ends_when_it_is_ended_or_not_used() {
        let store = Arc::default();
        let keeper = keeper(&store, &["one", "two"]);
        let value = keeper.begin(&keeper.tokens[1]).await.unwrap();
        let other = keeper.begin(&keeper.tokens[0]).await.unwrap();
        assert!(!value.contains("two") && value != other && value.len() == 43);
        for _ in 0..5 {
            tokio::time::advance(MINUTE / 2).await;
            let token = keeper.find(&value).await.unwrap();
            assert_eq!(token, Some(&keeper.tokens[1]));
        }
        assert_eq!(keeper.find(&other).await.unwrap(), None, "not used");
        keeper.end(&value).await.unwrap();
        assert_eq!(keeper.find(&value).await.unwrap(), None);
        keeper.ended(&value).await;
    }

    #[tokio::test(start_paused = true)]
    async fn a_session_is_known_to_all_processes_and_ends_with_its_token() {
        let store = Arc::default();
        let one = keeper(&store, &["one", "two"]);
        let value = one.begin(&one.tokens[1]).await.unwrap();
        let another = keeper(&store, &["two"]);
        assert!(another.find(&value).await.unwrap().is_some());
        let without = keeper(&store, &["one", "three"]);
        assert_eq!(without.find(&value).await.unwrap(), None);
        assert_eq!(one.find("").await.unwrap(), None);
    }

    #[test]
    fn a_session_ends_after_its_lifetime_however_much_it_is_used() {
        let keeper = keeper(&Arc::default(), &["one"]);
        let mark = mark("value", &keeper.tokens[0]);
        let found = |value, age: u64| {
            let now = Timestamp::from_second(10_000 + age as i64).unwrap();
            let record = format!("10000 {mark}");
            keeper.read(value, &record, now).is_some()
        };
        assert!(found("value", 0) && found("value", 179));
        assert!(!found("value", 180));
        assert!(!found("other", 0));
    }
}
