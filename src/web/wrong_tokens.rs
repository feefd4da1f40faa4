//! Wrong tokens: answered late, a few at a time, and told in the log.
//!
//! A right token is never looked at here, so whoever sends wrong ones, from behind the same proxy
//! too, keeps nobody out.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

/// How late a wrong token is answered.
pub const LATE: Duration = Duration::from_millis(250);

/// The most wrong tokens of one client that wait for their answers at once.
const MOST_OF_ONE: usize = 8;

/// The most of all clients.
const MOST: usize = 128;

/// The log tells of wrong tokens once for each client in such a time.
const PERIOD: Duration = Duration::from_secs(60);

/// The most clients that it tells of in that time, each by itself.
const LINES: usize = 20;

/// So many wrong tokens wait already that another is refused at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TooMany;

/// Wrong tokens that came of late.
#[derive(Debug, Default)]
pub struct WrongTokens {
    waiting: Mutex<Waiting>,
    told: Mutex<Told>,
}

impl WrongTokens {
    /// A wrong token came from `address`: returns once it may be answered.
    pub async fn came(&self, address: IpAddr) -> Result<(), TooMany> {
        match lock(&self.told).note(network(address), Instant::now()) {
            Line::None => {}
            Line::Of => tracing::warn!(%address, "a wrong token was given"),
            Line::After(more) => {
                tracing::warn!(
                    %address,
                    more,
                    "a wrong token was given, after more of which nothing was said"
                );
            }
        }
        let _place = self.enter(network(address)).ok_or(TooMany)?;
        tokio::time::sleep(LATE).await;
        Ok(())
    }

    fn enter(&self, address: IpAddr) -> Option<Place<'_>> {
        let mut waiting = lock(&self.waiting);
        let of_one = waiting.by_address.get(&address).copied().unwrap_or(0);
        if waiting.all >= MOST || of_one >= MOST_OF_ONE {
            return None;
        }
        waiting.all += 1;
        waiting.by_address.insert(address, of_one + 1);
        let waiting = &self.waiting;
        Some(Place { waiting, address })
    }
}

/// Who has one address of IPv6 has the network of it.
fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => Ipv6Addr::from_bits(address.to_bits() >> 64 << 64).into(),
        v4 => v4,
    }
}

#[derive(Debug, Default)]
struct Waiting {
    all: usize,
    by_address: HashMap<IpAddr, usize>,
}

/// A wrong token that waits for its answer.
struct Place<'a> {
    waiting: &'a Mutex<Waiting>,
    address: IpAddr,
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        let mut waiting = lock(self.waiting);
        waiting.all -= 1;
        if let Some(count) = waiting.by_address.get_mut(&self.address) {
            *count -= 1;
            if *count == 0 {
                waiting.by_address.remove(&self.address);
            }
        }
    }
}

/// What the log has said.
#[derive(Debug, Default)]
struct Told {
    since: Option<Instant>,
    clients: Vec<IpAddr>,
    /// Of how many nothing was said.
    untold: u64,
}

/// What the log is to say.
#[derive(Debug, PartialEq, Eq)]
enum Line {
    None,
    Of,
    After(u64),
}

impl Told {
    fn note(&mut self, address: IpAddr, now: Instant) -> Line {
        if self.since.is_none_or(|since| now >= since + PERIOD) {
            self.since = Some(now);
            self.clients.clear();
        }
        if self.clients.len() >= LINES || self.clients.contains(&address) {
            self.untold += 1;
            return Line::None;
        }
        self.clients.push(address);
        match std::mem::take(&mut self.untold) {
            0 => Line::Of,
            more => Line::After(more),
        }
    }
}

/// Nothing panics with a lock held that would leave what it guards half changed.
fn lock<T>(guarded: &Mutex<T>) -> MutexGuard<'_, T> {
    guarded.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use futures::FutureExt as _;
    use futures::future::join_all;

    use super::*;

    fn address(number: u8) -> IpAddr {
        IpAddr::from([10, 0, 0, number])
    }

    #[tokio::test(start_paused = true)]
    async fn a_wrong_token_is_answered_late_and_few_wait_at_once() {
        let wrong = WrongTokens::default();
        let began = Instant::now();
        let of_one = (0..20).map(|_| wrong.came(address(1)));
        let answers = join_all(of_one).await;
        assert_eq!(
            answers.iter().filter(|one| one.is_ok()).count(),
            MOST_OF_ONE
        );
        assert_eq!(began.elapsed(), LATE);
        let of_many = (0..200).map(|number| wrong.came(address(number)));
        let answers = join_all(of_many).await;
        assert_eq!(answers.iter().filter(|one| one.is_ok()).count(), MOST);
        // Whoever goes away makes room.
        assert_eq!(wrong.came(address(1)).now_or_never(), None);
        assert_eq!(lock(&wrong.waiting).all, 0);
        assert!(lock(&wrong.waiting).by_address.is_empty());
    }

    #[tokio::test(start_paused = true)]
    async fn the_log_tells_of_each_client_once_a_minute_and_of_few_of_them() {
        let (mut told, now) = (Told::default(), Instant::now());
        assert_eq!(told.note(address(1), now), Line::Of);
        assert_eq!(told.note(address(1), now), Line::None);
        assert_eq!(told.note(address(2), now), Line::After(1));
        let lines = (3..200).filter(|number| told.note(address(*number), now) != Line::None);
        assert_eq!(lines.count(), LINES - 2);
        let later = now + PERIOD;
        assert_eq!(told.note(address(1), later), Line::After(197 - 18));
    }

    #[test]
    fn a_network_of_ipv6_is_one_client() {
        let one = network("2001:db8::1".parse().unwrap());
        assert_eq!(one, network("2001:db8::2:3".parse().unwrap()));
        assert_ne!(one, network("2001:db8:0:1::1".parse().unwrap()));
        assert_eq!(network("::ffff:10.0.0.1".parse().unwrap()), address(1));
    }
}
