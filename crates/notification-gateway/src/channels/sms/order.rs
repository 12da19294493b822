//! In which order providers are asked: by priority, and among equals by chance and weight.

use std::cmp::Ordering;

/// Where a provider stands among the others.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Rank {
    /// Lower is asked first.
    pub(super) priority: u32,
    /// Among those of the same priority: its share of the messages, in proportion.
    pub(super) weight: u32,
}

/// The places of `ranks` in the order in which they are asked. `chance` gives numbers from 0 to 1.
///
/// Among equals this is weighted random sampling without replacement (Efraimidis and Spirakis, 2006): each gets the key
/// chance^(1/weight), the largest comes first.
pub(super) fn order(ranks: &[Rank], mut chance: impl FnMut() -> f64) -> Vec<usize> {
    let mut keyed: Vec<(u32, f64, usize)> = ranks
        .iter()
        .enumerate()
        .map(|(place, rank)| (rank.priority, chance().powf(1.0 / f64::from(rank.weight.max(1))), place))
        .collect();
    keyed.sort_by(|one, other| {
        one.0
            .cmp(&other.0)
            .then(other.1.partial_cmp(&one.1).unwrap_or(Ordering::Equal))
    });
    keyed.into_iter().map(|(.., place)| place).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn rank(priority: u32, weight: u32) -> Rank {
        Rank { priority, weight }
    }

    #[test]
    fn a_lower_priority_comes_first_whatever_the_weights() {
        let ranks = [rank(5, 1000), rank(0, 1), rank(7, 1000)];
        for _ in 0..100 {
            assert_eq!(order(&ranks, fastrand::f64), [1, 0, 2]);
        }
    }

    #[test]
    fn equals_share_by_weight() {
        let ranks = [rank(0, 3), rank(0, 1)];
        let mut chance = fastrand::Rng::with_seed(7);
        let first = (0..10_000).filter(|_| order(&ranks, || chance.f64())[0] == 0).count();
        assert!(
            (7_200..7_800).contains(&first),
            "{first} of 10,000 for three parts of four"
        );
    }
}
