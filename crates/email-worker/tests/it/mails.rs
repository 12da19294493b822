use std::fmt::Write as _;

use mail_parser::MessageParser;
use test_support::Mail;
use uuid::Uuid;

use crate::world::{SOON, World, sign_up};

/// A mail as a reader's program shows it: the headers as they came, the parts decoded.
fn show(mail: &Mail) -> String {
    let raw = std::str::from_utf8(&mail.data).unwrap();
    let (headers, _) = raw.split_once("\r\n\r\n").unwrap();
    let parsed = MessageParser::default().parse(&mail.data).unwrap();
    let mut text = String::new();
    let _ = writeln!(text, "envelope: {} -> {}", mail.from, mail.to.join(", "));
    for line in headers.lines() {
        let line = if line.starts_with("Date: ") {
            "Date: [date]"
        } else {
            line
        };
        let _ = writeln!(text, "{line}");
    }
    let _ = writeln!(text, "\nsubject: {}", parsed.subject().unwrap());
    let _ = writeln!(text, "\n--- text\n{}", parsed.body_text(0).unwrap());
    let _ = writeln!(text, "--- html\n{}", parsed.body_html(0).unwrap());
    text.replace("\r\n", "\n")
}

async fn welcome(name: &str, locale: &str) -> Mail {
    let world = World::embedded().await;
    let _worker = world.worker().await;
    let mut event = sign_up("ann@example.org", name, locale);
    event.id = Uuid::from_u128(0x0190_0000_0000_7000_8000_0000_0000_0001);
    world.publish(&event).await;
    world.smtp.wait_for(1, SOON).await.remove(0)
}

#[tokio::test(flavor = "multi_thread")]
async fn the_welcome_mail_in_english() {
    insta::assert_snapshot!(show(&welcome("Ann Lee", "en-GB").await));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_welcome_mail_in_chinese() {
    insta::assert_snapshot!(show(&welcome("王小明", "zh-CN").await));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_name_with_line_breaks_or_markup_is_harmless() {
    let name = "Eve\r\nBcc: victim@example.org\r\n\r\n<script>alert(1)</script>\r\n.\r\nMAIL FROM:<x@y.z>";
    let mail = welcome(name, "en").await;
    assert_eq!(mail.to, ["ann@example.org"]);
    let parsed = MessageParser::default().parse(&mail.data).unwrap();
    assert!(parsed.bcc().is_none());
    assert_eq!(parsed.to().unwrap().as_list().unwrap().len(), 1);
    let name = "Eve Bcc: victim@example.org <script>alert(1)</script> . MAIL FROM:<x@y.z>";
    assert_eq!(parsed.subject().unwrap(), format!("Welcome to Waypost, {name}"));
    assert!(parsed.body_text(0).unwrap().contains(name));
    let html = parsed.body_html(0).unwrap();
    assert!(html.contains("&lt;script&gt;alert(1)&lt;&#x2f;script&gt;"), "{html}");
    assert!(!html.contains("<script>"));
}
