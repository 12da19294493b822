use std::time::Duration;

use sea_orm::{ConnectionTrait, Database, DbBackend, DbErr, Statement, TransactionTrait};
use test_support::{AmqpClient, AmqpMessage, Point, TestDatabase, Tripwire, amqp_url, eventually};

const SOON: Duration = Duration::from_secs(30);

/// Leaves a row, in a transaction.
async fn leave_a_row(url: &str) -> Result<(), DbErr> {
    let connection = Database::connect(url).await?;
    let transaction = connection.begin().await?;
    let insert = "INSERT INTO \"left\" VALUES ($1)";
    let insert = Statement::from_sql_and_values(DbBackend::Postgres, insert, [1_i64.into()]);
    transaction.execute_raw(insert).await?;
    transaction.commit().await
}

async fn rows(database: &TestDatabase) -> i64 {
    let connection = database.connect().await;
    let count = Statement::from_string(DbBackend::Postgres, "SELECT count(*) FROM \"left\"");
    let row = connection.query_one_raw(count).await.unwrap().unwrap();
    row.try_get_by_index(0).unwrap()
}

#[tokio::test]
async fn a_commit_is_stopped_before_the_server_hears_it_or_before_the_client_hears_of_it() {
    let database = TestDatabase::postgres().await;
    database.execute("CREATE TABLE \"left\" (id bigint)").await;
    let wire = Tripwire::to(database.url()).await;
    let commit = ["INSERT INTO left", "; COMMIT"];
    for (point, left) in [(Point::before(&commit), 0), (Point::after(&commit, "COMMIT"), 1)] {
        let laid = wire.lay(point);
        tokio::select! {
            done = leave_a_row(wire.url()) => panic!("it was not stopped: {done:?}"),
            () = laid.reached(SOON) => {}
        }
        // The client's end is gone by now; the server may still be taking back what was open.
        eventually(SOON, async || rows(&database).await == left).await;
    }
}

#[tokio::test]
async fn what_is_answered_otherwise_and_what_comes_too_early_passes() {
    let database = TestDatabase::postgres().await;
    database.execute("CREATE TABLE \"left\" (id bigint)").await;
    let wire = Tripwire::to(database.url()).await;
    let insert = ["INSERT INTO left"];
    let other = wire.lay(Point::after(&insert, "INSERT 0 7"));
    leave_a_row(wire.url()).await.unwrap();
    drop(other);

    let second = wire.lay(Point::before(&insert).behind(&["; COMMIT"]));
    leave_a_row(wire.url()).await.unwrap();
    tokio::select! {
        done = leave_a_row(wire.url()) => panic!("it was not stopped: {done:?}"),
        () = second.reached(SOON) => {}
    }
    drop(second);
    leave_a_row(wire.url()).await.unwrap();
    assert_eq!(rows(&database).await, 3);
}

#[tokio::test]
async fn a_publish_is_stopped_before_the_broker_hears_it_or_before_its_confirmation() {
    let reader = AmqpClient::connect(&amqp_url()).await;
    let queue = reader.copies_of("amq.fanout").await;
    let wire = Tripwire::to(&amqp_url()).await;
    for (point, published) in [
        (Point::before(&["basic.publish amq.fanout tripwire"]), 0),
        (Point::after(&["basic.publish amq.fanout tripwire"], "basic.ack"), 1),
    ] {
        let client = AmqpClient::connect(wire.url()).await;
        let (laid, message) = (wire.lay(point), AmqpMessage::default());
        tokio::select! {
            () = client.publish("amq.fanout", "tripwire", &message) => panic!("it was not stopped"),
            () = laid.reached(SOON) => {}
        }
        assert_eq!(reader.depth(&queue).await, published);
    }
    reader.close().await;
}
