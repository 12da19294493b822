use std::time::Duration;

use test_support::{Answer, SmtpReceiver, Stage};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// Sends all at once, as a pipelining client may, and gives back the codes of the replies.
async fn codes(receiver: &SmtpReceiver, text: &str) -> Vec<String> {
    let mut stream = TcpStream::connect(receiver.address()).await.unwrap();
    stream.write_all(text.as_bytes()).await.unwrap();
    let mut answer = String::new();
    let read = stream.read_to_string(&mut answer);
    tokio::time::timeout(Duration::from_secs(5), read)
        .await
        .unwrap()
        .unwrap();
    answer
        .lines()
        .filter(|line| line.as_bytes().get(3) == Some(&b' '))
        .map(|line| line[..3].to_owned())
        .collect()
}

const MAIL: &str =
    "EHLO test\r\nMAIL FROM:<a@test>\r\nRCPT TO:<b@test>\r\nDATA\r\nSubject: x\r\n\r\n..dot\r\n.\r\nQUIT\r\n";

#[tokio::test]
async fn a_pipelined_mail_is_kept_with_its_envelope_and_its_dots() {
    let receiver = SmtpReceiver::start().await;
    let codes = codes(&receiver, MAIL).await;
    assert_eq!(codes, ["220", "250", "250", "250", "354", "250", "221"]);
    let mails = receiver.mails_to("b@test");
    assert_eq!(mails[0].from, "a@test");
    assert_eq!(mails[0].data, b"Subject: x\r\n\r\n.dot\r\n");
}

#[tokio::test]
async fn a_script_answers_once_and_then_the_server_is_itself_again() {
    let receiver = SmtpReceiver::start().await;
    receiver.script(Stage::Recipient, [Answer::say(451, "greylisted")]);
    let refused = codes(
        &receiver,
        "EHLO test\r\nMAIL FROM:<a@test>\r\nRCPT TO:<b@test>\r\nQUIT\r\n",
    )
    .await;
    assert_eq!(refused, ["220", "250", "250", "451", "221"]);
    assert!(codes(&receiver, MAIL).await.contains(&"354".to_owned()));
    assert_eq!(receiver.per_recipient()["b@test"], 1);
}

#[tokio::test]
async fn a_mail_whose_answer_gets_lost_is_kept() {
    let receiver = SmtpReceiver::start().await;
    receiver.always(Stage::Text, Answer::close());
    codes(&receiver, MAIL).await;
    assert_eq!(receiver.mails().len(), 1);
}

#[tokio::test]
async fn a_domain_has_an_answer_of_its_own() {
    let receiver = SmtpReceiver::start().await;
    receiver.always_to("slow.test", Answer::say(450, "4.7.1 slowly"));
    let two = "EHLO test\r\nMAIL FROM:<a@test>\r\nRCPT TO:<b@slow.test>\r\nRCPT TO:<b@test>\r\nQUIT\r\n";
    assert_eq!(codes(&receiver, two).await, ["220", "250", "250", "450", "250", "221"]);
}
