//! The description of the messages that is committed is the one that the code has.

use std::fs;
use std::path::Path;

use contracts::topology::QUEUES;

#[test]
fn the_committed_description_of_messages_is_that_of_the_code() {
    let committed = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/asyncapi.yaml");
    assert!(
        fs::read_to_string(committed).unwrap() == waypost::asyncapi::document(),
        "docs/asyncapi.yaml is not what the code says: run `make asyncapi`, and read what changes for who reads messages"
    );
}

#[test]
fn each_type_that_a_queue_is_bound_to_is_sent_by_somebody() {
    let document = waypost::asyncapi::document();
    for kind in QUEUES.iter().flat_map(|queue| queue.bindings) {
        let sent = format!(".sends.{kind}:\n");
        assert!(document.contains(&sent), "nobody sends {kind}");
        let reference = format!("\"#/components/messages/{kind}\"");
        assert!(document.matches(&reference).count() >= 3, "{kind}: {document}");
    }
}
