//! The mark against a model of a database: locks are taken, ids are handed out, rows are committed in whatever order.

use proptest::prelude::*;

use super::*;

/// A writer: when it takes its lock, how much later its id is handed out, and when after that it commits (or gives up).
#[derive(Debug, Clone)]
struct Writer {
    locks_at: u64,
    id_after: u64,
    commit_after: u64,
    commits: bool,
}

impl Writer {
    fn id_at(&self) -> u64 {
        self.locks_at + self.id_after
    }

    fn ends_at(&self) -> u64 {
        self.id_at() + self.commit_after
    }
}

/// The time that one step of the model stands for.
const STEP: Duration = Duration::from_millis(100);

fn writers() -> impl Strategy<Value = Vec<Writer>> {
    let writer = (0..200u64, 0..20u64, 0..300u64, prop::bool::weighted(0.9));
    let writer = writer.prop_map(|(locks_at, id_after, commit_after, commits)| Writer {
        locks_at,
        id_after,
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

/// Runs the relay beside the writers. A read sees only rows behind the mark; what it finds is published and deleted. The
/// first row is asked for a step after the locks, and whoever commits in between has let its lock go.
fn run(writers: &[Writer]) -> Run {
    let begin = Instant::now();
    let (mut mark, mut settled) = (Mark::new(begin), None);
    let (mut next_id, mut ids) = (1, vec![0; writers.len()]);
    let (mut waiting, mut published, mut committed) = (Vec::new(), Vec::new(), Vec::new());
    for step in 0..600u64 {
        for (writer, id) in writers.iter().zip(&mut ids) {
            if writer.id_at() == step {
                *id = next_id;
                next_id += 1;
            }
            if writer.ends_at() == step && writer.commits {
                waiting.push(*id);
                committed.push(*id);
            }
        }
        if let Some(id) = settled.take() {
            let behind = waiting.iter().copied().filter(|id| *id > mark.at());
            mark.moves_to(id, behind.min());
        }
        if step % 3 == 0 {
            let (read, rest): (Vec<_>, Vec<_>) = waiting.iter().partition(|id| **id > mark.at());
            for id in &read {
                mark.has_read(*id);
            }
            published.extend(read);
            waiting = rest;
        }
        if step % 7 == 0 {
            let holds = |writer: &Writer| (writer.locks_at..writer.ends_at()).contains(&step);
            let holders = writers.iter().enumerate().filter(|(_, writer)| holds(writer));
            let holders = holders.map(|(name, _)| name.to_string()).collect();
            settled = mark.sees(holders, begin + STEP * u32::try_from(step).unwrap());
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
    let writer = |locks_at| Writer {
        locks_at,
        id_after: 0,
        commit_after: 1,
        commits: true,
    };
    let run = run(&[writer(0), writer(100), writer(200)]);
    assert_eq!((run.mark, run.committed.len()), (3, 3));
}

fn names(names: &[&str]) -> Vec<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

/// A mark that has read up to `id`.
fn at_zero(id: i64, now: Instant) -> Mark {
    let mut mark = Mark::new(now);
    mark.has_read(id);
    mark
}

#[test]
fn who_held_a_lock_holds_the_mark_and_a_row_that_waits_does_too() {
    let now = Instant::now();
    let mut mark = at_zero(50, now);
    assert_eq!(mark.sees(names(&["2/7", "3/9"]), now), None);
    mark.has_read(60);
    assert_eq!(
        mark.sees(names(&["3/9", "2/8"]), now),
        None,
        "one of them is still there"
    );
    assert_eq!(mark.sees(names(&["2/8", "4/1"]), now), Some(50), "others came later");
    mark.moves_to(50, Some(42));
    assert_eq!(mark.at(), 41, "what is in hand or held back is still there");
    mark.moves_to(30, None);
    assert_eq!(mark.at(), 41, "it never goes back");
    assert_eq!(
        mark.sees(names(&["5/1"]), now),
        Some(60),
        "the next candidate was taken at once"
    );
    assert_eq!(mark.sees(Vec::new(), now), Some(60), "nobody writes");
}

#[test]
fn where_the_mark_is_far_behind_it_is_moved_sooner() {
    let now = Instant::now();
    let mut mark = at_zero(FAR, now);
    assert_eq!(mark.due(), None);
    mark.has_read(FAR + 1);
    assert_eq!(mark.due(), Some(now + SOON));
    mark.was_looked_after(now + SOON);
    assert_eq!(mark.due(), Some(now + SOON * 2), "also after a look that failed");
    mark.moves_to(FAR + 1, Some(1));
    assert_eq!(mark.due(), None, "a row that waits holds it");
    mark.has_read(FAR * 3);
    mark.moves_to(FAR * 3, Some(FAR));
    assert!(mark.due().is_some(), "what is on its way holds it for a moment");
    mark.moves_to(FAR * 3, Some(FAR));
    assert_eq!(mark.due(), None);
    mark.moves_to(FAR * 3, None);
    assert!(mark.due().is_none() && !mark.is_behind());
}

#[test]
fn what_is_found_below_the_mark_takes_it_back_to_the_beginning() {
    let now = Instant::now();
    let mut mark = at_zero(50, now);
    mark.moves_to(50, None);
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
fn the_oldest_writer_is_as_old_as_the_mark_has_waited_for_it() {
    let now = Instant::now();
    let mut mark = at_zero(50, now);
    mark.sees(names(&["2/7"]), now);
    let later = now + SOON;
    mark.sees(names(&["2/7", "2/8"]), later);
    assert_eq!(mark.oldest_writer(later), SOON);
    mark.has_read(60);
    mark.sees(names(&["2/8"]), later);
    assert_eq!(
        mark.oldest_writer(later),
        Duration::ZERO,
        "it waits for another one now"
    );
    mark.sees(Vec::new(), later);
    assert_eq!(mark.oldest_writer(later + SOON), Duration::ZERO);
}
