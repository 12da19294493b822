//! The load: closed-loop for throughput, open-loop for latency.

mod closed;
mod number;
mod open;
mod percentile;
mod throughput;
mod wire;

pub(crate) use self::{
    closed::{saturate, saturate_on},
    number::NUMBER,
    open::{Arrival, open_loop, open_loop_to},
    percentile::percentile,
    wire::{Connection, get, post},
};
