//! What holds of every message, shown on one of them.

use contracts::EventData;
use contracts::events::UserRegistered;

#[test]
fn a_consumer_ignores_fields_that_it_does_not_know() {
    let mut value = serde_json::to_value(UserRegistered::example()).unwrap();
    value["added_later"] = serde_json::json!({"deep": [1, 2]});
    let read = serde_json::from_value::<UserRegistered>(value).unwrap();
    assert_eq!(read, UserRegistered::example());
}

#[test]
fn debug_output_hides_personal_data() {
    let shown = format!("{:?}", UserRegistered::example());
    assert!(
        !shown.contains("ada") && !shown.contains("Ada") && !shown.contains("555"),
        "{shown}"
    );
}
