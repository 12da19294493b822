use common::config::{Service, Settings};
use common::database::Database;
use migrations::MigratorTrait;
use sea_orm::ConnectionTrait;

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
    migrations::user_api::Migrator::down(database.unguarded(), None)
        .await
        .unwrap();
    assert!(database.read().execute_unprepared("SELECT * FROM users").await.is_err());
    database.close().await;
    std::fs::remove_dir_all(folder).unwrap();
}
