//! What can't be seen from outside the service within a test's time: deadlines, and sends that are dropped.

use futures_util::future::join_all;
use test_support::{Answer, SmtpReceiver, Stage, eventually};

use super::*;

const STAGES: [Stage; 6] = [
    Stage::Connect,
    Stage::Hello,
    Stage::Sender,
    Stage::Recipient,
    Stage::Data,
    Stage::Text,
];

/// A client that trusts the receiver, also over TLS.
fn client(receiver: &SmtpReceiver, deadlines: Deadlines) -> Smtp {
    let file = receiver.ca_file().unwrap_or_default();
    let authorities = Authorities::read("mail.ca_file", file.to_str().unwrap()).unwrap();
    Smtp {
        deadlines,
        ..Smtp::new(&receiver.url(), "example.com", authorities.as_ref()).unwrap()
    }
}

/// As if the time of the server's rest were over.
fn wake(client: &Smtp) {
    *client.relay() = Relay::default();
}

fn mail(to: &str) -> Message {
    mail_from("a@example.org", to)
}

fn mail_from(from: &str, to: &str) -> Message {
    let body = format!("to {to}\r\n").repeat(2000);
    let builder = Message::builder().from(from.parse().unwrap());
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
    let failure = client
        .send(&mail("b@example.org"), &Progress::default())
        .await
        .unwrap_err();
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
    let failure = client
        .send(&mail("b@example.org"), &Progress::default())
        .await
        .unwrap_err();
    assert!(matches!(failure, SendError::Unreachable { .. }), "{failure:?}");
    assert_eq!(client.finding().state, State::Down);
}

#[tokio::test]
async fn a_send_that_is_dropped_midway_never_mixes_with_the_next() {
    let receiver = SmtpReceiver::start().await;
    let client = client(&receiver, Deadlines::USUAL);
    for stage in [Stage::Sender, Stage::Recipient, Stage::Data, Stage::Text] {
        receiver.script(stage, [Answer::say(250, "late").after(Duration::from_secs(5))]);
        let dropped = timeout(
            Duration::from_millis(300),
            client.send(&mail("dropped@example.org"), &Progress::default()),
        )
        .await;
        assert!(dropped.is_err(), "{stage:?}");
        client
            .send(&mail("next@example.org"), &Progress::default())
            .await
            .unwrap();
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
    let us = client.send(&refused[0], &Progress::default()).await.unwrap_err();
    let (error, after) = ("530 5.7.0 at MAIL FROM".to_owned(), Some(Duration::from_secs(10)));
    assert_eq!(us, SendError::Temporary { error, after });
    wake(&client);
    let them = client.send(&refused[1], &Progress::default()).await.unwrap_err();
    assert_eq!(them, SendError::Rejected("550 5.1.1 at RCPT TO".to_owned()));
}

#[tokio::test]
async fn a_rested_connection_that_works_shows_that_the_server_is_there() {
    let receiver = SmtpReceiver::start().await;
    let client = client(&receiver, Deadlines::USUAL);
    client.send(&mail("b@example.org"), &Progress::default()).await.unwrap();
    let rested = client.idle.take().unwrap();
    receiver.script(Stage::Hello, [Answer::say(554, "too many of you")]);
    client
        .send(&mail("b@example.org"), &Progress::default())
        .await
        .unwrap_err();
    assert_eq!(client.finding().state, State::Down);
    wake(&client);
    client.idle.keep(rested);
    client.send(&mail("b@example.org"), &Progress::default()).await.unwrap();
    assert_eq!(client.finding().state, State::Up);
    assert_eq!(receiver.connections(), 2);
}

#[tokio::test]
async fn a_refused_login_is_the_servers_trouble_not_the_mails() {
    let receiver = SmtpReceiver::start().await;
    receiver.script(Stage::Hello, [Answer::say(554, "not you")]);
    let client = client(&receiver, Deadlines::USUAL);
    let failure = client
        .send(&mail("b@example.org"), &Progress::default())
        .await
        .unwrap_err();
    assert!(matches!(failure, SendError::Unreachable { .. }), "{failure:?}");
    wake(&client);
    client.send(&mail("b@example.org"), &Progress::default()).await.unwrap();
    assert_eq!(client.finding().state, State::Up);
}

#[tokio::test]
async fn mails_go_over_tls_from_the_first_byte_and_over_one_connection() {
    let receiver = SmtpReceiver::start_over_tls().await;
    let client = client(&receiver, Deadlines::USUAL);
    for _ in 0..2 {
        client.send(&mail("b@example.org"), &Progress::default()).await.unwrap();
    }
    assert_eq!((receiver.mails().len(), receiver.connections()), (2, 1));
}

#[tokio::test]
async fn a_reply_without_an_end_is_cut_off_at_every_stage() {
    for receiver in [SmtpReceiver::start().await, SmtpReceiver::start_over_tls().await] {
        let client = client(&receiver, Deadlines::USUAL);
        for stage in STAGES {
            drop(client.idle.take());
            receiver.script(stage, [Answer::endless()]);
            let (SendError::Unreachable { error, .. } | SendError::Temporary { error, .. } | SendError::Unknown(error)) =
                client
                    .send(&mail("b@example.org"), &Progress::default())
                    .await
                    .unwrap_err()
            else {
                panic!("{stage:?} was judged");
            };
            assert!(error.starts_with("a reply without an end at"), "{error}");
            wake(&client);
            client
                .send(&mail("next@example.org"), &Progress::default())
                .await
                .unwrap();
        }
        assert_eq!(receiver.mails_to("next@example.org").len(), STAGES.len());
        let mib = receiver.endless_bytes() / 1024 / 1024;
        println!(
            "endless replies at {} stages: {mib} MiB said, what the sockets hold included",
            STAGES.len()
        );
        assert!(mib < 60, "{mib} MiB: it was read on");
    }
}

#[tokio::test]
async fn as_many_lost_replies_as_there_are_turns_hold_nobody_up() {
    for stage in STAGES {
        let receiver = SmtpReceiver::start().await;
        let progress = Progress::default();
        let client = client(&receiver, Deadlines::USUAL);
        receiver.script(stage, vec![Answer::nothing(); LIVELY]);
        let lost: Vec<_> = (0..LIVELY).map(|_| mail("lost@example.org")).collect();
        let others: Vec<_> = (0..20).map(|_| mail("other@example.org")).collect();
        let meanwhile = async {
            eventually(Duration::from_secs(5), || async { receiver.silent() == LIVELY }).await;
            let sent = join_all(others.iter().map(|mail| client.send(mail, &progress)));
            timeout(Duration::from_secs(5), sent).await
        };
        let sent = tokio::select! {
            _ = join_all(lost.iter().map(|mail| client.send(mail, &progress))) => panic!("{stage:?}: nothing was lost"),
            sent = meanwhile => sent,
        };
        assert!(sent.is_ok_and(|sent| sent.iter().all(Result::is_ok)), "{stage:?}");
        assert_eq!(receiver.mails_to("other@example.org").len(), others.len(), "{stage:?}");
    }
}

#[tokio::test]
async fn international_addresses_that_the_server_does_not_take_are_no_verdict_on_a_mail() {
    let receiver = SmtpReceiver::start().await;
    receiver.take_ascii_only();
    let client = client(&receiver, Deadlines::USUAL);
    let theirs = client
        .send(&mail("b\u{fc}rger@example.org"), &Progress::default())
        .await
        .unwrap_err();
    let error = "the mail server takes no international addresses".to_owned();
    assert_eq!(
        theirs,
        SendError::Temporary {
            error: error.clone(),
            after: None
        }
    );
    assert!(!client.refuses());
    // Ours are in every mail: nothing can go until mail.from or the server is changed.
    let ours = client
        .send(
            &mail_from("m\u{fc}ller@example.org", "b@example.org"),
            &Progress::default(),
        )
        .await
        .unwrap_err();
    let after = Some(Duration::from_secs(10));
    assert_eq!(ours, SendError::Temporary { error, after });
    assert!(client.refuses());
    assert!(receiver.mails().is_empty());
}
