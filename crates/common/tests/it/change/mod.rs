//! A change is there as a whole or not at all, wherever the process ends.

mod crashes;
mod creation;
mod order;
mod outlet;
