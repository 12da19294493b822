//! The list of the resilience exercises.

use std::future::ready;

use futures_util::FutureExt;

use super::{
    degraded, half_open, overload, predicted, resilience_4, resilience_5, resilience_6, resilience_7, resilience_8,
    shared_limit, storm, unknown,
};
use crate::exercises::exercise::{Exercise, Proof, Whose};

/// The exercises, in their order.
pub(crate) const EXERCISES: [Exercise; 8] = [
    Exercise {
        name: "resilience-1",
        check: |attempt| ready(predicted::tries(&attempt)).boxed(),
        proof: Proof::Answer {
            wrong: "380",
            right: "107",
        },
    },
    Exercise {
        name: "resilience-2",
        check: |attempt| ready(predicted::states(&attempt)).boxed(),
        proof: Proof::Answer {
            wrong: "cohhcc",
            right: "cohhoh",
        },
    },
    Exercise {
        name: "resilience-3",
        check: |attempt| degraded::check(attempt).boxed(),
        proof: Proof::Commands,
    },
    Exercise {
        name: "resilience-4",
        check: |attempt| match attempt.whose {
            Whose::Learner => storm::check::<resilience_4::skeleton::Caller>().boxed(),
            Whose::Solution => storm::check::<resilience_4::solution::Caller>().boxed(),
        },
        proof: Proof::Code {
            says: "The provider was called 800 times for 200 messages",
        },
    },
    Exercise {
        name: "resilience-5",
        check: |attempt| match attempt.whose {
            Whose::Learner => unknown::check::<resilience_5::skeleton::Orders>().boxed(),
            Whose::Solution => unknown::check::<resilience_5::solution::Orders>().boxed(),
        },
        proof: Proof::Code {
            says: "The person got 2 messages for one order",
        },
    },
    Exercise {
        name: "resilience-6",
        check: |attempt| match attempt.whose {
            Whose::Learner => ready(half_open::check::<resilience_6::skeleton::Guard>()).boxed(),
            Whose::Solution => ready(half_open::check::<resilience_6::solution::Guard>()).boxed(),
        },
        proof: Proof::Code {
            says: "and an hour later nobody may call it",
        },
    },
    Exercise {
        name: "resilience-7",
        check: |attempt| match attempt.whose {
            Whose::Learner => shared_limit::check::<resilience_7::skeleton::Limit>().boxed(),
            Whose::Solution => shared_limit::check::<resilience_7::solution::Limit>().boxed(),
        },
        proof: Proof::Code {
            says: "Three replicas let 90 requests of one caller pass; 30 are allowed",
        },
    },
    Exercise {
        name: "resilience-8",
        check: |attempt| match attempt.whose {
            Whose::Learner => overload::check::<resilience_8::skeleton::Door>().boxed(),
            Whose::Solution => overload::check::<resilience_8::solution::Door>().boxed(),
        },
        proof: Proof::Code {
            says: "were done after their caller had gone",
        },
    },
];
