use common::config::{Service, Settings};
use common::database::Database;
use migrations::MigratorTrait;
use sea_orm::{ConnectionTrait, DbBackend, Statement};

#[tokio::test]
async fn a_sqlite_service_migrates_up_and_down_in_a_file_of_its_own() {
    let folder = std::env::temp_dir().join(format!("waypost-{}", uuid::Uuid::now_v7()));
    let mut settings = Settings::for_tests(Service::UserApi);
    settings.database.url = format!("sqlite://{}/w.db", folder.display()).into();
    let database = Database::connect(&settings, Service::UserApi).await.unwrap();
    let names = migrations::user_api::names();
    let refused = database.check_migrated(&names).await.unwrap_err();
    assert!(refused.to_string().contains("waypost migrate"), "{refused}");
    migrations::user_api::Migrator::up(database.unguarded(), None)
        .await
        .unwrap();
    database.check_migrated(&names).await.unwrap();
    assert!(folder.join("w-user-api.db").exists());
    database.read().execute_unprepared("SELECT * FROM users").await.unwrap();
    // FULL: what was committed is on the disk, and a power cut takes nothing back.
    let synchronous = Statement::from_string(DbBackend::Sqlite, "PRAGMA synchronous");
    let row = database.unguarded().query_one_raw(synchronous).await.unwrap().unwrap();
    assert_eq!(row.try_get_by_index::<i32>(0).unwrap(), 2);
    migrations::user_api::Migrator::down(database.unguarded(), None)
        .await
        .unwrap();
    assert!(database.read().execute_unprepared("SELECT * FROM users").await.is_err());
    database.close().await;
    std::fs::remove_dir_all(folder).unwrap();
}
