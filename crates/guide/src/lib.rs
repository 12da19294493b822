//! What the guide in `docs/guide` runs: exercises with their checks, and the reading of its pages.
//!
//! Why: nothing in a page may be only described. An exercise is judged by running it; a page is taken apart, so that
//! tests hold its commands, quotes, links and figures to what is there. Development only: nothing depends on this crate,
//! and of ours it knows `common` alone.
//!
//! - [`exercises`]: what a learner is asked to do, and what says whether it is done
//! - [`markdown`]: a page taken apart, and the sources that it quotes
//! - [`site`]: the pages as mdBook takes them, and the scripts of their site

pub mod exercises;
pub mod markdown;
pub mod site;
