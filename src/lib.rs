//! Outbound webhook delivery for Prism, an AI gateway: signed, retried, recorded, and nothing lost
//! on the way.
//!
//! The gateway publishes *events* to RabbitMQ. Customers register *webhooks*. A *worker* takes each
//! event, finds the webhooks that want it, and makes one *delivery* to each: an HTTP `POST` of the
//! gateway's own bytes, signed. What fails is tried again, later and later; what cannot be
//! delivered becomes a *dead letter* that an operator can send round again. Every *attempt* is on
//! record in Redis.
//!
//! # The life of an event
//!
//! ```text
//! exchange ─▶ events queue ─▶ decode ─▶ match ─▶ for each webhook: admit ─▶ sign ─▶ send ─▶ classify ─▶ decide
//!                                                        │ not now                                     ├ settle
//!                                                        ▼                                             ├ retry ──▶ delay queues ─┐
//!                                                   delay queues ─▶ deliveries queue ─▶ admit …        ├ dead-letter ─▶ dead letters
//!                                                                          ▲                           └ disable                 │
//!                                                                          └─────────────────────────────────────────────────────┘
//! settle, in this order: write the attempt → publish what is next and await its confirm → write the
//! delivery's state → acknowledge
//! ```
//!
//! # The words
//!
//! | word | means |
//! |---|---|
//! | event | what happened in the gateway, published once |
//! | event type | its name and routing key: `request.completed` |
//! | organization | the tenant that it belongs to |
//! | webhook | a registered receiver: name, URL, secrets, event subscriptions; its URL is the endpoint |
//! | delivery | one event to one webhook |
//! | attempt | one HTTP request of a delivery, numbered from 1 |
//! | outcome | what an attempt came to |
//! | verdict | what happens next: settle, retry, dead-letter, disable |
//! | deferral | a delivery put off without an attempt |
//! | dead letter | a delivery given up, with its reason |
//! | requeue | an operator sends dead letters round again |
//! | redelivery | the broker handed a message out a second time |
//! | receipt | the right to settle one message; dropped, the message returns to its queue |
//! | origin | where a delivery came from: an event, or a message of its own |
//! | job | the work on one message; also a requeue or a purge under way |
//! | sequence | counts a delivery's attempts across requeues; what is settled is settled once |
//! | settled marker | for which webhooks an event is settled already |
//! | place | the right to one open request of a worker |
//! | part | a delivery that a large fan-out was split into, a message of its own |
//! | step | one of the fixed delays; there is a delay queue for each |
//!
//! # Where to look
//!
//! | for | look in |
//! |---|---|
//! | a decision: what matches, how it is signed, when it is retried | [`domain`], pure |
//! | the order in which things happen to a message | [`engine`] |
//! | settled markers | made by `engine::origin`, kept and read by `redis::log_writer` and `embedded::log_writer`, asked for by `engine::event_job` |
//! | when what is put off comes back, among all workers | [`domain::returns`] |
//! | queues, acknowledgements, confirms, dead letters | [`rabbitmq`] |
//! | registering and changing webhooks, encrypting their secrets | [`registry`] |
//! | webhooks, the record of attempts, change notices in Redis | [`redis`] |
//! | all of that in one process on SQLite | [`embedded`] |
//! | the HTTP request, its limits, where it may go | [`http`] |
//! | what is kept for how long, and what may be asked of it in either mode | [`store`] |
//! | a setting and its default; which settings choose the mode | [`config`] |
//! | a resource of the API | [`web::api`], one file each |
//! | what is done by hand, over API and page | [`operations`] |
//! | who changed what, and what is entered of it | [`domain::audit`], [`store::audit`], `registry::entries` |
//! | the Webhooks page | `web::page`, one file each; `form::check` checks what was typed |
//! | the port that both answer on, and which status an error has | `web::port`, `web::error_status` |
//! | a command | [`cli`], one file each; `store_commands` for those that ask the store |
//! | what is started and stopped, in what order; what the mode opens | [`app`], `app::backend` |
//! | what `demo` shows | [`demo`] |
//! | the receiver behind `listen` | [`receiver`] |
//! | what `bench` measures, and how | `bench`, one file a scenario |
//! | how long to wait for a server that is away | [`reconnect`] |
//!
//! `docs/architecture.md` has the contracts and the reasons, `docs/decisions` what else was thought of,
//! `docs/facts.md` what the parts cost and where they bite.
//!
//! Dependencies point downwards: the domain knows no I/O. The engine knows the domain and its own
//! ports, [`store`] the domain alone; the adapters implement the ports and the store's traits, and
//! [`app`] puts them together.

#![cfg_attr(
    test,
    allow(
        clippy::disallowed_methods,
        reason = "tests of pure functions begin at any time"
    )
)]

pub mod app;
mod bench;
pub mod cli;
pub mod config;
pub mod demo;
pub mod domain;
pub mod embedded;
pub mod engine;
pub mod http;
pub mod operations;
pub mod rabbitmq;
pub mod receiver;
pub mod reconnect;
pub mod redis;
pub mod registry;
pub mod store;
pub mod web;
