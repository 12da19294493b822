//! What mail programs turn into a link, though nobody marked it as one.
//!
//! Anybody may fill in a form, and the name in it goes into a mail to an address that they choose: without these checks a
//! stranger could send a link that way. There are two checks, since two mistakes cost differently: a name that is refused
//! wrongly keeps a person out; a name that is left out of a mail wrongly costs a greeting.

use std::net::Ipv4Addr;

use icu_normalizer::ComposingNormalizerBorrowed;
use icu_properties::props::{DefaultIgnorableCodePoint, GeneralCategory};
use icu_properties::{CodePointMapData, CodePointSetData};

/// Whether a text holds what is a link beyond doubt: a scheme, `www.`, or a domain with a port or a path. No name looks so.
#[must_use]
pub fn holds_link(text: &str) -> bool {
    let text = as_programs_read(text);
    text.contains("://") || has_www(&text) || domains(&text).any(|domain| domain.is_place())
}

/// Whether a text holds anything that a program may make a link to a page of, a domain alone included. Such a text is left
/// out of messages to an address or a number that nobody has proved to be theirs. Some names look so: `Dr.Ng`. An address
/// for mail does not.
#[must_use]
pub fn may_become_link(text: &str) -> bool {
    let text = as_programs_read(text);
    text.contains("://") || has_www(&text) || domains(&text).any(|domain| domain.may_be_place() || !domain.is_of_mail())
}

/// In compatibility form, with the full stops of all scripts as one, and nothing that is not seen.
fn as_programs_read(text: &str) -> String {
    let unseen = CodePointSetData::new::<DefaultIgnorableCodePoint>();
    let normal = ComposingNormalizerBorrowed::new_nfkc().normalize(text);
    let seen = normal.chars().filter(|c| !unseen.contains(*c));
    seen.map(|c| if c == '\u{3002}' { '.' } else { c })
        .collect::<String>()
        .to_lowercase()
}

fn has_www(text: &str) -> bool {
    let mut found = text.match_indices("www.");
    found.any(|(at, www)| {
        !text[..at].ends_with(char::is_alphanumeric) && text[at + www.len()..].starts_with(char::is_alphanumeric)
    })
}

/// What no name of a machine ends with: a dot or hyphen there belongs to the sentence, or stands for the root.
const ENDS: [char; 2] = ['.', '-'];

/// What may be a domain or an address of a machine, and what stands around it.
struct Domain<'a> {
    before: &'a str,
    after: &'a str,
}

impl Domain<'_> {
    /// A port, a path or a query follows.
    fn is_place(&self) -> bool {
        begins_place(self.after)
    }

    /// One follows, or does behind a dot or hyphen: as in `M.Sc./Ph.D.`, too.
    fn may_be_place(&self) -> bool {
        begins_place(self.after.trim_start_matches(ENDS))
    }

    /// Somebody stands before it, and an `@`.
    fn is_of_mail(&self) -> bool {
        let local = self.before.strip_suffix('@');
        local.is_some_and(|local| local.ends_with(char::is_alphanumeric))
    }
}

/// Whether a text begins with a port, a path or a query.
fn begins_place(text: &str) -> bool {
    let mut text = text.chars();
    match (text.next(), text.next()) {
        (Some('/'), _) => true,
        (Some(':'), Some(port)) => port.is_ascii_digit(),
        (Some('?' | '#'), Some(next)) => next.is_alphanumeric(),
        _ => false,
    }
}

fn domains(text: &str) -> impl Iterator<Item = Domain<'_>> {
    let words = text.split(|c| !is_label(c) && !ENDS.contains(&c));
    // Between two dots stands nothing: where they follow each other, a name has ended.
    let names = words
        .flat_map(|word| word.split(".."))
        .map(|word| word.trim_end_matches(ENDS));
    names.filter(|name| is_domain(name)).map(move |name| {
        // A name is a part of the text: it begins where its first byte lies.
        let at = name.as_ptr() as usize - text.as_ptr() as usize;
        Domain {
            before: &text[..at],
            after: &text[at + name.len()..],
        }
    })
}

/// Whether a sign may stand in a label. Programs take marks and pictures for parts of a domain, too: `जगत्.com`, `i❤.ws`.
fn is_label(sign: char) -> bool {
    use GeneralCategory::{NonspacingMark, OtherSymbol, SpacingMark};
    let category = || CodePointMapData::<GeneralCategory>::new().get(sign);
    sign.is_alphanumeric() || !sign.is_ascii() && matches!(category(), NonspacingMark | SpacingMark | OtherSymbol)
}

/// Whether a word may be a domain: its last dot stands behind a label and before a possible ending, which is two or more
/// letters of any script, or an A-label (RFC 5890). An IPv4 address counts as well.
fn is_domain(word: &str) -> bool {
    let Some((owner, ending)) = word.rsplit_once('.') else {
        return false;
    };
    let letters = ending.chars().all(char::is_alphabetic) && ending.chars().nth(1).is_some();
    let is_named = (letters || ending.starts_with("xn--")) && owner.ends_with(is_label);
    is_named || word.parse::<Ipv4Addr>().is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    const PLACES: [&str; 24] = [
        "http://evil.example",
        "Win! HTTPS://EVIL.EXAMPLE/x now",
        "Ada @https://evil.example/prize",
        "1https://evil.example",
        "${jndi:ldap://127.0.0.1/a}",
        "www.evil",
        "see www.evil.example",
        "(www.evil.example)",
        "evil.com/prize",
        "(evil.com/prize)",
        "@evil.com/x",
        "..evil.com/x",
        "//evil.com/x",
        "evil.com:8080",
        "evil.com?a=1",
        "1.2.3.4/x",
        "例え.jp/x",
        "win 👍.to/prize",
        "i❤.ws/x",
        "जगत्.com/prize",
        "evil．com／x",
        "evil。com/x",
        "ev\u{ad}il.com/x",
        "http:/\u{200b}/evil.example",
    ];

    #[test]
    fn what_names_a_place_is_a_link() {
        for text in PLACES {
            assert!(holds_link(text) && may_become_link(text), "{text}");
        }
    }

    #[test]
    fn a_domain_alone_is_left_out_and_not_refused() {
        for text in [
            "evil.com",
            "win at bit.ly now",
            "win at evil.com.",
            "win at evil.com. Now",
            "win at evil.com...now",
            "win at evil.com-",
            "(evil.com.)",
            "win at t.co.",
            "10.0.0.1.",
            "evil.com./prize",
            "evil.com.:8080",
            "evil.com...?a=1",
            "evil.com-/prize",
            "1.2.3.4./x",
            "evil.com。/x",
            "x@t.co./prize",
            "M.Sc.",
            "M.Sc./Ph.D.",
            "Anna Muster, Dipl.Ing./MBA",
            "x.com",
            "Evil.Online",
            "evil.cfd",
            "пример.рф",
            "例子.中国",
            "evil.xn--p1ai",
            "@evil.com",
            "-evil.com",
            "10.0.0.1",
            "Dr.Ng",
            "St.John",
            "Will.i.am",
        ] {
            assert!(!holds_link(text) && may_become_link(text), "{text}");
        }
    }

    #[test]
    fn names_hold_no_link() {
        for text in [
            "",
            "J. R. Smith",
            "J.R. Smith",
            "D'Arcy",
            "St. John",
            "张伟",
            "Anna/Bo",
            "../../etc/passwd",
            "Mr. T",
            "A.B.C.",
            "Ph.D.",
            "Anna-/Bo",
            "Inc.",
            "Acme Inc./Ltd.",
            "Sammy Davis Jr.",
            "Anna...Bo",
            "Ada <ada@example.com.>",
            "Ada <ada@example.com>",
            "Ada: 1.5",
            "wwwilliam",
            "Ng...",
        ] {
            assert!(!holds_link(text) && !may_become_link(text), "{text}");
        }
    }
}
