//! Small crates with a fault planted in each: the rules of `inside` are seen to fail.

use std::path::Path;

use crate::arrows::arrows;
use crate::tree::Tree;
use crate::{circles, order};

/// Reads a crate from the texts of its files; the first is its root.
fn plant(files: &[(&str, &str)]) -> Tree {
    Tree::read(Path::new(files[0].0), &|asked| {
        let found = files.iter().find(|(file, _)| Path::new(file) == asked);
        found.map(|(_, text)| (*text).to_owned())
    })
}

/// The circles of a crate that has the files `a.rs` and `b.rs`, and `deep/` with `mod.rs` and `c.rs`.
fn circles_of(a: &str, b: &str, front: &str, c: &str) -> Vec<String> {
    let tree = plant(&[
        ("lib.rs", "pub mod a; mod b; mod deep;"),
        ("a.rs", a),
        ("b.rs", b),
        ("deep/mod.rs", front),
        ("deep/c.rs", c),
    ]);
    circles::circles(&tree, &arrows(&tree))
}

#[test]
fn arrows_in_one_direction_form_no_circle() {
    let found = circles_of(
        "use crate::b::B; use crate::deep::C;",
        "use crate::deep::*; pub struct B(C, std::io::Error);",
        "mod c; pub use c::C;",
        "pub struct C; impl C { pub fn new() -> Self { Self } }",
    );
    assert!(found.is_empty(), "{found:?}");
}

#[test]
fn a_circle_is_told_file_by_file_with_its_lines() {
    let found = circles_of(
        "\nuse crate::b::B;\npub struct A;",
        "\n\nuse super::a::A;\npub struct B;",
        "mod c;",
        "",
    );
    let told = "a circle in crate:\n    a.rs:2 uses b.rs\n    b.rs:3 uses a.rs";
    assert_eq!(found, [told]);
}

#[test]
fn a_circle_is_found_in_whatever_hides_its_arrow() {
    // Each goes into `b.rs`, which `a.rs` uses, and leads back to `a.rs`.
    let hidden = [
        "fn f() { crate::a::f() }",
        "fn f() { super::a::A::<u8>::new() }",
        "async fn f() { tokio::select! { () = async { crate::a::f().await } => {} } }",
        "macro_rules! m { () => { $crate::a::f() } }",
        "fn f() { use crate::a::A as Other; }",
        "pub use crate::{a::{self as other}, deep};",
        "use crate::a; fn f() { a::f() }",
        "use super::*; fn f() { a::f() }",
        "use crate::a::*; fn f() { m!() }",
        "mod inner { use super::super::a::A; }",
        "#[derive(crate::a::Derived)] struct B;",
        "#[serde(with = \"crate::a\")] struct B;",
        "fn f(_: impl Fn() -> crate::a::A) {}",
    ];
    for text in hidden {
        let found = circles_of("use crate::b; pub struct A; fn f() { b::f() }", text, "mod c;", "");
        assert_eq!(found.len(), 1, "{text}: {found:?}");
    }
}

#[test]
fn a_re_export_is_followed_to_the_file_that_defines() {
    for front in [
        "mod c; pub use c::C as D;",
        "mod c; pub use self::c::{C as Inner}; pub use Inner as D;",
        "mod c; pub use c::*;",
    ] {
        let c = "pub struct C; pub struct D; use crate::b::f;";
        let found = circles_of("", "pub use crate::deep::D; pub fn f() {}", front, c);
        let told = ["b.rs:1 uses deep/", "deep/c.rs:1 uses b.rs"];
        assert!(
            found.len() == 1 && told.iter().all(|line| found[0].contains(line)),
            "{front}: {found:?}"
        );
    }
}

#[test]
fn modules_form_no_circle_even_where_no_files_do() {
    let tree = plant(&[
        ("main.rs", "mod x; mod y;"),
        ("x/mod.rs", "mod low; mod high;"),
        ("x/low.rs", "pub fn f() {}"),
        ("x/high.rs", "use crate::y::only::g;"),
        ("y/mod.rs", "pub mod only;"),
        ("y/only.rs", "use crate::x::low::f; pub fn g() {}"),
    ]);
    let found = circles::circles(&tree, &arrows(&tree));
    assert_eq!(
        found,
        ["a circle in crate:\n    x/high.rs:1 uses y/only.rs\n    y/only.rs:1 uses x/low.rs"]
    );
}

#[test]
fn a_file_with_children_counts_as_one_of_them() {
    let tree = plant(&[
        ("lib.rs", "mod x;"),
        ("x.rs", "mod child; use child::Child; pub struct X;"),
        ("x/child.rs", "use super::X; pub struct Child;"),
    ]);
    assert_eq!(circles::circles(&tree, &arrows(&tree)).len(), 1);
}

#[test]
fn a_macro_that_is_called_by_its_bare_name_is_an_arrow() {
    let tree = plant(&[
        ("lib.rs", "mod x;"),
        ("x.rs", "macro_rules! m { () => {} } mod child; use child::Child;"),
        ("x/child.rs", "pub struct Child; m!();"),
    ]);
    assert_eq!(circles::circles(&tree, &arrows(&tree)).len(), 1);
}

#[test]
fn tests_may_look_anywhere() {
    for b in [
        "#[cfg(test)] mod tests { use crate::a::A; }",
        "#[cfg(test)] #[path = \"b_tests.rs\"] mod tests;",
        "#[path = \"b_tests.rs\"] #[cfg(test)] mod tests;",
        "#[cfg(test)] use crate::{a::A, deep};",
        "#[cfg(test)] fn f<T, U>() { crate::a::f() }",
        "struct B { #[cfg(test)] field: crate::a::A, other: u8 }",
    ] {
        let found = circles_of("use crate::b::B;", b, "mod c;", "");
        assert!(found.is_empty(), "{b}: {found:?}");
    }
    let found = circles_of(
        "use crate::b::B;",
        "#[cfg(test)] fn f() {} use crate::a::A;",
        "mod c;",
        "",
    );
    assert_eq!(found.len(), 1, "what stands behind a test is read");
}

#[test]
fn a_front_that_defines_is_named_with_the_line() {
    for front in [
        "//! Doc.\n#![warn(missing_docs)]\nmod c;\npub(crate) use c::{A, B};",
        "#[cfg(test)]\nmod tests { fn f() {} }",
    ] {
        let tree = plant(&[("lib.rs", "mod x;"), ("x/mod.rs", front), ("x/c.rs", "")]);
        assert!(tree.defining_fronts().is_empty(), "{front}");
    }
    for front in [
        "\npub struct A;",
        "use std::io;\nmacro_rules! m { () => {} }",
        "\nmod inline {}",
        "\nthread_local! {}",
    ] {
        let tree = plant(&[("lib.rs", "mod x;"), ("x/mod.rs", front)]);
        assert_eq!(tree.defining_fronts(), ["x/mod.rs:2 defines something"], "{front}");
    }
}

#[test]
fn an_arrow_against_the_order_is_named_and_so_is_a_gap_in_the_list() {
    let root = "//! - [`a`]: first\n//! - [`b`]: second\npub mod a; pub mod b; pub use a::A;";
    let listed = order::listed(root);
    assert_eq!(listed, ["a", "b"]);

    let tree = plant(&[
        ("lib.rs", root),
        ("a.rs", "pub struct A;\nuse crate::b;"),
        ("b.rs", "use crate::A;"),
    ]);
    let found = order::breaks(&tree, &arrows(&tree), &listed);
    assert_eq!(found, ["a.rs:2 uses b.rs: `b` is listed below `a`"]);

    let found = order::breaks(&tree, &arrows(&tree), &["b", "c"]);
    assert_eq!(found, ["`a` is missing in the list", "`c` is listed and is no module"]);

    // A `mod.rs` that passes on what stands below it in the list looks the wrong way too.
    let tree = plant(&[
        ("lib.rs", root),
        ("a/mod.rs", "pub use crate::b::B;"),
        ("b.rs", "pub struct B;"),
    ]);
    let found = order::breaks(&tree, &arrows(&tree), &listed);
    assert_eq!(found, ["a/mod.rs:1 uses b.rs: `b` is listed below `a`"]);
}
