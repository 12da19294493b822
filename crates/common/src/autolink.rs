//! What mail programs turn into a link, though nobody marked it as one.
//!
//! A form that anybody may fill in, and whose name goes into a mail, would else carry a stranger's link to whoever the
//! stranger chooses.

use icu_normalizer::ComposingNormalizerBorrowed;
use linkify::{LinkFinder, LinkKind};

/// Endings of domains that are no country's and that a program takes for one without more around it.
const GENERIC_ENDINGS: &[&str] = &[
    "academy",
    "agency",
    "app",
    "art",
    "asia",
    "bet",
    "bid",
    "biz",
    "blog",
    "casino",
    "chat",
    "click",
    "cloud",
    "club",
    "codes",
    "com",
    "company",
    "coupons",
    "dating",
    "dev",
    "digital",
    "download",
    "edu",
    "email",
    "exchange",
    "finance",
    "fun",
    "games",
    "gift",
    "global",
    "gov",
    "group",
    "help",
    "host",
    "icu",
    "info",
    "ink",
    "int",
    "life",
    "link",
    "live",
    "loan",
    "loans",
    "lol",
    "ltd",
    "market",
    "mil",
    "mobi",
    "money",
    "net",
    "network",
    "news",
    "one",
    "online",
    "org",
    "page",
    "party",
    "porn",
    "press",
    "pro",
    "promo",
    "review",
    "rocks",
    "sale",
    "services",
    "sex",
    "shop",
    "site",
    "solutions",
    "space",
    "store",
    "stream",
    "support",
    "systems",
    "tech",
    "today",
    "tokyo",
    "tools",
    "top",
    "trade",
    "vip",
    "wang",
    "website",
    "wiki",
    "win",
    "work",
    "works",
    "world",
    "xyz",
    "zip",
    "zone",
];

/// How sure a mail program is that a text holds a link.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Autolink {
    /// A domain alone, `example.com`; some programs make it one. A name can look so: `Dr.Ng`.
    Domain,
    /// A scheme, `www.`, or a domain with a port or a path. No name looks so.
    Address,
}

/// The surest link in a text, if there is one. An address for mail is none.
///
/// Judged in compatibility form (NFKC): programs read the dots and slashes of other scripts as their own.
#[must_use]
pub fn autolink(text: &str) -> Option<Autolink> {
    let text = ComposingNormalizerBorrowed::new_nfkc().normalize(text);
    let mut finder = LinkFinder::new();
    finder
        .url_must_have_scheme(false)
        .kinds(&[LinkKind::Url, LinkKind::Email]);
    let urls = finder.links(&text).filter(|link| *link.kind() == LinkKind::Url);
    urls.filter_map(|link| judge(link.as_str())).max()
}

fn judge(link: &str) -> Option<Autolink> {
    let link = link.to_lowercase();
    if link.starts_with("www.") || link.contains(['/', ':', '?', '#']) {
        return Some(Autolink::Address);
    }
    let (before, ending) = link.rsplit_once('.')?;
    let owner = before.rsplit('.').next().unwrap_or_default();
    let is_country = ending.len() == 2 && owner.chars().count() > 1;
    (is_country || GENERIC_ENDINGS.contains(&ending)).then_some(Autolink::Domain)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_names_a_place_is_an_address() {
        for text in [
            "http://evil.example",
            "Win! HTTPS://EVIL.EXAMPLE/x now",
            "${jndi:ldap://127.0.0.1/a}",
            "www.evil",
            "see www.evil.example",
            "evil.com/prize",
            "(evil.com/prize)",
            "evil.com:8080",
            "evil.com?a=1",
            "1.2.3.4/x",
            "例え.jp/x",
            "evil．com／x",
        ] {
            assert_eq!(autolink(text), Some(Autolink::Address), "{text}");
        }
    }

    #[test]
    fn a_domain_alone_is_told_apart() {
        for text in ["evil.com", "win at bit.ly now", "x.com", "Evil.Online"] {
            assert_eq!(autolink(text), Some(Autolink::Domain), "{text}");
        }
    }

    #[test]
    fn names_hold_no_link() {
        for text in [
            "",
            "J. R. Smith",
            "J.R. Smith",
            "J.R.Smith",
            "D'Arcy",
            "St. John",
            "St.John",
            "张伟",
            "Will.i.am",
            "M.Sc./Ph.D.",
            "Anna/Bo",
            "Ada <ada@example.com>",
            "../../etc/passwd",
            "Mr. T",
        ] {
            assert_eq!(autolink(text), None, "{text}");
        }
    }
}
