//! The comparisons, each with its target.

mod abuser;
mod backlogs;
mod breached;
mod consume;
mod counted;
mod doors;
mod drain;
mod fair;
mod figures;
mod journey;
mod log_ins;
mod memory;
mod outbound;
mod overload;
mod reads;
mod relay;
mod sign_ups;
mod threads;
mod told;
mod turns;
mod writes;

pub(crate) use self::{
    abuser::abuser,
    backlogs::backlogs,
    breached::breached,
    consume::consume,
    doors::doors,
    drain::drain,
    fair::fair,
    journey::journey,
    log_ins::{hash, log_ins},
    memory::memory,
    outbound::outbound,
    overload::overload,
    reads::reads,
    relay::relay,
    sign_ups::sign_ups,
    threads::{Sharing, read_on, threads},
    told::told,
    writes::writes,
};
