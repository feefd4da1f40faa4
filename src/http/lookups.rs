//! One lookup of a name at a time, shared by all who want it.
//!
//! The operating system's resolver occupies a thread for as long as it waits, and goes on when
//! nobody waits any longer. So that a name whose servers are silent occupies one thread, and not
//! one for each attempt until none is left for others, a lookup under way is joined, not repeated.
//! Nothing is kept once it is over.

use std::collections::HashMap;
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use dns_lookup::LookupErrorKind;
use futures::FutureExt as _;
use futures::future::{BoxFuture, Shared};
use rustix::io::Errno;

/// What a lookup found.
pub(super) type Found = Result<Arc<[SocketAddr]>, Arc<LookupError>>;

type Lookup = Shared<BoxFuture<'static, Found>>;
type UnderWay = Mutex<HashMap<String, Lookup>>;

/// The lookups under way.
#[derive(Debug, Clone, Default)]
pub(super) struct Lookups {
    under_way: Arc<UnderWay>,
}

impl Lookups {
    /// Joins the lookup of `host`, or starts it with `look_up`.
    pub async fn join<F>(&self, host: &str, look_up: impl FnOnce(String) -> F) -> Found
    where
        F: Future<Output = Result<Vec<SocketAddr>, LookupError>> + Send + 'static,
    {
        let lookup = {
            // Held over the start: a lookup that is over before it is entered would stay for ever.
            let mut under_way = lock(&self.under_way);
            match under_way.get(host) {
                Some(lookup) => lookup.clone(),
                None => {
                    let lookup = self.start(host, look_up(host.to_owned()));
                    under_way.insert(host.to_owned(), lookup.clone());
                    lookup
                }
            }
        };
        lookup.await
    }

    /// Whether the lookup of `host` is still under way.
    pub fn is_under_way(&self, host: &str) -> bool {
        lock(&self.under_way).contains_key(host)
    }

    fn start<F>(&self, host: &str, looking_up: F) -> Lookup
    where
        F: Future<Output = Result<Vec<SocketAddr>, LookupError>> + Send + 'static,
    {
        let entry = Entry {
            under_way: Arc::clone(&self.under_way),
            host: host.to_owned(),
        };
        // A task of its own, for the entry must last as long as the thread is occupied.
        let task = tokio::spawn(async move {
            let _entry = entry;
            looking_up.await
        });
        let found = task.map(|ended| {
            let found = ended.unwrap_or_else(|error| Err(LookupError::Other(error.into())));
            found.map(Arc::from).map_err(Arc::new)
        });
        found.boxed().shared()
    }
}

/// Takes its lookup out of those under way, also when the lookup panics.
struct Entry {
    under_way: Arc<UnderWay>,
    host: String,
}

impl Drop for Entry {
    fn drop(&mut self) {
        lock(&self.under_way).remove(&self.host);
    }
}

/// The map is whole whatever a thread that held it came to.
fn lock(under_way: &UnderWay) -> MutexGuard<'_, HashMap<String, Lookup>> {
    under_way.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Why a lookup found nothing.
#[derive(Debug, thiserror::Error)]
pub enum LookupError {
    /// There is no such name, or it has no address.
    #[error("{0}")]
    Unknown(#[source] io::Error),
    /// No answer came that says so: the name's own servers are silent or fail, or the resolver is
    /// away.
    #[error("{0}")]
    Unanswered(#[source] io::Error),
    /// This system could not ask.
    #[error("{0}")]
    System(#[source] io::Error),
    /// Anything else, such as a name that cannot be one.
    #[error("{0}")]
    Other(#[source] Box<dyn std::error::Error + Send + Sync>),
}

impl From<dns_lookup::LookupError> for LookupError {
    fn from(error: dns_lookup::LookupError) -> Self {
        let kind = error.kind();
        let cause = io::Error::from(error);
        match kind {
            LookupErrorKind::NoName | LookupErrorKind::NoData => Self::Unknown(cause),
            LookupErrorKind::Again => Self::Unanswered(cause),
            LookupErrorKind::System => Self::System(cause),
            LookupErrorKind::Memory => Self::System(Errno::NOMEM.into()),
            _ => Self::Other(cause.into()),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use tokio::sync::Semaphore;

    use super::*;

    /// A resolver that counts what it is asked and answers when it is let.
    struct Resolver {
        asked: AtomicUsize,
        answers: Semaphore,
    }

    impl Resolver {
        fn new(answers: usize) -> Arc<Self> {
            Arc::new(Self {
                asked: AtomicUsize::new(0),
                answers: Semaphore::new(answers),
            })
        }

        fn asked(&self) -> usize {
            self.asked.load(Ordering::SeqCst)
        }
    }

    fn ask(
        resolver: &Arc<Resolver>,
    ) -> impl FnOnce(String) -> BoxFuture<'static, Result<Vec<SocketAddr>, LookupError>> + use<>
    {
        let resolver = Arc::clone(resolver);
        |_| {
            let answer = async move {
                resolver.asked.fetch_add(1, Ordering::SeqCst);
                resolver.answers.acquire().await.unwrap().forget();
                Ok(vec!["192.0.2.1:0".parse().unwrap()])
            };
            answer.boxed()
        }
    }

    #[tokio::test]
    async fn a_lookup_under_way_is_joined_by_all_who_want_it() {
        let resolver = Resolver::new(0);
        let lookups = Lookups::default();
        let mut wanting: Vec<_> = (0..100)
            .map(|_| Box::pin(lookups.join("a.example", ask(&resolver))))
            .collect();
        for wanting in &mut wanting {
            assert!(wanting.now_or_never().is_none());
        }
        resolver.answers.add_permits(1);
        for wanting in wanting {
            assert_eq!(wanting.await.unwrap().len(), 1);
        }
        assert_eq!(resolver.asked(), 1);
    }

    #[tokio::test]
    async fn a_lookup_that_nobody_waits_for_any_longer_is_still_not_repeated() {
        let resolver = Resolver::new(0);
        let lookups = Lookups::default();
        for _ in 0..10 {
            assert!(
                lookups
                    .join("a.example", ask(&resolver))
                    .now_or_never()
                    .is_none()
            );
            tokio::task::yield_now().await;
        }
        assert_eq!(resolver.asked(), 1);
    }

    #[tokio::test]
    async fn each_name_and_each_later_time_is_asked_anew() {
        let resolver = Resolver::new(3);
        let lookups = Lookups::default();
        for host in ["a.example", "b.example", "a.example"] {
            lookups.join(host, ask(&resolver)).await.unwrap();
        }
        assert_eq!(resolver.asked(), 3);
        assert!(lock(&lookups.under_way).is_empty());
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_lookup_that_is_over_at_once_is_not_kept() {
        let lookups = Lookups::default();
        for _ in 0..1_000 {
            lookups
                .join("a.example", |_| async { Ok(Vec::new()) })
                .await
                .unwrap();
            assert!(lock(&lookups.under_way).is_empty());
        }
    }

    #[tokio::test]
    async fn a_lookup_that_panics_is_an_error_and_not_kept() {
        let lookups = Lookups::default();
        let found = lookups
            .join("a.example", |_| async { panic!("on purpose") })
            .await;
        assert!(found.is_err());
        assert!(lock(&lookups.under_way).is_empty());
    }
}
