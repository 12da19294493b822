//! The list of the messaging exercises.

use std::future::ready;

use futures_util::FutureExt;

use super::{copies, dual_write, mq_4, mq_5, mq_6, mq_7, outage, overtaking, poison, predicted};
use crate::exercises::exercise::{Exercise, Proof, Whose};

/// The exercises, in their order.
pub(crate) const EXERCISES: [Exercise; 7] = [
    Exercise {
        name: "mq-1",
        check: |attempt| predicted::calls(attempt).boxed(),
        proof: Proof::Answer { wrong: "9", right: "8" },
    },
    Exercise {
        name: "mq-2",
        check: |attempt| predicted::ways(attempt).boxed(),
        proof: Proof::Answer {
            wrong: "aaddd",
            right: "aaxdx",
        },
    },
    Exercise {
        name: "mq-3",
        check: |attempt| outage::check(attempt).boxed(),
        proof: Proof::Commands,
    },
    Exercise {
        name: "mq-4",
        check: |attempt| match attempt.whose {
            Whose::Learner => dual_write::check::<mq_4::skeleton::Accounts>().boxed(),
            Whose::Solution => dual_write::check::<mq_4::solution::Accounts>().boxed(),
        },
        proof: Proof::Code {
            says: "10 of 20 people signed up, were told so, and no message tells of them",
        },
    },
    Exercise {
        name: "mq-5",
        check: |attempt| match attempt.whose {
            Whose::Learner => copies::check::<mq_5::skeleton::Worker>().boxed(),
            Whose::Solution => copies::check::<mq_5::solution::Worker>().boxed(),
        },
        proof: Proof::Code {
            says: "20 messages came three times each, and 60 mails were ordered",
        },
    },
    Exercise {
        name: "mq-6",
        check: |attempt| match attempt.whose {
            Whose::Learner => ready(poison::check::<mq_6::skeleton::Next>()).boxed(),
            Whose::Solution => ready(poison::check::<mq_6::solution::Next>()).boxed(),
        },
        proof: Proof::Code {
            says: "was tried 60000 times in a minute, and the 99 behind it were never taken in",
        },
    },
    Exercise {
        name: "mq-7",
        check: |attempt| match attempt.whose {
            Whose::Learner => ready(overtaking::check::<mq_7::skeleton::People>()).boxed(),
            Whose::Solution => ready(overtaking::check::<mq_7::solution::People>()).boxed(),
        },
        proof: Proof::Code {
            says: "the copy says \"Ada Byron\" of somebody who is \"Ada Lovelace\" by now",
        },
    },
];
