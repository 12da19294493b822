//! What can't be seen from outside the service within a test's time: deadlines, and sends that are dropped.

use test_support::{Answer, SmtpReceiver, Stage};

use super::*;

fn client(receiver: &SmtpReceiver, deadlines: Deadlines) -> Smtp {
    Smtp {
        deadlines,
        ..Smtp::new(&receiver.url()).unwrap()
    }
}

/// As if the time of the server's rest were over.
fn wake(client: &Smtp) {
    *client.relay() = Relay::default();
}

fn mail(to: &str) -> Message {
    let body = format!("to {to}\r\n").repeat(2000);
    let builder = Message::builder().from("a@example.org".parse().unwrap());
    builder.to(to.parse().unwrap()).subject("x").body(body).unwrap()
}

#[tokio::test]
async fn a_server_that_is_silent_after_the_text_frees_the_send_and_leaves_it_unknown() {
    let receiver = SmtpReceiver::start().await;
    receiver.script(Stage::Text, [Answer::nothing()]);
    let text = Duration::from_millis(500);
    let client = client(
        &receiver,
        Deadlines {
            text,
            ..Deadlines::USUAL
        },
    );
    let failure = client.send(&mail("b@example.org")).await.unwrap_err();
    assert_eq!(failure, SendError::Unknown("no answer in time at the text".to_owned()));
}

#[tokio::test]
async fn a_server_that_takes_the_connection_and_says_nothing_counts_as_away() {
    let receiver = SmtpReceiver::start().await;
    receiver.always(Stage::Connect, Answer::nothing());
    let step = Duration::from_millis(300);
    let client = client(
        &receiver,
        Deadlines {
            step,
            ..Deadlines::USUAL
        },
    );
    let failure = client.send(&mail("b@example.org")).await.unwrap_err();
    assert!(matches!(failure, SendError::Unreachable { .. }), "{failure:?}");
    assert_eq!(client.state(), State::Down);
}

#[tokio::test]
async fn a_send_that_is_dropped_midway_never_mixes_with_the_next() {
    let receiver = SmtpReceiver::start().await;
    let client = client(&receiver, Deadlines::USUAL);
    for stage in [Stage::Sender, Stage::Recipient, Stage::Data, Stage::Text] {
        receiver.script(stage, [Answer::say(250, "late").after(Duration::from_secs(5))]);
        let dropped = timeout(Duration::from_millis(300), client.send(&mail("dropped@example.org"))).await;
        assert!(dropped.is_err(), "{stage:?}");
        client.send(&mail("next@example.org")).await.unwrap();
    }
    let mails = receiver.mails_to("next@example.org");
    assert_eq!(mails.len(), 4);
    for mail in mails {
        assert_eq!(mail.to, ["next@example.org"]);
        assert!(!String::from_utf8_lossy(&mail.data).contains("dropped"));
    }
}

#[tokio::test]
async fn a_sender_that_is_refused_may_be_let_in_later_and_a_recipient_not() {
    let receiver = SmtpReceiver::start().await;
    receiver.script(Stage::Sender, [Answer::say(530, "5.7.0 log in first")]);
    receiver.script(Stage::Recipient, [Answer::say(550, "5.1.1 nobody of that name")]);
    let client = client(&receiver, Deadlines::USUAL);
    let refused = [(); 2].map(|()| mail("b@example.org"));
    let us = client.send(&refused[0]).await.unwrap_err();
    let (error, after) = ("530 5.7.0 at MAIL FROM".to_owned(), Some(Duration::from_secs(10)));
    assert_eq!(us, SendError::Temporary { error, after });
    wake(&client);
    let them = client.send(&refused[1]).await.unwrap_err();
    assert_eq!(them, SendError::Rejected("550 5.1.1 at RCPT TO".to_owned()));
}

#[tokio::test]
async fn a_rested_connection_that_works_shows_that_the_server_is_there() {
    let receiver = SmtpReceiver::start().await;
    let client = client(&receiver, Deadlines::USUAL);
    client.send(&mail("b@example.org")).await.unwrap();
    let rested = client.rested().unwrap();
    receiver.script(Stage::Hello, [Answer::say(554, "too many of you")]);
    client.send(&mail("b@example.org")).await.unwrap_err();
    assert_eq!(client.state(), State::Down);
    wake(&client);
    client.keep(rested);
    client.send(&mail("b@example.org")).await.unwrap();
    assert_eq!(client.state(), State::Up);
    assert_eq!(receiver.connections(), 2);
}

#[tokio::test]
async fn a_refused_login_is_the_servers_trouble_not_the_mails() {
    let receiver = SmtpReceiver::start().await;
    receiver.script(Stage::Hello, [Answer::say(554, "not you")]);
    let client = client(&receiver, Deadlines::USUAL);
    let failure = client.send(&mail("b@example.org")).await.unwrap_err();
    assert!(matches!(failure, SendError::Unreachable { .. }), "{failure:?}");
    wake(&client);
    client.send(&mail("b@example.org")).await.unwrap();
    assert_eq!(client.state(), State::Up);
}
