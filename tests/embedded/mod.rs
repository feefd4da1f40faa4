//! What the embedded adapter promises beyond the suite that all adapters pass.

mod chaos;
mod limits;
mod simulation;
mod world;

pub use simulation::mixed;
