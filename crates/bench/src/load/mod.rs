//! The load: closed-loop for throughput, open-loop for latency.

mod closed;
mod open;
mod percentile;
mod throughput;
mod wire;
mod wrk;

pub(crate) use self::{
    closed::{NUMBER, saturate},
    open::{Arrival, open_loop},
    percentile::percentile,
    throughput::Throughput,
    wire::{Connection, get, post},
};
