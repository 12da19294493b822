//! Holds the arrows: between the crates of the workspace, and between the files inside each crate.
//!
//! - `crates`: which crate may depend on which, and who may know which library;
//! - `inside`: no circle between files or modules, a `mod.rs` that defines nothing, `common`'s order.
//!
//! The second reads the sources themselves, from their tokens up, so that no arrow hides in a macro, in
//! a re-export or in a path written out: `tokens` -> `facts` (one file) -> `tree` (one crate) ->
//! `arrows` (who uses whose file) -> `circles`, `order`. `planted` shows on small texts that each is found.
#![expect(clippy::expect_used, reason = "a test that can't read the workspace has failed")]

mod arrows;
mod circles;
mod crates;
mod facts;
mod imports;
mod inside;
mod order;
mod planted;
mod tokens;
mod tree;
mod workspace;
