//! The list of the cache exercises.

use futures_util::FutureExt;

use super::{absent, cache_4, cache_5, cache_6, cache_7, lease, outage, predicted, stale_set, stampede};
use crate::exercises::exercise::{Exercise, Proof, Whose};

/// The exercises, in their order.
pub(crate) const EXERCISES: [Exercise; 7] = [
    Exercise {
        name: "cache-1",
        check: |attempt| predicted::queries(attempt).boxed(),
        proof: Proof::Answer { wrong: "6", right: "2" },
    },
    Exercise {
        name: "cache-2",
        check: |attempt| predicted::layers(attempt).boxed(),
        proof: Proof::Answer {
            wrong: "dppppp",
            right: "dprpdr",
        },
    },
    Exercise {
        name: "cache-3",
        check: |attempt| outage::check(attempt).boxed(),
        proof: Proof::Commands,
    },
    Exercise {
        name: "cache-4",
        check: |attempt| match attempt.whose {
            Whose::Learner => stampede::check::<cache_4::skeleton::Cache>().boxed(),
            Whose::Solution => stampede::check::<cache_4::solution::Cache>().boxed(),
        },
        proof: Proof::Code {
            says: "The database was asked 50 times for one profile; once is enough",
        },
    },
    Exercise {
        name: "cache-5",
        check: |attempt| match attempt.whose {
            Whose::Learner => stale_set::check::<cache_5::skeleton::Cache>().boxed(),
            Whose::Solution => stale_set::check::<cache_5::solution::Cache>().boxed(),
        },
        proof: Proof::Code {
            says: "the cache still answers \"Ada Byron\" after the change to \"Ada Lovelace\"",
        },
    },
    Exercise {
        name: "cache-6",
        check: |attempt| match attempt.whose {
            Whose::Learner => absent::check::<cache_6::skeleton::Cache>().boxed(),
            Whose::Solution => absent::check::<cache_6::solution::Cache>().boxed(),
        },
        proof: Proof::Code {
            says: "The database was asked 20 times for somebody who is not there",
        },
    },
    Exercise {
        name: "cache-7",
        check: |attempt| match attempt.whose {
            Whose::Learner => lease::check::<cache_7::skeleton::Lock>().boxed(),
            Whose::Solution => lease::check::<cache_7::solution::Lock>().boxed(),
        },
        proof: Proof::Code {
            says: "two hold the lock at once",
        },
    },
];
