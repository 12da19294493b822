//! Mail over TLS, to servers whose certificates are right, expired, for another name, or from an authority that nobody
//! knows. The client connects through a tap: what is said of a mail must not be read there.

use std::path::Path;
use std::time::Duration;

use common::dispatch::Progress;
use test_support::{Authority, Shown, SmtpReceiver, Tap};
use tokio::time::timeout;

use super::*;
use crate::settings::Settings;

/// Longest that anything here may take, on a machine that builds beside.
const SOON: Duration = Duration::from_secs(30);
/// What may be read: the greeting, and the wish for TLS.
const STARTTLS: &str = "EHLO waypost.example\r\nSTARTTLS\r\n";
/// The certificates that are not to be taken, and what the cure must speak of.
const REFUSED: [(Shown, &str); 3] = [
    (Shown::Expired, "has expired"),
    (Shown::OtherName, "another name"),
    (Shown::UnknownIssuer, "`ca_file`"),
];

/// A server that shows a certificate, in one of the two ways, and the way to it.
struct Line {
    receiver: SmtpReceiver,
    tap: Tap,
    url: String,
    /// What may be read on the way.
    preface: &'static str,
}

impl Line {
    async fn wrapped(authority: &Authority, shown: Shown) -> Self {
        let receiver = SmtpReceiver::start_showing(authority, shown).await;
        Self::to(receiver, "smtps://127.0.0.1:PORT", "").await
    }

    async fn starttls(authority: &Authority, shown: Shown) -> Self {
        let receiver = SmtpReceiver::start_offering_tls(authority, shown).await;
        Self::to(receiver, "smtp://127.0.0.1:PORT?tls=required", STARTTLS).await
    }

    async fn to(receiver: SmtpReceiver, url: &str, preface: &'static str) -> Self {
        let tap = Tap::on(receiver.address().port()).await;
        let url = url.replace("PORT", &tap.port().to_string());
        Self {
            receiver,
            tap,
            url,
            preface,
        }
    }

    /// As the settings say; no file: the empty path.
    fn transport(&self, ca_file: &Path) -> Transport {
        let mut settings = Settings::for_tests().own.mail;
        settings.url = self.url.clone().into();
        ca_file.to_str().unwrap().clone_into(&mut settings.ca_file);
        Transport::new(&settings).unwrap()
    }

    fn was_private(&self) -> bool {
        self.tap.heard_only_tls_after(self.preface.as_bytes())
    }
}

async fn send(transport: &Transport) -> Result<(), SendError> {
    let message = Message::builder()
        .from("a@example.org".parse().unwrap())
        .to("b@example.org".parse().unwrap())
        .subject("x")
        .body("for nobody else".to_owned())
        .unwrap();
    let progress = Progress::default();
    timeout(SOON, transport.send(Uuid::nil(), &message, &progress))
        .await
        .unwrap()
}

#[tokio::test]
async fn a_right_certificate_is_taken_and_mail_goes_over_tls() {
    let authority = Authority::create();
    for line in [
        Line::wrapped(&authority, Shown::Right).await,
        Line::starttls(&authority, Shown::Right).await,
    ] {
        let transport = line.transport(&authority.ca_file());
        send(&transport).await.unwrap();
        assert_eq!(line.receiver.mails_to("b@example.org").len(), 1, "{}", line.url);
        assert_eq!(transport.finding(), State::Up.into());
        assert!(line.was_private(), "{:?}", line.tap.heard());
    }
}

#[tokio::test]
async fn no_other_certificate_is_taken_and_the_cure_is_told() {
    let authority = Authority::create();
    let mut lines = Vec::new();
    for (shown, words) in REFUSED {
        lines.push((Line::wrapped(&authority, shown).await, authority.ca_file(), words));
        lines.push((Line::starttls(&authority, shown).await, authority.ca_file(), words));
    }
    // Without a file, those that browsers trust.
    let nobody = Path::new("").to_owned();
    lines.push((
        Line::wrapped(&authority, Shown::Right).await,
        nobody.clone(),
        "`ca_file`",
    ));
    lines.push((Line::starttls(&authority, Shown::Right).await, nobody, "`ca_file`"));
    for (line, ca_file, words) in lines {
        let transport = line.transport(&ca_file);
        let failure = send(&transport).await.unwrap_err();
        let SendError::Unreachable { error, .. } = failure else {
            panic!("{}: {failure:?}", line.url);
        };
        assert!(
            error.starts_with("TLS failed at connecting: ") && error.contains(words),
            "{error}"
        );
        let Finding { state, cure, .. } = transport.finding();
        assert!(
            state == State::Down && cure.as_ref().is_some_and(|cure| cure.contains(words)),
            "{cure:?}"
        );
        assert!(line.was_private(), "{:?}", line.tap.heard());
        assert_eq!(line.receiver.texts(), 0);
    }
}

#[tokio::test]
async fn starttls_that_is_not_offered_or_not_tls_gets_no_mail() {
    let authority = Authority::create();
    let plain = Line::to(SmtpReceiver::start().await, "smtp://127.0.0.1:PORT?tls=required", "").await;
    let error = send(&plain.transport(&authority.ca_file())).await.unwrap_err();
    assert!(matches!(error, SendError::Unreachable { .. }), "{error:?}");
    assert!(!plain.tap.heard_word("MAIL FROM"));

    let plain = Line::to(SmtpReceiver::start().await, "smtps://127.0.0.1:PORT", "").await;
    let transport = plain.transport(&authority.ca_file());
    send(&transport).await.unwrap_err();
    assert!(
        transport
            .finding()
            .cure
            .is_some_and(|cure| cure.contains("speaks no TLS"))
    );
    assert!(plain.was_private());
}

#[tokio::test]
async fn the_name_of_the_settings_is_said_to_the_server() {
    for (hello_name, said) in [
        ("relay.waypost.example", "relay.waypost.example"),
        ("", "waypost.example"),
    ] {
        let line = Line::to(SmtpReceiver::start().await, "smtp://127.0.0.1:PORT", "").await;
        let mut settings = Settings::for_tests().own.mail;
        settings.url = line.url.clone().into();
        settings.hello_name = hello_name.to_owned();
        send(&Transport::new(&settings).unwrap()).await.unwrap();
        let heard = String::from_utf8(line.tap.heard().remove(0)).unwrap();
        assert_eq!(heard.lines().next(), Some(format!("EHLO {said}").as_str()));
    }
}

#[test]
fn a_file_that_can_not_be_read_stops_the_start() {
    let mut settings = Settings::for_tests().own.mail;
    settings.url = "smtps://mail.test".into();
    "/nowhere/ca.pem".clone_into(&mut settings.ca_file);
    let error = Transport::new(&settings).err().unwrap();
    assert_eq!(error.to_string(), "mail.ca_file: /nowhere/ca.pem can't be read");
}
