//! What the guide in `docs/guide` runs: exercises with their checks, and the reading of its pages.
//!
//! Why: nothing in a page may be only described. An exercise is judged by running it. A page is taken apart, so that
//! tests can compare its commands, quotes, links and figures with what is there. Development only: nothing depends on this
//! crate, and of ours it knows `common`, `contracts` and `migrations` alone.
//!
//! - [`exercises`]: what a learner is asked to do, and the checks that say whether it is done
//! - [`markdown`]: a page taken apart, and the sources that it quotes
//! - [`site`]: the pages as mdBook takes them, and the scripts of their site

pub mod exercises;
pub mod markdown;
pub mod site;
