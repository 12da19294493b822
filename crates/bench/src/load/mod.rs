//! The load: closed-loop for throughput, open-loop for latency.

mod closed;
mod number;
mod open;
mod percentile;
mod throughput;
mod wire;
mod wrk;

pub(crate) use self::{
    closed::saturate,
    number::NUMBER,
    open::{Arrival, open_loop},
    percentile::percentile,
    wire::{Connection, get, post},
};
