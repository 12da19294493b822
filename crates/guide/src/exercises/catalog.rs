//! All exercises.

use super::{Exercise, cache, mq, resilience};

/// Every exercise, in the order of the pages.
pub fn all() -> impl Iterator<Item = Exercise> {
    let themes: [&[Exercise]; 3] = [&cache::EXERCISES, &mq::EXERCISES, &resilience::EXERCISES];
    themes.into_iter().flatten().copied()
}

/// The exercise of this name.
pub fn find(name: &str) -> Option<Exercise> {
    all().find(|exercise| exercise.name == name)
}
