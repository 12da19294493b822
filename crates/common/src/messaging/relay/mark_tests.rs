//! The mark against a model of a database: ids and numbers are handed out, rows are committed in whatever order.

use proptest::prelude::*;

use super::*;

/// A writer: when its id is handed out, when its transaction gets its number, when it commits (or gives up).
#[derive(Debug, Clone)]
struct Writer {
    id_at: u64,
    number_after: u64,
    commit_after: u64,
    commits: bool,
}

/// The time that one step of the model stands for.
const STEP: Duration = Duration::from_millis(100);
/// How many steps the server lets a statement take: a writer gets its number within so many steps after its id.
const STATEMENT: u64 = 20;

fn writers() -> impl Strategy<Value = Vec<Writer>> {
    let writer = (0..200u64, 0..STATEMENT, 0..300u64, prop::bool::weighted(0.9));
    let writer = writer.prop_map(|(id_at, number_after, commit_after, commits)| Writer {
        id_at,
        number_after,
        commit_after,
        commits,
    });
    prop::collection::vec(writer, 1..40)
}

/// What came of a run of the relay over the model.
struct Run {
    published: Vec<i64>,
    committed: Vec<i64>,
    mark: i64,
}

/// Runs the relay beside the writers. A read sees only rows behind the mark; what it finds is published and deleted.
fn run(writers: &[Writer]) -> Run {
    let begin = Instant::now();
    let mut mark = Mark::new(begin);
    let (mut next_id, mut next_number) = (1, 1);
    let mut open: Vec<(Writer, i64, Option<i64>)> = Vec::new();
    let (mut waiting, mut published, mut committed) = (Vec::new(), Vec::new(), Vec::new());
    for step in 0..800u64 {
        for writer in writers.iter().filter(|writer| writer.id_at == step) {
            open.push((writer.clone(), next_id, None));
            next_id += 1;
        }
        for (writer, _, number) in &mut open {
            if number.is_none() && step >= writer.id_at + writer.number_after {
                *number = Some(next_number);
                next_number += 1;
            }
        }
        open.retain(|(writer, id, _)| {
            let ends = step >= writer.id_at + writer.number_after + writer.commit_after;
            if ends && writer.commits {
                waiting.push(*id);
                committed.push(*id);
            }
            !ends
        });
        for id in std::mem::take(&mut waiting) {
            if id > mark.at() {
                mark.has_read(id);
                published.push(id);
            } else {
                waiting.push(id);
            }
        }
        if step % 10 == 0 {
            let running = open.iter().filter_map(|(.., number)| *number).min();
            let horizon = Horizon {
                oldest_running: running.unwrap_or(next_number),
                next_number,
                first_waiting: None,
            };
            if mark.sees(&horizon, begin + STEP * u32::try_from(step).unwrap()) {
                mark.fence(next_number);
                next_number += 1;
            }
        }
    }
    Run {
        published,
        committed,
        mark: mark.at(),
    }
}

proptest! {
    #[test]
    fn nothing_that_is_committed_late_is_passed_over(writers in writers()) {
        let mut run = run(&writers);
        run.published.sort_unstable();
        run.committed.sort_unstable();
        prop_assert_eq!(run.published, run.committed);
    }
}

#[test]
fn the_mark_comes_to_the_last_id_once_nobody_writes() {
    let writer = |id_at| Writer {
        id_at,
        number_after: 0,
        commit_after: 1,
        commits: true,
    };
    let run = run(&[writer(0), writer(100), writer(200)]);
    assert_eq!((run.mark, run.committed.len()), (3, 3));
}

fn horizon(oldest_running: i64, first_waiting: Option<i64>) -> Horizon {
    Horizon {
        oldest_running,
        next_number: 1_000,
        first_waiting,
    }
}

/// A mark whose candidate is `id` and whose fence is 100.
fn fenced(id: i64, now: Instant) -> Mark {
    let mut mark = Mark::new(now);
    mark.has_read(id);
    assert!(!mark.sees(&horizon(90, None), now));
    assert!(!mark.sees(&horizon(95, None), now), "not ripe");
    assert!(mark.sees(&horizon(95, None), now + RIPENS));
    mark.fence(100);
    mark
}

#[test]
fn a_transaction_that_runs_since_before_the_fence_holds_the_mark_and_a_row_that_waits_does_too() {
    let now = Instant::now();
    let mut mark = fenced(50, now);
    for oldest in [95, 100] {
        mark.sees(&horizon(oldest, None), now + RIPENS);
        assert_eq!(mark.at(), 0);
    }
    mark.sees(&horizon(101, Some(42)), now + RIPENS);
    assert_eq!(mark.at(), 41, "what is in hand or held back is still there");
}

#[test]
fn what_is_found_below_the_mark_takes_it_back_to_the_beginning() {
    let now = Instant::now();
    let mut mark = fenced(50, now);
    mark.sees(&horizon(101, None), now);
    assert_eq!(mark.at(), 50);
    assert!(!mark.wants_the_whole(now));
    let now = now + WHOLE;
    assert!(mark.wants_the_whole(now));
    assert!(mark.wants_the_whole(now), "nobody has looked");
    mark.misses_the_whole(now);
    assert!(!mark.wants_the_whole(now) && mark.wants_the_whole(now + WHOLE_AGAIN));
    assert!(!mark.sees_the_whole(Some(51), now) && !mark.sees_the_whole(None, now));
    assert!(!mark.wants_the_whole(now + WHOLE_AGAIN), "once a minute");
    assert_eq!(mark.at(), 50);
    assert!(mark.sees_the_whole(Some(50), now));
    assert_eq!(mark.at(), 0);
}

#[test]
fn the_oldest_writer_is_as_old_as_its_number_is_the_lowest() {
    let now = Instant::now();
    let mut mark = Mark::new(now);
    mark.sees(&horizon(7, None), now);
    mark.sees(&horizon(7, None), now + RIPENS);
    assert_eq!(mark.oldest_writer(now + RIPENS), RIPENS);
    mark.sees(&horizon(9, None), now + RIPENS);
    assert_eq!(mark.oldest_writer(now + RIPENS), Duration::ZERO);
    mark.sees(&horizon(1_000, None), now + RIPENS * 2);
    assert_eq!(mark.oldest_writer(now + RIPENS * 9), Duration::ZERO);
}
