//! The connections to the port: a bounded number, in which whoever keeps us waiting makes room.
//!
//! Each takes a file handle, and deliveries need those. Whoever opens a connection and asks nothing,
//! or asks slowly, may keep it as long as nobody else wants its place. Those that have shown no
//! token get a part of the places alone, and are the first to go, even where they wait for us: or many
//! who ask what takes long to answer would keep out whoever comes with a token, and is not known by it
//! yet.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::limits::PortLimits;

/// What goes on on a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stage {
    /// No request is under way.
    Idle,
    /// The head of a request has begun to come.
    Head,
    /// The body of a request comes.
    Body,
    /// A request is answered.
    Answering,
    /// The client takes none of its answer.
    Taking,
}

/// A connection as it is seen by all that deal with it.
#[derive(Debug)]
pub(super) struct Connection {
    state: Mutex<State>,
    /// Cancelled once its place is somebody else's.
    end: CancellationToken,
}

#[derive(Debug, Clone, Copy)]
struct State {
    stage: Stage,
    since: Instant,
    /// Whether a request is under way, whatever the stage.
    busy: bool,
    /// Whether a request on it showed a token.
    authenticated: bool,
}

impl Connection {
    fn new() -> Self {
        Self {
            state: Mutex::new(State {
                stage: Stage::Idle,
                since: Instant::now(),
                busy: false,
                authenticated: false,
            }),
            end: CancellationToken::new(),
        }
    }

    /// What goes on, and since when.
    pub fn stage(&self) -> (Stage, Instant) {
        let state = lock(&self.state);
        (state.stage, state.since)
    }

    /// Returns once the connection is to make room.
    pub async fn ended(&self) {
        self.end.cancelled().await;
    }

    /// A request on it showed a token, or needs none.
    pub fn authenticated(&self) {
        lock(&self.state).authenticated = true;
    }

    /// Something came from the client.
    pub fn received(&self) {
        self.turn(|state| (state.stage == Stage::Idle).then_some(Stage::Head));
    }

    /// A request begins; `body`: more of it is to come.
    pub fn asked(&self, body: bool) {
        self.turn(|state| {
            state.busy = true;
            Some(if body { Stage::Body } else { Stage::Answering })
        });
    }

    /// The request has come whole, or no more of it is wanted.
    pub fn whole(&self) {
        self.turn(|state| (state.stage == Stage::Body).then_some(Stage::Answering));
    }

    /// The answer has been given out.
    pub fn answered(&self) {
        self.turn(|state| {
            state.busy = false;
            (state.stage != Stage::Taking).then_some(Stage::Idle)
        });
    }

    /// The client takes none of the answer.
    pub fn stuck(&self) {
        self.turn(|state| (state.stage != Stage::Taking).then_some(Stage::Taking));
    }

    /// The client took some of the answer.
    pub fn taken(&self) {
        self.turn(|state| {
            let next = if state.busy {
                Stage::Answering
            } else {
                Stage::Idle
            };
            (state.stage == Stage::Taking).then_some(next)
        });
    }

    fn turn(&self, next: impl FnOnce(&mut State) -> Option<Stage>) {
        let mut state = lock(&self.state);
        if let Some(stage) = next(&mut state) {
            state.stage = stage;
            state.since = Instant::now();
        }
    }
}

/// The connections that are open.
#[derive(Debug)]
pub(super) struct Connections {
    limits: Arc<PortLimits>,
    open: Mutex<Open>,
}

#[derive(Debug, Default)]
struct Open {
    next: u64,
    all: HashMap<u64, Arc<Connection>>,
}

impl Connections {
    pub fn new(limits: Arc<PortLimits>) -> Arc<Self> {
        let open = Mutex::default();
        Arc::new(Self { limits, open })
    }

    /// Takes a place for a new connection, somebody else's if need be; `None` if all others have a
    /// token and wait for us.
    pub fn enter(self: &Arc<Self>) -> Option<Place> {
        let mut open = lock(&self.open);
        let strangers = open
            .all
            .values()
            .filter(|one| !lock(&one.state).authenticated);
        if strangers.count() >= self.limits.unauthenticated {
            open.make_room(|state| !state.authenticated)?;
        }
        if open.all.len() >= self.limits.connections {
            open.make_room(|_| true)?;
        }
        let id = open.next;
        open.next += 1;
        let connection = Arc::new(Connection::new());
        open.all.insert(id, Arc::clone(&connection));
        Some(Place {
            id,
            connection,
            all: Arc::clone(self),
        })
    }

    /// Ends a connection that can be spared, if there is one.
    pub fn make_room(&self) {
        lock(&self.open).make_room(|_| true);
    }
}

impl Open {
    /// Ends the connection that can best be spared, among those that `may` go.
    fn make_room(&mut self, may: impl Fn(&State) -> bool) -> Option<()> {
        let states = self.all.iter().map(|(id, one)| (*id, *lock(&one.state)));
        let spared = states
            .filter(|(_, state)| may(state))
            .filter_map(|(id, state)| Some((rank(&state)?, state.since, id)))
            .min()?;
        let connection = self.all.remove(&spared.2)?;
        connection.end.cancel();
        Some(())
    }
}

/// How soon a connection makes room: of the same rank, the one goes that has been at it for longest.
/// `None`: never, for it waits for us, and has shown a token.
fn rank(state: &State) -> Option<u8> {
    match (state.stage, state.authenticated) {
        (_, false) => Some(0),
        (Stage::Answering, true) => None,
        (Stage::Idle, true) => Some(1),
        (_, true) => Some(2),
    }
}

/// A place among the connections, held as long as this lives.
#[derive(Debug)]
pub(super) struct Place {
    id: u64,
    connection: Arc<Connection>,
    all: Arc<Connections>,
}

impl Place {
    pub fn connection(&self) -> &Arc<Connection> {
        &self.connection
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        lock(&self.all.open).all.remove(&self.id);
    }
}

/// Nothing panics with a lock held that would leave what it guards half changed.
fn lock<T>(guarded: &Mutex<T>) -> MutexGuard<'_, T> {
    guarded.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn at_most(connections: usize, unauthenticated: usize) -> Arc<Connections> {
        Connections::new(Arc::new(PortLimits {
            unauthenticated,
            ..PortLimits::usual(connections)
        }))
    }

    async fn later() {
        tokio::time::advance(Duration::from_millis(1)).await;
    }

    fn has_ended(place: &Place) -> bool {
        place.connection.end.is_cancelled()
    }

    #[tokio::test(start_paused = true)]
    async fn whoever_keeps_us_waiting_for_longest_makes_room() {
        let all = at_most(3, 3);
        let first = all.enter().unwrap();
        later().await;
        let second = all.enter().unwrap();
        later().await;
        let third = all.enter().unwrap();
        first.connection.asked(false);
        later().await;
        first.connection.answered();
        later().await;
        let _fourth = all.enter().unwrap();
        assert!(has_ended(&second));
        assert!(!has_ended(&first) && !has_ended(&third));
        // Half a head does not keep a place.
        third.connection.received();
        let _fifth = all.enter().unwrap();
        assert!(has_ended(&first) && !has_ended(&third));
    }

    #[tokio::test(start_paused = true)]
    async fn who_waits_for_us_is_not_sent_away() {
        let all = at_most(2, 2);
        let (one, two) = (all.enter().unwrap(), all.enter().unwrap());
        one.connection.asked(false);
        two.connection.asked(true);
        later().await;
        two.connection.whole();
        for one in [&one, &two] {
            one.connection.authenticated();
        }
        let stranger = all.enter();
        assert!(stranger.is_none());
        // One that takes none of its answer does not wait for us.
        one.connection.stuck();
        assert!(all.enter().is_some());
        assert!(has_ended(&one) && !has_ended(&two));
    }

    #[tokio::test(start_paused = true)]
    async fn strangers_take_no_place_of_those_who_have_a_token() {
        let all = at_most(8, 2);
        let known = [all.enter().unwrap(), all.enter().unwrap()];
        for one in &known {
            one.connection.asked(false);
            one.connection.authenticated();
            one.connection.answered();
        }
        let mut strangers = Vec::new();
        for _ in 0..10 {
            later().await;
            strangers.push(all.enter().unwrap());
        }
        assert!(!known.iter().any(has_ended));
        assert_eq!(strangers.iter().filter(|one| has_ended(one)).count(), 8);
        // And a token that comes now finds one, as a stranger at first.
        assert!(all.enter().is_some());
    }

    #[tokio::test(start_paused = true)]
    async fn strangers_who_wait_for_an_answer_keep_nobody_out() {
        let all = at_most(8, 2);
        let (first, second) = (all.enter().unwrap(), all.enter().unwrap());
        first.connection.asked(false);
        later().await;
        second.connection.asked(false);
        later().await;
        let third = all.enter().unwrap();
        assert!(has_ended(&first) && !has_ended(&second));
        // Not whoever has just come, and not whoever has shown a token meanwhile.
        let fourth = all.enter().unwrap();
        assert!(has_ended(&second) && !has_ended(&third));
        third.connection.asked(false);
        third.connection.authenticated();
        let fifth = all.enter().unwrap();
        assert!(!has_ended(&third) && !has_ended(&fourth) && !has_ended(&fifth));
    }

    #[tokio::test(start_paused = true)]
    async fn a_place_is_free_again_once_its_connection_is_gone() {
        let all = at_most(1, 1);
        let one = all.enter().unwrap();
        one.connection.asked(false);
        one.connection.authenticated();
        assert!(all.enter().is_none());
        drop(one);
        assert!(all.enter().is_some());
    }

    #[tokio::test(start_paused = true)]
    async fn an_answer_that_is_taken_late_ends_where_it_was() {
        let connection = Connection::new();
        connection.received();
        connection.asked(false);
        connection.stuck();
        connection.taken();
        assert_eq!(connection.stage().0, Stage::Answering);
        connection.stuck();
        connection.answered();
        assert_eq!(connection.stage().0, Stage::Taking);
        connection.taken();
        assert_eq!(connection.stage().0, Stage::Idle);
    }
}
