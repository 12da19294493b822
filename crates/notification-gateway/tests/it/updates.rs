//! The gateway's copy of a person follows their account, in whatever order its events come.

use common::config::Service;
use contracts::events::Person;
use sea_orm::{ConnectionTrait, Statement};
use serde_json::json;
use uuid::Uuid;

use crate::app::{Backend, TestApp, channels, on_both_databases, registered, updated};

on_both_databases!(
    a_changed_account_changes_the_copy_and_notifies_nobody,
    an_older_update_or_the_same_again_changes_nothing,
    of_updates_that_come_in_any_order_the_newest_stays,
    somebody_updated_before_they_are_registered_is_welcomed_as_who_they_are_now,
);

/// The copies that the gateway holds: version, name, phone and time zone of each.
async fn copies(backend: &Backend) -> Vec<(i64, String, Option<String>, Option<String>)> {
    let read = backend.database.read();
    let sql = "SELECT version, name, phone, time_zone FROM recipients ORDER BY user_id";
    let statement = Statement::from_string(read.get_database_backend(), sql);
    let rows = read.query_all_raw(statement).await.unwrap();
    rows.iter()
        .map(|row| {
            let (version, name) = (row.try_get("", "version").unwrap(), row.try_get("", "name").unwrap());
            (
                version,
                name,
                row.try_get("", "phone").unwrap(),
                row.try_get("", "time_zone").unwrap(),
            )
        })
        .collect()
}

fn copy(version: i64, name: &str, phone: Option<&str>) -> (i64, String, Option<String>, Option<String>) {
    (version, name.to_owned(), phone.map(str::to_owned), None)
}

async fn a_changed_account_changes_the_copy_and_notifies_nobody(backend: Backend) {
    let app = TestApp::start(&backend).await;
    let ada = app.sign_up(Some("+15550123")).await.data.person;
    let event = updated(&ada, 2, |person| {
        person.phone = None;
        person.name = "Ada King".into();
        person.time_zone = Some("Europe/London".into());
    });
    app.publish(Service::UserApi, &event).await;
    let expected = (2, "Ada King".to_owned(), None, Some("Europe/London".to_owned()));
    assert_eq!(copies(&backend).await, [expected]);
    let items = app.notifications(ada.user_id, |items| !items.is_empty()).await;
    assert_eq!((items.len(), &items[0]["seq"]), (1, &json!(1)));
}

async fn an_older_update_or_the_same_again_changes_nothing(backend: Backend) {
    let app = TestApp::start(&backend).await;
    let ada = app.sign_up(None).await.data.person;
    let called = |name: &'static str| move |person: &mut Person| person.name = name.into();
    let newest = updated(&ada, 3, called("Ada King"));
    app.publish(Service::UserApi, &newest).await;
    app.publish(Service::UserApi, &newest).await;
    // Each is an event of its own, which the inbox does not know.
    for (version, name) in [
        (3, "of the same version"),
        (2, "older"),
        (1, "as old as the registration"),
    ] {
        app.publish(Service::UserApi, &updated(&ada, version, called(name)))
            .await;
        assert_eq!(copies(&backend).await, [copy(3, "Ada King", None)], "{name}");
    }
    app.publish(Service::UserApi, &updated(&ada, 4, called("Ada L."))).await;
    assert_eq!(copies(&backend).await, [copy(4, "Ada L.", None)]);
}

async fn of_updates_that_come_in_any_order_the_newest_stays(backend: Backend) {
    let app = TestApp::start(&backend).await;
    let ada = app.sign_up(None).await.data.person;
    let events: Vec<_> = [5, 2, 9, 3, 8, 10, 4, 7, 6]
        .into_iter()
        .map(|version| updated(&ada, version, |person| person.name = format!("Ada {version}")))
        .collect();
    futures_util::future::join_all(events.iter().map(|event| app.publish(Service::UserApi, event))).await;
    assert_eq!(copies(&backend).await, [copy(10, "Ada 10", None)]);
}

async fn somebody_updated_before_they_are_registered_is_welcomed_as_who_they_are_now(backend: Backend) {
    let app = TestApp::start(&backend).await;
    let registration = registered(Uuid::now_v7(), Some("+15550100"));
    let update = updated(&registration.data.person, 2, |person| {
        person.name = "Ada King".into();
        person.phone = Some("+15550200".into());
    });
    let user = update.data.person.user_id;
    app.publish(Service::UserApi, &update).await;
    assert_eq!(app.get(user, "/v1/notifications").await.1["items"], json!([]));
    app.publish(Service::UserApi, &registration).await;
    assert_eq!(copies(&backend).await, [copy(2, "Ada King", Some("+15550200"))]);
    let expected = channels(&[("in_app", "delivered"), ("sms", "accepted")]);
    let items = app
        .notifications(user, |items| {
            items.first().is_some_and(|one| one["channels"] == expected)
        })
        .await;
    assert_eq!((items.len(), &items[0]["seq"]), (1, &json!(1)));
    assert_eq!(items[0]["title"], "Welcome, Ada King");
    let numbers: Vec<_> = app
        .provider
        .calls()
        .iter()
        .map(|call| call.field("To").to_owned())
        .collect();
    assert_eq!(numbers, ["+15550200"]);
}
