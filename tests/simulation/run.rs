//! Runs a scenario: one life of the worker after the other, until everything is settled.

use std::sync::Arc;

use jiff::Timestamp;
use prism_webhooks::engine::Engine;
use prism_webhooks::engine::clock::Clock;
use prism_webhooks::engine::ports::Source;
use tokio::runtime::Builder;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::account::Account;
use super::ports::Life;
use super::scenario::{End, Scenario};
use super::settings::settings;
use super::story;
use super::world::World;

/// Runs a scenario to its end, and gives the account of it.
pub fn run(scenario: &Scenario) -> Account {
    let runtime = Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .unwrap();
    let mut account = runtime.block_on(async {
        let world = World::new(scenario);
        live(&world).await;
        world.finish()
    });
    drop(runtime);
    account.check_ending();
    account
}

/// Runs a scenario, and fails with its story if a promise was broken.
pub fn kept(scenario: &Scenario) -> Account {
    let account = run(scenario);
    assert!(account.broken.is_empty(), "{}", story::of(&account));
    account
}

async fn live(world: &Arc<World>) {
    let publishing = world.clone();
    tokio::spawn(async move { publishing.publish().await });
    let mut endings = world.scenario.endings.iter();
    loop {
        let worker = Worker::start(world);
        let ending = endings.next();
        let comes_to_an_end = async {
            match ending {
                Some(ending) => tokio::time::sleep_until(world.at(ending.at)).await,
                None => std::future::pending().await,
            }
        };
        let end = tokio::select! {
            biased;
            () = world.settled.notified() => return,
            () = comes_to_an_end => ending,
            () = tokio::time::sleep_until(world.at(world.scenario.horizon)) => None,
        };
        let Some(ending) = end else { return };
        match ending.end {
            End::Crash => worker.crash(),
            End::Stop => worker.stop().await,
        }
        world.worker_ended(ending.end);
        tokio::time::sleep(ending.pause).await;
    }
}

/// A worker at work.
struct Worker {
    world: Arc<World>,
    over: CancellationToken,
    stopping: CancellationToken,
    working: JoinHandle<()>,
    settling: JoinHandle<()>,
}

impl Worker {
    fn start(world: &Arc<World>) -> Self {
        let (over, stopping) = (CancellationToken::new(), CancellationToken::new());
        let now: Timestamp = "2026-01-01T00:00:00Z".parse().unwrap();
        let now = now.checked_add(world.now().account.now).unwrap();
        let settings = settings(&world.scenario, Clock::simulated(now));
        let engine = Engine::new(settings, Life::ports(world, &over), stopping.clone());
        let (settlements, settled) = mpsc::unbounded_channel();
        let (_lost, lost_acks) = mpsc::unbounded_channel();
        let (proven, proven_acks) = mpsc::unbounded_channel();
        let mut state = world.now();
        state.account.worker_started();
        let (events, deliveries) = state.broker.consume(settlements);
        world.hand_out(state);
        let source = Source {
            events,
            deliveries,
            // Handed out like other deliveries.
            parts: mpsc::channel(1).1,
            lost_acks,
            proven_acks,
        };
        Self {
            world: world.clone(),
            over,
            stopping,
            working: tokio::spawn(async move {
                engine.run(source).await;
            }),
            settling: tokio::spawn(world.clone().settle(settled, proven)),
        }
    }

    /// Nothing that it does from now on has any effect.
    fn crash(self) {
        self.over.cancel();
        self.settling.abort();
        self.working.abort();
    }

    /// Returns once it has ended by itself.
    async fn stop(self) {
        self.stopping.cancel();
        {
            let mut world = self.world.now();
            world.account.worker_stops();
            world.broker.stop_consuming();
        }
        self.working.await.unwrap();
        self.settling.await.unwrap();
        self.over.cancel();
    }
}
