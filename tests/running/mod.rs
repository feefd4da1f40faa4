//! A `run` process, embedded and on servers, with what belongs to it: the API, the page, commands
//! beside it, and `demo` and `bench`, which run the same. `end_to_end` has the worker apart.

mod api;
mod api_alone;
mod asked_first;
mod audit;
mod bench;
mod by_hand;
mod demo;
mod embedded;
mod events;
mod full_store;
mod handles;
mod held_back;
mod isolation;
mod long_log;
mod modes;
mod page;
mod port;
mod rates;
mod sealing;
mod servers;
mod sessions;
pub mod site;
mod streams;
mod unable;
mod waiting;
