//! A dead letter as it goes back to its queue: as it first came, with a new budget of attempts and a trace of its own.

use contracts::envelope::header;
use uuid::Uuid;

use super::wire::Wire;
use crate::telemetry::TraceContext;

/// Prefix of the headers that say what became of a message; they are ours.
const OURS: &str = "waypost-";

/// The copy of `letter` that the replay with the id `replay` sends, as a part of `trace`. It leaves out the broker's headers
/// and ours about earlier attempts; the message's first trace is kept in a header of its own.
pub(super) fn replayed(letter: &Wire, replay: Uuid, trace: TraceContext) -> Wire {
    let first = first_trace(letter);
    let mut copy = letter.clone();
    copy.strip_brokers_own();
    copy.headers.retain(|name, _| !name.starts_with(OURS));
    if let Some(first) = first {
        copy.set(header::FIRST_TRACE, first.traceparent);
    }
    copy.set(header::REPLAY, replay.to_string());
    copy.set_trace(trace);
    copy
}

/// The trace in which the message was first published, before any replay.
pub(super) fn first_trace(letter: &Wire) -> Option<TraceContext> {
    TraceContext::parse(letter.header(header::FIRST_TRACE), None).or_else(|| letter.trace())
}

/// The id of the replay that last put the message back, if one did.
pub(super) fn replay_of(letter: &Wire) -> Option<Uuid> {
    letter.header(header::REPLAY)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    const FIRST: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

    #[test]
    fn a_replay_keeps_the_message_and_the_first_trace_and_nothing_of_the_attempts() {
        let mut letter = Wire::default();
        for (name, value) in [
            (header::ID, "7"),
            (header::TRACEPARENT, FIRST),
            (header::ATTEMPT, "4"),
            (header::REASON, "why"),
            ("waypost-panics", "4"),
            ("x-death", "a"),
            ("of-somebody-else", "kept"),
        ] {
            letter.set(name, value);
        }
        let once = replayed(&letter, Uuid::now_v7(), TraceContext::fresh());
        let twice = replayed(&once, Uuid::now_v7(), TraceContext::fresh());
        let names: Vec<_> = twice.headers.keys().map(String::as_str).collect();
        let expected = [
            header::ID,
            "of-somebody-else",
            header::TRACEPARENT,
            header::FIRST_TRACE,
            header::REPLAY,
        ];
        assert_eq!(names, expected);
        assert_eq!(first_trace(&twice).unwrap().traceparent, FIRST);
        assert_ne!(replay_of(&once), replay_of(&twice));
        assert_ne!(twice.header(header::TRACEPARENT), Some(FIRST));
    }
}
