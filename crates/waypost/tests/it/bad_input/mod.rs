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
mod silent;
mod sockets;
mod table;
mod text;
mod tokens;
mod wire;

/// What a process may grow by.
const MOST_GROWTH_KIB: u64 = 20 * 1024;

/// Memory that processes held before and hold now, in KiB.
fn hardly_grew(before: [u64; 2], after: [u64; 2]) {
    for (before, after) in before.into_iter().zip(after) {
        let growth = after.saturating_sub(before);
        assert!(growth < MOST_GROWTH_KIB, "a process grew by {growth} KiB");
    }
}
