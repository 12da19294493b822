//! Rate limits: one model for the function, for memory and for Redis; what several replicas let pass, whatever befalls
//! Redis; what a decision costs.

mod faults;
mod fixture;
mod model;
mod replicas;
mod table;
