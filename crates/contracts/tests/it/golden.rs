use contracts::events::{EmailSent, Person, UserRegistered, UserUpdated};
use uuid::Uuid;

const USER: Uuid = Uuid::from_u128(0x0198_c0de_0000_7000_8000_0000_0000_0001);
const EVENT: Uuid = Uuid::from_u128(0x0198_c0de_0000_7000_8000_0000_0000_0002);

fn ada(version: i64) -> Person {
    Person {
        user_id: USER,
        version,
        email: "ada@example.com".into(),
        name: "Ada".into(),
        locale: "en".into(),
        phone: Some("+15550100".into()),
        time_zone: None,
        status: "active".into(),
    }
}

fn registered() -> UserRegistered {
    UserRegistered { person: ada(1) }
}

#[test]
fn user_registered_v1_keeps_its_bytes() {
    let golden = include_str!("golden/user.registered.v1.json").trim_end();
    assert_eq!(serde_json::to_string_pretty(&registered()).unwrap(), golden);
    assert_eq!(serde_json::from_str::<UserRegistered>(golden).unwrap(), registered());
}

#[test]
fn user_updated_v1_keeps_its_bytes() {
    let mut person = ada(2);
    person.phone = None;
    person.time_zone = Some("Europe/Berlin".into());
    let updated = UserUpdated { person };
    let golden = include_str!("golden/user.updated.v1.json").trim_end();
    assert_eq!(serde_json::to_string_pretty(&updated).unwrap(), golden);
    assert_eq!(serde_json::from_str::<UserUpdated>(golden).unwrap(), updated);
}

#[test]
fn email_sent_v1_keeps_its_bytes() {
    let sent = EmailSent {
        email_id: EVENT,
        user_id: USER,
        template: "welcome".into(),
        source_event_id: EVENT,
        notification_id: None,
        message_id: "abc@waypost".into(),
        reason: None,
    };
    let golden = include_str!("golden/email.sent.v1.json").trim_end();
    assert_eq!(serde_json::to_string_pretty(&sent).unwrap(), golden);
    assert_eq!(serde_json::from_str::<EmailSent>(golden).unwrap(), sent);
}

#[test]
fn a_consumer_ignores_fields_that_it_does_not_know() {
    let mut value = serde_json::to_value(registered()).unwrap();
    value["added_later"] = serde_json::json!({"deep": [1, 2]});
    assert_eq!(serde_json::from_value::<UserRegistered>(value).unwrap(), registered());
}

#[test]
fn debug_output_hides_personal_data() {
    let shown = format!("{:?}", registered());
    assert!(
        !shown.contains("ada") && !shown.contains("Ada") && !shown.contains("555"),
        "{shown}"
    );
}
