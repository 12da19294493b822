//! mq-6: what becomes of a message that was not taken in. The run has a simulated clock, so that an hour takes no time.

use std::collections::VecDeque;
use std::time::Duration;

use crate::exercises::exercise::Verdict;

/// Messages in the queue.
const MESSAGES: u32 = 100;
/// What an attempt takes.
const ATTEMPT: Duration = Duration::from_millis(1);
const MINUTE: Duration = Duration::from_mins(1);
/// How long a run lasts, in its own time, that is to see what becomes of every message in the end.
const LONG: Duration = Duration::from_hours(6);

/// Why a message was not taken in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Failure {
    /// Its body can't be read; it never can.
    Unreadable,
    /// What it asks for did not work; it may the next time.
    Failed,
    /// The worker's own database is away. No message would get through.
    OwnDatabase,
}

/// What becomes of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fate {
    /// Back to the front of its queue.
    AtOnce,
    /// Into a delay queue, and back after this time as attempt number `attempt`.
    Later {
        /// How long it waits.
        after: Duration,
        /// Which attempt the next one will be.
        attempt: u32,
    },
    /// Set aside, for people to look at.
    Dead,
}

/// Decides what becomes of a message.
pub(crate) trait Decides: Send + Sync + 'static {
    /// After attempt number `attempt`, of which the first is 1.
    fn after(failure: Failure, attempt: u32) -> Fate;
}

pub(crate) fn check<D: Decides>() -> Verdict {
    unreadable::<D>()?;
    failing_for_ever::<D>()?;
    failing_for_a_while::<D>()?;
    without_a_database::<D>()?;
    Ok("One that can't be read is set aside at once and holds up nobody, one that fails is tried again with growing waits, and \
        an hour without a database costs no message anything."
        .into())
}

/// What a run saw.
struct Seen {
    /// How often message 0 was tried, and when last.
    tries: u32,
    last_try: Duration,
    taken_in: u32,
    dead: u32,
}

/// One worker takes messages one by one for `lasts` of simulated time. `fails` says whether message `number` fails at a
/// moment, and how.
fn run<D: Decides>(lasts: Duration, fails: impl Fn(u32, Duration) -> Option<Failure>) -> Seen {
    let mut queue: VecDeque<(u32, u32)> = (0..MESSAGES).map(|number| (number, 1)).collect();
    let mut delayed: Vec<(Duration, u32, u32)> = Vec::new();
    let (mut now, mut last_try) = (Duration::ZERO, Duration::ZERO);
    let (mut tries, mut taken_in, mut dead) = (0, 0, 0);
    while now < lasts {
        delayed.retain(|(due, number, attempt)| {
            let waits = *due > now;
            if !waits {
                queue.push_back((*number, *attempt));
            }
            waits
        });
        let Some((number, attempt)) = queue.pop_front() else {
            let Some(next) = delayed.iter().map(|(due, ..)| *due).min() else {
                break;
            };
            now = next;
            continue;
        };
        if number == 0 {
            (tries, last_try) = (tries + 1, now);
        }
        match fails(number, now).map(|failure| D::after(failure, attempt)) {
            None => taken_in += 1,
            Some(Fate::Dead) => dead += 1,
            Some(Fate::AtOnce) => queue.push_front((number, attempt + 1)),
            Some(Fate::Later { after, attempt }) => delayed.push((now + after, number, attempt)),
        }
        now += ATTEMPT;
    }
    Seen {
        tries,
        last_try,
        taken_in,
        dead,
    }
}

fn unreadable<D: Decides>() -> Result<(), String> {
    let seen = run::<D>(MINUTE, |number, _| (number == 0).then_some(Failure::Unreadable));
    let others = MESSAGES - 1;
    if seen.taken_in < others {
        return Err(format!(
            "A message that can't be read was tried {} times in a minute, and the {} behind it were never taken in. What can't \
             ever pass is set aside.",
            seen.tries,
            others - seen.taken_in
        ));
    }
    if seen.tries > 1 {
        return Err(format!(
            "A message that can't be read was tried {} times. It will not be readable the next time: set it aside at once.",
            seen.tries
        ));
    }
    Ok(())
}

fn failing_for_ever<D: Decides>() -> Result<(), String> {
    let seen = run::<D>(LONG, |number, _| (number == 0).then_some(Failure::Failed));
    if seen.dead == 0 {
        return Err(format!(
            "A message that fails each time was tried {} times in six hours, and still is: so many attempts are enough, and then \
             somebody has to look at it.",
            seen.tries
        ));
    }
    if !(3..=10).contains(&seen.tries) {
        return Err(format!(
            "A message that fails was set aside after {} attempts. Three to ten are usual.",
            seen.tries
        ));
    }
    if seen.last_try < MINUTE * 10 {
        return Err(format!(
            "A message that fails was tried for the last time after {} s. An outage of ten minutes would fill the dead letters: \
             let the waits grow.",
            seen.last_try.as_secs()
        ));
    }
    Ok(())
}

fn failing_for_a_while<D: Decides>() -> Result<(), String> {
    let until = Duration::from_secs(5);
    let seen = run::<D>(LONG, |number, now| {
        (number == 0 && now < until).then_some(Failure::Failed)
    });
    if seen.dead > 0 {
        return Err("What a message needed was away for five seconds, and the message was set aside.".into());
    }
    if seen.last_try > MINUTE * 2 {
        return Err("What a message needed was away for five seconds, and it was taken in more than two minutes later: begin with short waits.".into());
    }
    Ok(())
}

fn without_a_database<D: Decides>() -> Result<(), String> {
    let seen = run::<D>(LONG, |_, now| (now < MINUTE * 60).then_some(Failure::OwnDatabase));
    if seen.dead > 0 {
        return Err(format!(
            "The worker's own database was away for an hour, and {} of {MESSAGES} messages were set aside for it. They were not to \
             blame: let such an attempt not count.",
            seen.dead
        ));
    }
    if seen.tries > 3600 {
        return Err(format!(
            "The worker's own database was away for an hour, and one message was tried {} times: wait in between.",
            seen.tries
        ));
    }
    Ok(())
}
