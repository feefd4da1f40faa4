//! Bytes that a test names: finding them in what passes, and counting them.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

/// Which way bytes go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum To {
    /// What clients say.
    Server,
    /// What the server says.
    Client,
}

/// A few bytes.
pub(super) struct Pattern(Vec<u8>);

impl Pattern {
    const LONGEST: usize = 64;

    pub fn new(bytes: &[u8]) -> Self {
        let size = bytes.len();
        assert!((1..=Self::LONGEST).contains(&size), "{size} bytes");
        Self(bytes.to_vec())
    }
}

/// What came last on one direction of a connection.
#[derive(Default)]
pub(super) struct Heard {
    bytes: Vec<u8>,
    /// So many of them came before: a pattern may begin there.
    before: usize,
}

impl Heard {
    pub fn hear(&mut self, bytes: &[u8]) {
        let old = self.bytes.len().saturating_sub(Pattern::LONGEST);
        self.bytes.drain(..old);
        self.before = self.bytes.len();
        self.bytes.extend_from_slice(bytes);
    }

    /// How often `pattern` ends in what was heard last.
    pub fn occurrences(&self, pattern: &Pattern) -> usize {
        let size = pattern.0.len();
        let from = self.before.saturating_sub(size - 1);
        let windows = self.bytes[from..].windows(size);
        windows.filter(|found| *found == pattern.0).count()
    }
}

/// How often a pattern has passed, on all connections together.
pub struct Tally(Arc<AtomicUsize>);

impl Tally {
    /// How often by now.
    pub fn count(&self) -> usize {
        self.0.load(Ordering::SeqCst)
    }
}

/// All tallies that are kept.
#[derive(Default)]
pub(super) struct Tallies(Mutex<Vec<(To, Pattern, Arc<AtomicUsize>)>>);

impl Tallies {
    pub fn add(&self, to: To, pattern: Pattern) -> Tally {
        let count = Arc::default();
        let tally = Tally(Arc::clone(&count));
        let mut all = self.0.lock().expect("nobody panics while counting");
        all.push((to, pattern, count));
        tally
    }

    pub fn count(&self, way: To, heard: &Heard) {
        let all = self.0.lock().expect("nobody panics while counting");
        for (_, pattern, count) in all.iter().filter(|(to, ..)| *to == way) {
            count.fetch_add(heard.occurrences(pattern), Ordering::SeqCst);
        }
    }
}
