//! Ten thousand events, told by many at once while Kafka is killed twice and a leader ends.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use common::messaging::Changes;
use test_support::{KafkaRecord, PrivateKafka, eventually};
use uuid::Uuid;

use crate::replica::{Own, PATIENCE, Replica, event};

/// People, each of whom is told of so often.
const PEOPLE: usize = 500;
const VERSIONS: i64 = 20;
/// Who tells, side by side; each of people of their own.
const TELLERS: usize = 10;
const PARTITIONS: u32 = 6;

/// Tells of every version of some people, one change after the other; gives back the ids in the order of each person.
async fn tell(changes: &Changes, people: &[Uuid], committed: &AtomicUsize) -> Vec<(Uuid, Uuid)> {
    let mut told = Vec::new();
    for version in 1..=VERSIONS {
        for some in people.chunks(5) {
            let events: Vec<_> = some.iter().map(|person| event(*person, version, "Ada")).collect();
            let mut change = eventually(PATIENCE, async || changes.begin().await.ok()).await;
            for event in &events {
                change.tell(event).unwrap();
            }
            change.commit().await.unwrap();
            committed.fetch_add(events.len(), Ordering::SeqCst);
            told.extend(events.iter().map(|event| (event.subject, event.id)));
        }
    }
    told
}

/// Kills Kafka when this many events are through, and starts it again when more have been told.
async fn kill_at(kafka: &mut PrivateKafka, replica: &Replica, committed: &AtomicUsize, through: usize) -> Duration {
    eventually(PATIENCE, async || {
        committed.load(Ordering::SeqCst).saturating_sub(replica.waiting().await) >= through
    })
    .await;
    kafka.kill();
    let killed = Instant::now();
    let before = committed.load(Ordering::SeqCst);
    println!("killed Kafka: {before} told, {} wait", replica.waiting().await);
    let all = PEOPLE * usize::try_from(VERSIONS).unwrap();
    eventually(PATIENCE, async || {
        committed.load(Ordering::SeqCst) >= all.min(before + 500)
    })
    .await;
    kafka.start().await;
    killed.elapsed()
}

/// Counts what was lost and what came again, and holds each key to its order.
fn judge(told: &HashMap<Uuid, Vec<Uuid>>, records: &[KafkaRecord]) -> (usize, usize) {
    let mut read: BTreeMap<Uuid, Vec<(i32, Uuid)>> = BTreeMap::new();
    for record in records {
        let id: Uuid = record.headers["ce_id"].parse().unwrap();
        assert_eq!(record.key, record.headers["ce_subject"]);
        read.entry(record.key.parse().unwrap())
            .or_default()
            .push((record.partition, id));
    }
    let (mut lost, mut copies) = (0, 0);
    for (person, ids) in told {
        let of_one = read.remove(person).unwrap_or_default();
        let partitions: HashSet<_> = of_one.iter().map(|(partition, _)| *partition).collect();
        assert!(partitions.len() <= 1, "{person} lies in {partitions:?}");
        // A copy stands behind its first, and not always right behind: of a leader that ended one may come late.
        let mut seen = HashSet::new();
        let ids_read = of_one.iter().map(|(_, id)| *id);
        let once: Vec<_> = ids_read.filter(|id| seen.insert(*id)).collect();
        copies += of_one.len() - once.len();
        lost += ids.iter().filter(|id| !once.contains(id)).count();
        assert!(
            lost > 0 || once == *ids,
            "the order of {person} is another: {ids:?}, {once:?}"
        );
    }
    assert!(read.is_empty(), "nobody told of {:?}", read.keys());
    (lost, copies)
}

#[tokio::test(flavor = "multi_thread")]
async fn of_ten_thousand_events_and_two_kills_none_is_lost_and_each_key_keeps_its_order() {
    let mut kafka = PrivateKafka::start().await;
    kafka.create_topic("load", PARTITIONS).await;
    let own = Own::over(&kafka, "load").await;
    let (leader, stand_by) = (Replica::start(&own).await, Replica::start(&own).await);

    let people: Vec<Uuid> = (0..PEOPLE).map(|_| Uuid::now_v7()).collect();
    let (committed, begun) = (AtomicUsize::new(0), Instant::now());
    let tellers = people
        .chunks(PEOPLE / TELLERS)
        .map(|some| tell(&stand_by.changes, some, &committed));
    let faults = async {
        let first = kill_at(&mut kafka, &stand_by, &committed, 2_000).await;
        leader.end().await;
        let second = kill_at(&mut kafka, &stand_by, &committed, 6_000).await;
        println!("Kafka was away for {first:?} and {second:?}, its start included; a leader ended between");
    };
    let (told, ()) = tokio::join!(futures_util::future::join_all(tellers), faults);
    eventually(PATIENCE, async || stand_by.waiting().await == 0).await;
    let took = begun.elapsed();

    let told: Vec<_> = told.into_iter().flatten().collect();
    let mut by_person: HashMap<Uuid, Vec<Uuid>> = HashMap::new();
    for (person, id) in &told {
        by_person.entry(*person).or_default().push(*id);
    }
    let records = kafka.records("load").await;
    let (lost, copies) = judge(&by_person, &records);
    println!(
        "outlet to Kafka: told {}, read {}, lost {lost}, copies {copies}, in {took:?}",
        told.len(),
        records.len()
    );
    assert_eq!((told.len(), lost), (PEOPLE * usize::try_from(VERSIONS).unwrap(), 0));
    stand_by.end().await;
}

fn record(person: Uuid, id: Uuid, offset: i64) -> KafkaRecord {
    let headers = [("ce_id", id), ("ce_subject", person)];
    KafkaRecord {
        partition: 0,
        offset,
        headers: headers.map(|(name, id)| (name.to_owned(), id.to_string())).into(),
        key: person.to_string(),
        value: String::new(),
    }
}

#[test]
fn what_is_lost_and_what_comes_again_is_counted() {
    let (person, [one, two]) = (Uuid::now_v7(), [(); 2].map(|()| Uuid::now_v7()));
    let told = HashMap::from([(person, vec![one, two])]);
    let [first, copy, second] = [record(person, one, 0), record(person, one, 1), record(person, two, 2)];
    assert_eq!(judge(&told, &[first.clone(), copy.clone(), second.clone()]), (0, 1));
    assert_eq!(judge(&told, &[first.clone(), second, copy]), (0, 1));
    assert_eq!(judge(&told, &[first]), (1, 0));
}

#[test]
#[should_panic(expected = "the order of")]
fn an_event_that_overtakes_another_is_seen() {
    let (person, [one, two]) = (Uuid::now_v7(), [(); 2].map(|()| Uuid::now_v7()));
    let told = HashMap::from([(person, vec![one, two])]);
    judge(&told, &[record(person, two, 0), record(person, one, 1)]);
}
