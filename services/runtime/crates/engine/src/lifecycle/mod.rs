//! What is done with a container from outside, one verb a file.

pub mod checkpoint;
pub mod create;
pub mod delete;
pub mod events;
pub mod exec;
pub mod kill;
pub mod pause;
pub mod pids;
pub(crate) mod prepare;
pub mod restore;
pub mod start;
pub mod update;

pub use checkpoint::checkpoint;
pub use create::create;
pub use delete::delete;
pub use exec::exec;
pub use kill::kill;
pub use pause::pause;
pub use pids::pids;
pub use restore::restore;
pub use start::start;
pub use update::update;
