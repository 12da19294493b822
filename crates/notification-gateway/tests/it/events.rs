use common::config::Service;
use sea_orm::{ConnectionTrait, Statement};
use uuid::Uuid;

use crate::app::{Backend, TestApp, channels, email_sent, on_both_databases, registered};

on_both_databases!(
    a_sign_up_becomes_a_notification_and_a_delivery_a_channel,
    an_email_joins_its_notification_whichever_comes_first,
    the_same_event_again_changes_nothing,
    numbers_have_no_gaps_and_older_news_of_a_person_is_dropped,
    the_notification_is_in_the_persons_language,
);

async fn a_sign_up_becomes_a_notification_and_a_delivery_a_channel(backend: Backend) {
    let app = TestApp::start(&backend).await;
    let with_phone = app.sign_up(Some("+15550123")).await.data.person.user_id;
    let without = app.sign_up(None).await.data.person.user_id;

    let expected = channels(&[("in_app", "delivered"), ("sms", "accepted")]);
    let items = app
        .notifications(with_phone, |items| {
            items.first().is_some_and(|one| one["channels"] == expected)
        })
        .await;
    assert_eq!(
        (items.len(), &items[0]["seq"], &items[0]["state"]),
        (1, &1.into(), &"unread".into())
    );
    assert_eq!(
        (&items[0]["title"], &items[0]["kind"]),
        (&"Welcome, Ada".into(), &"welcome".into())
    );

    let items = app.notifications(without, |items| items.len() == 1).await;
    assert_eq!(items[0]["channels"], channels(&[("in_app", "delivered")]));
    assert_eq!(app.provider.calls().len(), 1);
}

async fn an_email_joins_its_notification_whichever_comes_first(backend: Backend) {
    let app = TestApp::start(&backend).await;
    let expected = channels(&[("in_app", "delivered"), ("email", "accepted")]);
    let first = registered(Uuid::now_v7(), None);
    app.publish(Service::EmailWorker, &email_sent(&first)).await;
    app.publish(Service::UserApi, &first).await;
    let second = registered(Uuid::now_v7(), None);
    app.publish(Service::UserApi, &second).await;
    app.publish(Service::EmailWorker, &email_sent(&second)).await;
    for event in [first, second] {
        app.notifications(event.data.person.user_id, |items| {
            items.len() == 1 && items[0]["channels"] == expected
        })
        .await;
        let delivery = app.delivery(event.data.person.user_id, "email", |_| true).await;
        assert_eq!(
            (&delivery["provider"], &delivery["reason"]),
            (&"email-worker".into(), &"accepted".into())
        );
    }
}

async fn the_same_event_again_changes_nothing(backend: Backend) {
    let app = TestApp::start(&backend).await;
    let event = registered(Uuid::now_v7(), Some("+15550123"));
    let sent = email_sent(&event);
    for _ in 0..3 {
        app.publish(Service::UserApi, &event).await;
        app.publish(Service::EmailWorker, &sent).await;
    }
    tokio::join!(
        app.publish(Service::UserApi, &event),
        app.publish(Service::UserApi, &event)
    );
    let user = event.data.person.user_id;
    app.delivery(user, "sms", |delivery| delivery["status"] == "accepted")
        .await;
    // Even when the inbox has forgotten the event, its effects are there once.
    backend
        .database
        .unguarded()
        .execute_unprepared("DELETE FROM inbox")
        .await
        .unwrap();
    app.publish(Service::UserApi, &event).await;
    app.publish(Service::EmailWorker, &sent).await;
    app.publish(Service::UserApi, &registered(user, None)).await;
    let items = app.notifications(user, |items| items.len() == 2).await;
    assert_eq!((&items[0]["seq"], &items[1]["seq"]), (&2.into(), &1.into()));
    assert_eq!(app.provider.calls().len(), 1);
}

async fn numbers_have_no_gaps_and_older_news_of_a_person_is_dropped(backend: Backend) {
    let app = TestApp::start(&backend).await;
    let user = Uuid::now_v7();
    let mut newest = registered(user, None);
    newest.data.person.version = 9;
    newest.data.person.name = "Ada Lovelace".into();
    app.publish(Service::UserApi, &newest).await;
    let events: Vec<_> = (0..10).map(|_| registered(user, None)).collect();
    futures_util::future::join_all(events.iter().map(|event| app.publish(Service::UserApi, event))).await;
    let items = app.notifications(user, |items| items.len() == 11).await;
    let numbers: Vec<_> = items.iter().map(|item| item["seq"].as_i64().unwrap()).collect();
    assert_eq!(numbers, (1..=11).rev().collect::<Vec<_>>());
    let read = backend.database.read();
    let name = Statement::from_string(read.get_database_backend(), "SELECT name FROM recipients");
    let row = read.query_one_raw(name).await.unwrap().unwrap();
    assert_eq!(row.try_get::<String>("", "name").unwrap(), "Ada Lovelace");
}

async fn the_notification_is_in_the_persons_language(backend: Backend) {
    let app = TestApp::start(&backend).await;
    let mut event = registered(Uuid::now_v7(), None);
    event.data.person.locale = "zh-CN".into();
    app.publish(Service::UserApi, &event).await;
    let items = app
        .notifications(event.data.person.user_id, |items| items.len() == 1)
        .await;
    assert_eq!(items[0]["title"], "欢迎，Ada");
}
