use sea_orm::ConnectionTrait;
use test_support::TestDatabase;

#[tokio::test]
async fn a_postgres_database_is_empty_at_the_start_and_gone_at_the_end() {
    let database = TestDatabase::postgres().await;
    database.execute("CREATE TABLE t (id bigint)").await;
    let url = database.url().to_owned();
    drop(database);
    assert!(sea_orm::Database::connect(url).await.is_err());
}

#[tokio::test]
async fn two_sqlite_databases_know_nothing_of_each_other() {
    let (one, other) = (TestDatabase::sqlite(), TestDatabase::sqlite());
    one.execute("CREATE TABLE t (id bigint)").await;
    let connection = other.connect().await;
    assert!(connection.execute_unprepared("SELECT * FROM t").await.is_err());
}
