//! Names that are unusual and right arrive as they were written.

use mail_parser::MessageParser;
use serde_json::json;
use test_support::eventually;

use crate::client::PATIENCE;
use crate::stack::{Servers, Stack};

const NAMES: [&str; 6] = [
    "Ada \"the Countess\" O'Lovelace",
    "<b>Ada</b> & <script>alert('x')</script>",
    "עדה לאבלייס / أدا لوفلايس",
    "👩🏽‍💻 王小明 Zoë 🏳️‍🌈",
    "{{ 7 * 7 }} {% raw %} ${x} %s \\n",
    "=?utf-8?Q?=41da?= <eve@example.com>, Eve;",
];

#[tokio::test(flavor = "multi_thread")]
async fn an_unusual_name_arrives_unharmed_in_mail_and_notification() {
    let stack = Stack::start(Servers::shared()).await;
    stack.up().await;
    for (number, name) in NAMES.into_iter().enumerate() {
        let address = format!("name{number}@example.com");
        let (status, user) = stack
            .client
            .sign_up_with(&address, json!({"name": name}), None)
            .await
            .unwrap();
        assert_eq!((status, &user["name"]), (201, &json!(name)));

        let token = stack.client.log_in(&address).await;
        let notification = stack.client.stream(&token).await.next().await.unwrap();
        assert_eq!(notification["title"], format!("Welcome, {name}"));
        let listed = stack.client.notifications(&token).await;
        assert_eq!(listed[0]["title"], notification["title"]);

        let mail = eventually(PATIENCE, || async { stack.smtp.mails_to(&address).pop() }).await;
        assert_eq!(mail.to, [address.as_str()], "another recipient slipped in");
        is_unharmed(&mail.data, name, &address);
    }
}

/// The name in the header, in the text and, escaped, in the HTML.
fn is_unharmed(mail: &[u8], name: &str, address: &str) {
    let mail = MessageParser::default().parse(mail).unwrap();
    let to: Vec<_> = mail.to().unwrap().iter().collect();
    assert_eq!(to.len(), 1, "{to:?}");
    assert_eq!((to[0].name(), to[0].address()), (Some(name), Some(address)));
    assert_eq!(mail.subject(), Some(format!("Welcome to Waypost, {name}").as_str()));
    let text = mail.body_text(0).unwrap();
    assert!(text.contains(&format!("Hello {name},")), "{text}");
    let html = mail.body_html(0).unwrap();
    assert!(!html.contains("<b>") && !html.contains("<script"), "{html}");
    let shown = unescaped(&html);
    assert!(shown.contains(&format!("Hello {name},")), "{html}");
}

/// What a browser would show for the entities that the templates' engine writes.
fn unescaped(html: &str) -> String {
    let entities = [
        ("&lt;", "<"),
        ("&gt;", ">"),
        ("&quot;", "\""),
        ("&#x27;", "'"),
        ("&#x2f;", "/"),
        ("&amp;", "&"),
    ];
    entities.into_iter().fold(html.to_owned(), |text, (entity, character)| {
        text.replace(entity, character)
    })
}
