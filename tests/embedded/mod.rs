//! What the embedded adapter promises beyond the suite that all adapters pass.

mod chaos;
mod disabling;
mod limits;
mod simulation;
mod tenants;
pub mod world;

pub use simulation::mixed;
