//! The descriptions of both APIs that are committed are those that the code has.

use std::fs;
use std::path::Path;

fn committed(file: &str) -> String {
    let docs = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs");
    fs::read_to_string(docs.join(file)).unwrap()
}

#[test]
fn the_committed_descriptions_are_those_of_the_code() {
    for (file, described) in [
        ("openapi-user-api.json", user_api::openapi()),
        ("openapi-notification-gateway.json", notification_gateway::openapi()),
    ] {
        assert!(
            committed(file).trim_end() == described,
            "docs/{file} is not what the code says: run `make openapi`, and read what changes for callers"
        );
    }
}

#[test]
fn each_operation_has_an_id_of_its_own() {
    for document in [user_api::openapi(), notification_gateway::openapi()] {
        let ids: Vec<_> = document
            .lines()
            .filter(|line| line.contains("\"operationId\""))
            .collect();
        let mut unique = ids.clone();
        unique.sort_unstable();
        unique.dedup();
        assert!(!ids.is_empty());
        assert_eq!(
            unique.len(),
            ids.len(),
            "two handlers of one service have the same name: {ids:?}"
        );
    }
}
