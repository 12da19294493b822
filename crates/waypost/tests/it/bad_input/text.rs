//! Text that breaks lines, scripts, encodings and the programs that print it.

use super::case::Expected::{Field, Fine};
use super::case::{Case, ROUND};

pub(super) fn cases() -> Vec<Case> {
    [
        controls(),
        controls_elsewhere(),
        addresses(),
        scripts(),
        unseen(),
        links(),
        blanks(),
        injections(),
    ]
    .into_iter()
    .flatten()
    .collect()
}

/// What must stand in no name, nor in any other field that goes into a mail.
fn controls() -> Vec<Case> {
    let bad = [
        ("NUL", "\0"),
        ("BEL", "\x07"),
        ("TAB", "\t"),
        ("LF", "\n"),
        ("CR", "\r"),
        ("a header", "\r\nBcc: eve@example.com"),
        ("a body", "\r\n\r\nHello"),
        ("ESC", "\x1b[2J"),
        ("DEL", "\x7f"),
        ("NEL", "\u{85}"),
        ("C1", "\u{9f}"),
        ("a line separator", "\u{2028}"),
        ("a paragraph separator", "\u{2029}"),
    ];
    let mut cases = Vec::new();
    for (what, text) in bad {
        cases.push(Case::sign_up(
            format!("{what} in the name"),
            "name",
            format!("A{text}da"),
            Field("/name"),
        ));
        cases.push(Case::sign_up(
            format!("{what} behind the name"),
            "name",
            format!("Ada{text}"),
            Field("/name"),
        ));
        let address = format!("{ROUND}{text}@example.com");
        cases.push(Case::sign_up(
            format!("{what} in the address"),
            "email",
            address,
            Field("/email"),
        ));
        let address = format!("{ROUND}@example.com{text}");
        cases.push(Case::sign_up(
            format!("{what} behind the address"),
            "email",
            address,
            Field("/email"),
        ));
    }
    cases
}

fn controls_elsewhere() -> Vec<Case> {
    let mut cases = Vec::new();
    for (field, pointer) in [("phone", "/phone"), ("time_zone", "/time_zone")] {
        cases.push(Case::sign_up(format!("NUL in {field}"), field, "UTC\0", Field(pointer)));
        cases.push(Case::sign_up(
            format!("LF behind {field}"),
            field,
            "+4915112345678\n",
            Field(pointer),
        ));
    }
    cases.push(Case::sign_up("NUL in the locale", "locale", "en\0", Fine(201)));
    cases.push(Case::sign_up(
        "a header in the locale",
        "locale",
        "en\r\nBcc: eve@example.com",
        Fine(201),
    ));
    cases.push(Case::sign_up(
        "NUL in the password",
        "password",
        "correct\0horse",
        Fine(201),
    ));
    cases
}

fn addresses() -> Vec<Case> {
    let bad = [
        "ada",
        "@",
        "ada@",
        "@example.com",
        "a@b@example.com",
        "ada@localhost",
        "ada@.example.com",
        "ada@example..com",
        "ada@-example.com",
        ".ada@example.com",
        "ada@example.com.",
        "ada@[127.0.0.1]",
        "ada@[IPv6:::1]",
        "Ada <ada@example.com>",
        "<ada@example.com>",
        "\"a b\"@example.com",
        "\"\\\r\n\"@example.com",
        "ada@example.com,eve@example.com",
        "ada@example.com;eve@example.com",
        "ada(comment)@example.com",
        "ada@exam ple.com",
        "mailto:ada@example.com",
        "ädä@example.com",
        "ada＠example.com",
        "аda@example.com",
        "ada@example\u{200b}.com",
        "ada@ex\u{202e}ample.com",
        "👩‍💻@example.com",
        "ada@1.2",
        "ada@127.0.0.1",
        "ada@ex_ample.com",
        "ada@ex!ample.com",
        "ada@exa`mple.com",
        "ada@xn--0.example",
        "ada@mün chen.example",
        "ada@mün\u{ad}chen.example",
    ];
    let refused = |address| Case::sign_up(format!("the address {address:?}"), "email", address, Field("/email"));
    let mut cases: Vec<Case> = bad.into_iter().map(refused).collect();
    for (what, around) in [("blanks", " "), ("blanks of other scripts", "\u{a0}\u{3000}")] {
        let address = format!("{around}{ROUND}@example.com{around}");
        cases.push(Case::sign_up(
            format!("{what} around the address"),
            "email",
            address,
            Fine(201),
        ));
    }
    for domain in ["münchen.example", "例え.テスト", "xn--bcher-kva.example"] {
        let address = format!("{ROUND}@{domain}");
        cases.push(Case::sign_up(
            format!("an address at {domain}"),
            "email",
            address,
            Fine(201),
        ));
    }
    cases
}

/// Names of which nothing is seen.
fn unseen() -> Vec<Case> {
    [
        "\u{200b}\u{200d}\u{feff}",
        "\u{3164}",
        "\u{115f}\u{2800}",
        "\u{ad}",
        "\u{202e}\u{2066}",
        "\u{e0041}\u{e007f}",
    ]
    .into_iter()
    .map(|name| Case::sign_up(format!("the name {name:?}"), "name", name, Field("/name")))
    .collect()
}

/// Names that would carry a link into a mail to anybody, and some that only look so.
fn links() -> Vec<Case> {
    let bad = [
        "http://evil.example",
        "You won! HTTPS://evil.example/prize",
        "www.evil.example",
        "evil.com/prize",
        "evil.com:8080",
        "evil．com／prize",
        "${jndi:ldap://127.0.0.1/a}",
    ];
    let fine = [
        "J. R. Smith",
        "D'Arcy",
        "St. John",
        "张伟",
        "Dr.Ng",
        "Anna/Bo",
        "Will.i.am",
    ];
    let refused = |name| Case::sign_up(format!("the name {name:?}"), "name", name, Field("/name"));
    let taken = |name| Case::sign_up(format!("the name {name:?}"), "name", name, Fine(201));
    bad.into_iter()
        .map(refused)
        .chain(fine.into_iter().map(taken))
        .collect()
}

/// Fields of a form that were left empty.
fn blanks() -> Vec<Case> {
    let mut cases = Vec::new();
    for field in ["phone", "time_zone", "locale"] {
        for text in ["", " "] {
            cases.push(Case::sign_up(format!("{field} {text:?}"), field, text, Fine(201)));
        }
    }
    let phone = " +4915112345678\u{a0}";
    cases.push(Case::sign_up("blanks around the phone", "phone", phone, Fine(201)));
    cases
}

/// Names that are unusual and right.
fn scripts() -> Vec<Case> {
    let names = [
        "王小明",
        "Ngô Thị Ánh",
        "עדה לאבלייס",
        "أدا لوفلايس",
        "👩🏽‍💻👨‍👩‍👧‍👦🏳️‍🌈",
        "Z\u{341}\u{352}\u{35b}\u{316}a\u{303}\u{304}\u{305}l\u{306}g\u{307}\u{308}o",
        "A\u{202e}ad\u{202c}A",
        "\u{fffd}\u{fffe}\u{ffff}",
        "\u{e000}\u{f8ff}\u{10ffff}",
        "ﷺ𝕬𝖉𝖆Ⅷ",
        "İıſßẞ",
        "\u{1100}\u{1161}\u{11a8}",
    ];
    let mut cases: Vec<Case> = names
        .into_iter()
        .map(|name| Case::sign_up(format!("the name {name:?}"), "name", name, Fine(201)))
        .collect();
    cases.push(Case::sign_up(
        "a hundred characters of four bytes",
        "name",
        "𝄞".repeat(100),
        Fine(201),
    ));
    for blank in [" ", "\u{a0}\u{2003}\u{3000}"] {
        cases.push(Case::sign_up(
            format!("the blank name {blank:?}"),
            "name",
            blank,
            Field("/name"),
        ));
    }
    cases
}

/// What other programs would carry out; here it is a name.
fn injections() -> Vec<Case> {
    let texts = [
        "'; DROP TABLE users; --",
        "\" OR \"\"=\"",
        "Robert'); DELETE FROM outbox;--",
        "$(reboot) `id` | cat /etc/passwd",
        "{{ 7 * 7 }}{% for x in y %}",
        "<script>alert(1)</script>",
        "\"><img src=x onerror=alert(1)>",
        "../../../../etc/passwd",
        "%s%n%x%00",
        "=cmd|' /C calc'!A0",
        "*1 $4 FLUSHALL",
        "\\u0000\\r\\n",
        ".",
        "null",
    ];
    let mut cases: Vec<Case> = texts
        .into_iter()
        .map(|text| Case::sign_up(format!("the name {text:?}"), "name", text, Fine(201)))
        .collect();
    for text in ["'; DROP TABLE users; --", "+49'--", "${jndi:ldap://127.0.0.1/a}"] {
        cases.push(Case::sign_up(
            format!("the phone {text:?}"),
            "phone",
            text,
            Field("/phone"),
        ));
        cases.push(Case::sign_up(
            format!("the time zone {text:?}"),
            "time_zone",
            text,
            Field("/time_zone"),
        ));
        cases.push(Case::sign_up(format!("the locale {text:?}"), "locale", text, Fine(201)));
        cases.push(Case::sign_up(
            format!("the address {text:?}"),
            "email",
            text,
            Field("/email"),
        ));
    }
    let legal = format!("o'or'1'='1+{ROUND}@example.com");
    cases.push(Case::sign_up(
        "quotes in an address, as RFC 5321 has them",
        "email",
        legal,
        Fine(201),
    ));
    cases
}
