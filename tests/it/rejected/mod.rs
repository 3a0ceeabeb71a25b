//! Rejected deliveries that are kept, and what becomes of them.

mod disk;
mod flood;
mod model;
mod rig;
mod ring;
mod rotation;
