//! mq-7: a copy of somebody's data follows its source, in whatever order the events come.

use crate::exercises::exercise::Verdict;

/// Somebody's account was changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Changed {
    pub(crate) person: u32,
    /// Counts the changes of the account, from 1.
    pub(crate) version: u64,
    /// `None`: the account is gone.
    pub(crate) name: Option<&'static str>,
}

/// A service's own copy of accounts that another service has.
pub(crate) trait Follows: Send + Sync + 'static {
    /// Makes an empty copy.
    fn new() -> Self;
    /// Takes an event in.
    fn take(&mut self, event: Changed);
    /// What the copy says of a person's name; `None`: nobody is there.
    fn name(&self, person: u32) -> Option<&'static str>;
}

/// Ada signs up, marries, is gone. Grace signs up and stays.
const EVENTS: [Changed; 4] = [
    Changed {
        person: 1,
        version: 1,
        name: Some("Ada Byron"),
    },
    Changed {
        person: 1,
        version: 2,
        name: Some("Ada Lovelace"),
    },
    Changed {
        person: 1,
        version: 3,
        name: None,
    },
    Changed {
        person: 2,
        version: 1,
        name: Some("Grace Hopper"),
    },
];

pub(crate) fn check<F: Follows>() -> Verdict {
    let [first, second, gone, other] = EVENTS;
    let mut people = F::new();
    people.take(first.clone());
    if people.name(1) != first.name || people.name(2).is_some() {
        return Err("An event was taken in, and the copy does not say what stands in it.".into());
    }
    let mut people = F::new();
    for event in [&second, &first] {
        people.take(event.clone());
    }
    if people.name(1) != second.name {
        return Err(format!(
            "Version 2 came before version 1, and now the copy says {:?} of somebody who is \"Ada Lovelace\" by now. Whoever comes \
             last is not the newest: compare versions.",
            people.name(1).unwrap_or("nobody")
        ));
    }
    let mut orders = 0;
    for order in orders_of(&[first, second, gone, other]) {
        let mut people = F::new();
        for event in &order {
            people.take(event.clone());
            // Each event comes twice, the second time right behind the first.
            people.take(event.clone());
        }
        orders += 1;
        let versions: Vec<_> = order
            .iter()
            .filter(|event| event.person == 1)
            .map(|event| event.version)
            .collect();
        if let Some(name) = people.name(1) {
            return Err(format!(
                "Ada's account is gone, and after her versions came in the order {versions:?} the copy says {name:?}: what is gone \
                 needs a version too, or a late event brings it back."
            ));
        }
        if people.name(2) != Some("Grace Hopper") {
            return Err("Grace's account was lost: each person has versions of their own.".into());
        }
    }
    Ok(format!(
        "{orders} orders of four events, each with a copy: the copy always ends up as its source."
    ))
}

fn orders_of(events: &[Changed]) -> Vec<Vec<Changed>> {
    if events.is_empty() {
        return vec![Vec::new()];
    }
    let firsts = (0..events.len()).flat_map(|at| {
        let mut rest = events.to_vec();
        let first = rest.remove(at);
        orders_of(&rest)
            .into_iter()
            .map(move |rest| [vec![first.clone()], rest].concat())
    });
    firsts.collect()
}
