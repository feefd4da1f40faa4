//! The one task that writes: what has come together while a pipeline was under way is the next.
//!
//! Each command of a pipeline succeeds or fails by itself. What Redis will never carry out is
//! reported and counts as written, so that one broken key cannot hold up every webhook; whatever
//! may pass is tried again, alone, for as long as it takes.

use std::collections::HashSet;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use jiff::Timestamp;
use redis::{Arg, Cmd, ErrorKind, Pipeline, RedisError, RedisResult, ServerErrorKind, Value};
use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::Instant;

use super::encoder::Encoder;
use crate::domain::webhook::WebhookKey;
use crate::engine::ports::Entry;
use crate::reconnect::Reconnect;
use crate::redis::connection::Connection;
use crate::redis::error::{StoreError, is_permanent};
use crate::redis::supervisor::TIME_LIMIT;
use crate::store::statistics::Counted;

/// A pipeline is closed once it has about this many bytes, so that it fits into a time limit.
const MAX_BYTES: usize = 1 << 20;

/// What Redis says if there is no room for what a command would write.
const NO_ROOM: &str = "OOM";

/// That bodies have no room is told so often at most.
const TOLD_EVERY: Duration = Duration::from_secs(60);

/// The longest time limit on a slow way to Redis: a pipeline that is cut off is sent whole again,
/// and must get through in the end.
const LONGEST_LIMIT: Duration = Duration::from_secs(30);

/// Something to be written.
#[derive(Debug)]
pub(super) enum Job {
    /// An entry, and whom to tell.
    Write(Box<Entry>, oneshot::Sender<()>),
    /// A webhook answered well; nobody waits for that.
    Success(WebhookKey, Timestamp),
    /// Counts to be added to those there are; nobody waits for that.
    Counts(Counted),
    /// Nothing; it tells that everything before it is written.
    Flush(oneshot::Sender<()>),
}

/// Writes what comes, in order.
#[derive(Debug)]
pub(super) struct Writer {
    connection: Connection,
    encoder: Encoder,
    /// Whether the last try went well.
    writing: watch::Sender<bool>,
    /// The most jobs in one pipeline.
    batch: usize,
    /// When it was last told that bodies have no room.
    told: Mutex<Option<Instant>>,
}

impl Writer {
    pub(super) fn new(
        connection: Connection,
        encoder: Encoder,
        writing: watch::Sender<bool>,
        batch: usize,
    ) -> Self {
        Self {
            connection,
            encoder,
            writing,
            batch,
            told: Mutex::default(),
        }
    }

    /// Writes until the queue is closed and empty.
    pub(super) async fn run(self, mut queue: mpsc::UnboundedReceiver<Job>) {
        let mut waiting = Vec::with_capacity(self.batch);
        while let Some(first) = queue.recv().await {
            let mut pipeline = Pipeline::with_capacity(2 * self.batch);
            let mut touched = HashSet::new();
            note_touched(&first, &mut touched);
            let mut size = self.add(first, &mut pipeline, &mut waiting);
            for _ in 1..self.batch {
                let Ok(job) = queue.try_recv() else { break };
                note_touched(&job, &mut touched);
                let full = size >= MAX_BYTES;
                size += self.add(job, &mut pipeline, &mut waiting);
                if full {
                    break;
                }
            }
            let now = Timestamp::now();
            for webhook in &touched {
                self.encoder.tend(webhook, now, &mut pipeline);
            }
            self.write(pipeline).await;
            for done in waiting.drain(..) {
                // Whoever asked may have been stopped meanwhile.
                let _ = done.send(());
            }
        }
    }

    fn add(
        &self,
        job: Job,
        pipeline: &mut Pipeline,
        waiting: &mut Vec<oneshot::Sender<()>>,
    ) -> usize {
        match job {
            Job::Write(entry, done) => {
                waiting.push(done);
                self.encoder.entry(&entry, pipeline)
            }
            Job::Success(webhook, at) => {
                self.encoder.success(&webhook, at, pipeline);
                0
            }
            Job::Counts(counted) => self.encoder.counts(&counted, pipeline),
            Job::Flush(done) => {
                waiting.push(done);
                0
            }
        }
    }

    /// Returns once every command is carried out, or refused for good.
    async fn write(&self, mut pipeline: Pipeline) {
        let mut reconnect = Reconnect::new();
        let mut limit = TIME_LIMIT;
        let mut refused = false;
        while !pipeline.is_empty() {
            let problem = match self.connection.pipeline(&mut pipeline, limit).await {
                Ok(results) => {
                    let left = remaining(&self.encoder, &pipeline, results);
                    pipeline = left.commands;
                    if left.without_body > 0 {
                        self.tell_of_bodies(left.without_body);
                        continue;
                    }
                    match left.problem {
                        Some(problem) => StoreError::Refusing(problem),
                        None => break,
                    }
                }
                Err(error) => error,
            };
            if is_script_unknown(&problem) && self.load_scripts().await {
                continue;
            }
            self.writing.send_replace(false);
            match &problem {
                // The supervisor of the connection reports these, once for everybody.
                StoreError::Away { .. } => {}
                StoreError::TimedOut { .. } => limit = (limit * 2).min(LONGEST_LIMIT),
                error => {
                    refused = true;
                    self.connection.warn_once(error);
                }
            }
            self.connection.pause(&mut reconnect).await;
        }
        if refused {
            self.connection.relent();
        }
        self.writing
            .send_if_modified(|well| !std::mem::replace(well, true));
    }

    fn tell_of_bodies(&self, without: usize) {
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        if told.is_none_or(|at| at.elapsed() > TOLD_EVERY) {
            *told = Some(Instant::now());
            tracing::warn!(
                without,
                "Redis has no room for the bodies of deliveries that failed: they are kept without, \
                 and the oldest of their organization go; give it more memory, or lower \
                 delivery_log.bodies_per_organization"
            );
        }
    }

    async fn load_scripts(&self) -> bool {
        for load in self.encoder.load() {
            if self.connection.call::<Value>(&load).await.is_err() {
                return false;
            }
        }
        true
    }
}

/// Notes of which webhooks something is written that is to go with them.
fn note_touched(job: &Job, touched: &mut HashSet<WebhookKey>) {
    match job {
        Job::Write(entry, _) => touched.extend(entry.attempt.as_ref().map(|attempt| WebhookKey {
            organization: attempt.organization.clone(),
            id: attempt.webhook_id.clone(),
        })),
        Job::Success(webhook, _) => drop(touched.insert(webhook.clone())),
        Job::Counts(counted) => touched.extend(counted.keys().cloned()),
        Job::Flush(_) => {}
    }
}

fn is_script_unknown(problem: &StoreError) -> bool {
    let unknown = ErrorKind::Server(ServerErrorKind::NoScript);
    matches!(problem, StoreError::Refusing(error) if error.kind() == unknown)
}

/// Returns the commands still to be carried out after one try, and the last reason why.
fn remaining(encoder: &Encoder, pipeline: &Pipeline, results: Vec<RedisResult<Value>>) -> Left {
    let mut left = Left::default();
    for (command, result) in pipeline.cmd_iter().zip(results) {
        match result {
            Ok(_) => {}
            Err(error) if is_permanent(&error) => {
                let key = key_of(command);
                tracing::error!(key, %error, "an entry of the log cannot be written and is left out; look at the key");
            }
            Err(error) if error.code() == Some(NO_ROOM) => {
                let without = encoder.without_body(command);
                left.without_body += usize::from(without.is_some());
                left.commands
                    .add_command(without.unwrap_or_else(|| command.clone()));
                left.problem = Some(error);
            }
            Err(error) => {
                left.commands.add_command(command.clone());
                left.problem = Some(error);
            }
        }
    }
    left
}

/// What is left of a pipeline to be carried out.
#[derive(Default)]
struct Left {
    commands: Pipeline,
    /// So many of them were given up as they were, and are to go without their bodies.
    without_body: usize,
    /// Why something is left.
    problem: Option<RedisError>,
}

/// The key that a command is about.
fn key_of(command: &Cmd) -> String {
    let mut arguments = command.args_iter().map(|argument| match argument {
        Arg::Simple(bytes) => String::from_utf8_lossy(bytes).into_owned(),
        _ => String::new(),
    });
    let name = arguments.next().unwrap_or_default();
    let place = if name == "EVALSHA" { 2 } else { 0 };
    arguments.nth(place).unwrap_or_default()
}
