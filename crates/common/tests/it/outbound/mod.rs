//! Calls to a server that answers as a test says: each layer, and what replicas keep together.

mod layers;
mod replicas;
