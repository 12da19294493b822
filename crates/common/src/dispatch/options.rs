//! How a dispatcher works.

use std::time::Duration;

use crate::config::Settings;

/// How a dispatcher works.
#[derive(Debug, Clone)]
pub struct DispatchOptions {
    /// Names of the channels; their metrics are shown from the start.
    pub channels: &'static [&'static str],
    /// Waits between tries; the last one repeats.
    pub retry_delays: Vec<Duration>,
    /// A delivery that keeps failing has failed when so much time has passed since it was asked for.
    pub give_up_after: Duration,
    /// How long a lease lasts without a sign of life.
    pub lease: Duration,
    /// How often a sign of life is given.
    pub renew: Duration,
    /// How often due rows are looked for when nothing wakes the dispatcher.
    pub poll: Duration,
    /// Sends under way at a time; one that has waited long for its answer does not count.
    pub places: usize,
    /// Of these, to one destination.
    pub places_per_destination: usize,
    /// Of these, to one recipient. A recipient who has fewer under way may get as many again: one claim counts by itself.
    pub places_per_recipient: usize,
    /// Longest time for one send; one that takes longer is broken off and tried again by the schedule.
    pub send_timeout: Duration,
    /// How long sends that have begun may go on after the signal to stop; after that, what became of them is unknown.
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
            // The rest of the drain is for writing down outcomes that are unknown.
            drain: settings.process.drain.mul_f64(0.75),
        }
    }
}
