//! How a dispatcher works.

use std::time::Duration;

use crate::config::Settings;

/// How a dispatcher works.
#[derive(Debug, Clone)]
pub struct DispatchOptions {
    /// Channels whose metrics are there from the start.
    pub channels: &'static [&'static str],
    /// Waits between tries; the last one repeats.
    pub retry_delays: Vec<Duration>,
    /// So long after it was asked for, a delivery that keeps failing has failed.
    pub give_up_after: Duration,
    /// How long a claim holds without a sign of life.
    pub lease: Duration,
    /// How often a sign of life is given.
    pub renew: Duration,
    /// How often rows are looked for that nobody woke us for.
    pub poll: Duration,
    /// Sends under way at a time.
    pub places: usize,
    /// Of these, to one destination.
    pub places_per_destination: usize,
    /// Of these, to one recipient; a claim that meets one of theirs under way may go one short of twice as far.
    pub places_per_recipient: usize,
    /// One send; a sender that takes longer is broken off and tried again.
    pub send_timeout: Duration,
    /// After the signal to stop, sends that have begun have this long; then what became of them is unknown.
    pub drain: Duration,
}

impl DispatchOptions {
    /// The usual way, with the schedule and the drain of the settings.
    pub fn new(settings: &Settings, channels: &'static [&'static str]) -> Self {
        Self {
            channels,
            retry_delays: settings.dispatch.retry_delays.clone(),
            give_up_after: settings.dispatch.give_up_after,
            lease: Duration::from_secs(30),
            renew: Duration::from_secs(10),
            poll: Duration::from_secs(1),
            places: 64,
            places_per_destination: 32,
            places_per_recipient: 2,
            send_timeout: Duration::from_secs(90),
            // The rest is for writing down what is unknown.
            drain: settings.process.drain.mul_f64(0.75),
        }
    }
}
