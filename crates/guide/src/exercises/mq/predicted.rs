//! mq-1 and mq-2: the learner predicts what happens; the check runs it on Waypost's own consumer and compares.

use std::time::Duration;

use bytes::Bytes;
use common::messaging::{OutboundMessage, Rejection};
use contracts::envelope::header;

use super::house::{House, registered};
use crate::exercises::exercise::{Attempt, Verdict};

/// Delay queues, as many as there are by default.
const DELAYS: usize = 4;

/// mq-1: how often an intake is called for three messages and a copy of one.
pub(crate) async fn calls(attempt: Attempt) -> Verdict {
    let answer = attempt.answered("mq-1")?;
    let house = House::open((DELAYS, Duration::from_millis(20)), |name, attempt| match name {
        "always fails" => Err(Rejection::retry("it is away")),
        "is refused" => Err(Rejection::dead_letter("it can't be")),
        "fails once" if attempt == 1 => Err(Rejection::retry("it is away")),
        _ => Ok(()),
    })
    .await?;
    let once = registered("fails once")?;
    for message in [registered("always fails")?, registered("is refused")?, once.clone()] {
        house.publish(message);
    }
    house
        .until(|house| house.settled("ack") + house.settled("dead_letter") >= 3.0)
        .await?;
    house.publish(once);
    house.until(|house| house.settled("ack") >= 2.0).await?;
    let calls = house.calls();
    house.close().await;
    if answer != calls.to_string() {
        return Err(format!(
            "You said {answer}. It was run, and the intake was called another number of times: count the attempts of each message, \
             and what the inbox does about the copy."
        ));
    }
    Ok(format!(
        "The intake was called {calls} times: five for what always fails, one for what is refused, two for what fails once, and \
         none for its copy."
    ))
}

/// mq-2: where each of five messages goes.
pub(crate) async fn ways(attempt: Attempt) -> Verdict {
    let answer = attempt.answered("mq-2")?;
    let house = House::open((DELAYS, Duration::from_mins(10)), |name, _| match name {
        "not now" => Err(Rejection::retry("it is away")),
        _ => Ok(()),
    })
    .await?;
    let well = registered("well")?;
    let unreadable = with_body(&registered("unreadable")?, b"{}");
    let (first, fifth) = (registered("not now")?, after_attempts(&registered("not now")?, DELAYS));
    let mut seen = String::new();
    for message in [well.clone(), well, unreadable, first, fifth] {
        let ways = [("ack", 'a'), ("retry", 'd'), ("dead_letter", 'x')];
        let before = ways.map(|(outcome, _)| house.settled(outcome));
        let went = |house: &House| {
            let mut counted = ways.iter().zip(before);
            counted.find_map(|((outcome, letter), before)| (house.settled(outcome) > before).then_some(*letter))
        };
        house.publish(message);
        house.until(|house| went(house).is_some()).await?;
        seen.extend(went(&house));
    }
    house.close().await;
    if answer == seen {
        return Ok(format!("{seen}: each message went where you said."));
    }
    let pairs = answer.chars().zip(seen.chars());
    let same = pairs.take_while(|(said, is)| said == is).count();
    Err(format!(
        "You said {answer}. It was run: the first {same} of 5 are right. One letter a message: a for acknowledged, d for a delay \
         queue, x for the dead letters."
    ))
}

fn with_body(message: &OutboundMessage, body: &'static [u8]) -> OutboundMessage {
    let (id, kind) = (message.id(), message.kind().to_owned());
    OutboundMessage::from_parts(id, kind, message.headers().clone(), Bytes::from_static(body))
}

/// The message as it comes back after so many attempts.
fn after_attempts(message: &OutboundMessage, attempts: usize) -> OutboundMessage {
    let mut headers = message.headers().clone();
    headers.insert(header::ATTEMPT.to_owned(), attempts.to_string());
    OutboundMessage::from_parts(message.id(), message.kind().to_owned(), headers, message.body().clone())
}
