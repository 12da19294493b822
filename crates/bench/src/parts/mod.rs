//! The comparisons, each with its target.

mod figures;
mod journey;
mod reads;
mod relay;
mod sign_ups;
mod threads;
mod writes;

pub(crate) use self::{
    journey::journey,
    reads::reads,
    relay::relay,
    sign_ups::sign_ups,
    threads::{Sharing, read_on, threads},
    writes::writes,
};
