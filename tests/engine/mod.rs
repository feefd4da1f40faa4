//! The engine on a paused clock with scripted ports: what is settled, in which order, and what is
//! left alone when something stops half way.

mod again;
mod arriving;
mod bounds;
mod fan_out;
mod fixtures;
mod half_way;
mod identity;
pub mod script;
mod settling;
