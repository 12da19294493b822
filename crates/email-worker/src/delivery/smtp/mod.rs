//! A mail server spoken to over few, reused connections.
//!
//! `lettre` speaks the protocol; which connection serves a mail is decided here, because its own pool
//! takes a connection back in the middle of a conversation when a send is dropped, and its timeout ends
//! with the connect. Here a connection is owned by its send and comes back only after a whole one, so
//! dropping a send closes it; every step has a deadline and every reply a bound; and each failure knows
//! whether the text had gone, and whom the refusal is about.

mod client;
mod connection;
mod failure;
mod idle;
mod kept;
mod letter;
mod pace;
mod relay;
mod rest;
mod server;
mod stream;
mod verdict;

pub(super) use client::Smtp;
