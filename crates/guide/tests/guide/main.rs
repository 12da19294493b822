//! The guide's pages and exercises, held to what is there. No process is started: `make test-guide` runs the commands.
//!
//! A rule is a function that lists what breaks it; beside it stand small texts that do.
#![expect(clippy::unwrap_used, reason = "a test that can't go on has failed")]

mod exercises;
mod fences;
mod figures;
mod languages;
mod links;
mod notes;
mod pages;
mod sets;
mod site;
