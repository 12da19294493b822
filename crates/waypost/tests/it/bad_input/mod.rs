//! Input that no well-behaved program sends, over real processes.
//!
//! The rule is one and the same everywhere: it is refused by the status that the API's page names, as a
//! problem document, within a deadline, and the process is as it was before.

mod bodies;
mod case;
mod messages;
mod names;
mod paths;
mod poison;
mod sockets;
mod table;
mod text;
mod tokens;
mod wire;
