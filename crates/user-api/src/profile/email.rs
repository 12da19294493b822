//! An address for mail.

use std::borrow::Cow;

use common::http::Violation;
use email_address::{EmailAddress, Options};
use idna::uts46::{AsciiDenyList, DnsLength, Hyphens, Uts46};
use utoipa::openapi::schema::{KnownFormat, ObjectBuilder, SchemaFormat};

use serde_json::json;

use super::{
    text::{described_text, personal_text, text},
    unicode::{BLANKS, is_invisible, trimmed},
};

/// RFC 5321, 4.5.3.1: 64 before the `@`, 255 behind it, and 254 in all (256 with the brackets).
const MOST: usize = 254;

/// The same rule for the API's description: dotted atoms of 64 characters at most, and a domain of two labels at least,
/// the last of which is no number. It knows an internationalised domain only as its A-label: a pattern can't say which
/// other spellings are valid.
fn pattern() -> String {
    let atom = "[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+";
    let label = "[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?";
    format!(
        r"^[{BLANKS}]*(?=[^@]{{1,64}}@)(?=.*\.[0-9]*[A-Za-z-][A-Za-z0-9-]*[{BLANKS}]*$){atom}(\.{atom})*@({label}\.)+{label}[{BLANKS}]*$"
    )
}

fn form() -> ObjectBuilder {
    text("Address for mail: ASCII before the @, without quotes. An internationalised domain becomes its A-label.")
        .format(Some(SchemaFormat::KnownFormat(KnownFormat::Email)))
        .max_length(Some(MOST))
        .pattern(Some(pattern()))
        .examples([json!("ada@example.com")])
}

/// An address that SMTP can carry: as the person wrote it, without blanks around it, an internationalised domain as its
/// A-label (RFC 5890, 2.3.2.1).
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Email(String);

personal_text!(Email);
described_text!(Email);

impl Email {
    /// Takes an address with a full domain: no display name, no address literal.
    pub(crate) fn parse(text: &str) -> Result<Self, Violation> {
        let text = trimmed(text);
        // The length first, so that nothing long is ever taken apart.
        if text.chars().nth(MOST).is_some() {
            return refused("must have at most 254 characters");
        }
        let Some((local, domain)) = text.rsplit_once('@') else {
            return refused("must be an email address such as name@example.com");
        };
        if !local.is_ascii() {
            return refused("must have letters, digits and signs of ASCII alone before the @");
        }
        let Some(domain) = mail_domain(domain) else {
            return refused("must have a domain that mail can go to behind the @, such as example.com");
        };
        let options = Options {
            minimum_sub_domains: 2,
            allow_domain_literal: false,
            allow_display_text: false,
        };
        // A quoted local part may hold blanks and more; hardly anybody has one, and few servers take it.
        let plain = !local.contains(['"', '\\']);
        let address = format!("{local}@{domain}");
        if address.len() <= MOST && plain && EmailAddress::parse_with_options(&address, options).is_ok() {
            return Ok(Self(address));
        }
        refused("must be an email address such as name@example.com")
    }

    /// The key of an account that somebody names; `None` for a text that can't be an address. The rules are for new
    /// accounts: an account that was made under older rules keeps its address.
    pub(crate) fn known_key(text: &str) -> Option<String> {
        let typed = trimmed(text);
        let key = Self::parse(typed).map(|email| email.key());
        key.ok()
            .or_else(|| is_storable(typed).then(|| typed.to_ascii_lowercase()))
    }

    /// What makes an address unique: its lower-case form.
    pub(crate) fn key(&self) -> String {
        self.0.to_ascii_lowercase()
    }
}

/// Whether any rule, past or present, let such an address in.
fn is_storable(text: &str) -> bool {
    text.len() <= MOST && text.bytes().all(|byte| byte.is_ascii_graphic())
}

fn refused(detail: &'static str) -> Result<Email, Violation> {
    Err(Violation {
        code: "invalid-email",
        detail,
    })
}

/// The domain in ASCII, when mail can go there: labels of letters, digits and hyphens (RFC 5321, 4.1.2), labels of other
/// scripts as UTS 46 maps them. The last label is no number (RFC 3696, 2): with one it would be an IP address.
fn mail_domain(domain: &str) -> Option<Cow<'_, str>> {
    // UTS 46 would drop most characters that are not seen, and the mail would go to another domain than the one typed. The
    // joiners stay: UTS 46 knows where the scripts that need them allow them.
    if domain
        .chars()
        .any(|c| is_invisible(c) && !matches!(c, '\u{200c}' | '\u{200d}'))
    {
        return None;
    }
    let ascii = Uts46::new().to_ascii(
        domain.as_bytes(),
        AsciiDenyList::STD3,
        Hyphens::CheckFirstLast,
        DnsLength::Verify,
    );
    let ascii = ascii.ok()?;
    let last = ascii.rsplit('.').next().unwrap_or_default();
    if last.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    // What was ASCII stays as it was written.
    Some(if domain.is_ascii() {
        Cow::Borrowed(domain)
    } else {
        ascii
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn usual_addresses_are_taken_as_they_are() {
        for text in ["ada@example.com", "Ada.L+news@mail.example.co.uk", "o'hara@example.org"] {
            assert_eq!(Email::parse(text).unwrap().as_str(), text);
        }
    }

    #[test]
    fn what_mail_cannot_carry_is_refused() {
        let long_local = format!("{}@example.com", "a".repeat(65));
        let long = format!("a@{}.com", "example.".repeat(40));
        let bad = [
            "",
            "ada",
            "ada@",
            "@example.com",
            "ada@localhost",
            "ada@[127.0.0.1]",
            "a b@example.com",
            "Ada <ada@example.com>",
            "ada@example.com\r\nBcc: eve@example.com",
            "ada@example..com",
            "ada@example.com\n",
            "ada@1.2",
            "ada@127.0.0.1",
            "ada@ex_ample.com",
            "ada@ex!ample.com",
            "ada@exa`mple.com",
            "ada@-example.com",
            "ada@example.com.",
            "ada@xn--0.example",
            "ada@example\u{200b}.com",
            "ada@ex\u{202e}ample.com",
            "ada@bü cher.example",
            "ada＠example.com",
            "\"a b\"@example.com",
            "ädä@example.com",
            &long_local,
            &long,
        ];
        for text in bad {
            assert!(Email::parse(text).is_err(), "{text:?} was taken");
        }
    }

    #[test]
    fn blanks_around_it_are_cut() {
        for text in [" ada@example.com", "ada@example.com ", "\u{a0}ada@example.com\u{3000}"] {
            assert_eq!(Email::parse(text).unwrap().as_str(), "ada@example.com");
        }
    }

    #[test]
    fn a_domain_of_another_script_is_kept_as_its_a_label() {
        for text in [
            "ada@bücher.example",
            "ada@BÜCHER.example",
            "ada@bu\u{308}cher。example",
            "ada@xn--bcher-kva.example",
        ] {
            assert_eq!(
                Email::parse(text).unwrap().as_str(),
                "ada@xn--bcher-kva.example",
                "{text}"
            );
        }
        assert_eq!(
            Email::parse("ada@例え.テスト").unwrap().as_str(),
            "ada@xn--r8jz45g.xn--zckzah"
        );
        assert_eq!(
            Email::parse("ada@faß.example").unwrap().as_str(),
            "ada@xn--fa-hia.example"
        );
        assert_eq!(
            Email::parse("ada@r3---sn.example.3com").unwrap().as_str(),
            "ada@r3---sn.example.3com"
        );
    }

    #[test]
    fn an_account_of_older_rules_is_known_by_its_address() {
        let key = |text| Email::known_key(text);
        assert_eq!(key(" Ada@ex_ample.com").as_deref(), Some("ada@ex_ample.com"));
        assert_eq!(key("Ada@BÜCHER.example").as_deref(), Some("ada@xn--bcher-kva.example"));
        assert_eq!(key("ädä@example.com"), None);
        assert_eq!(key("ada@ex_ample.com\0"), None);
        assert_eq!(key(&"a".repeat(60_000)), None);
    }

    #[test]
    fn the_key_ignores_case() {
        let key = Email::parse("ADA@Example.COM").unwrap().key();
        assert_eq!(key, "ada@example.com");
    }

    proptest! {
        #[test]
        fn what_is_taken_never_holds_a_blank_or_a_control_character(text in ".{0,40}@[a-z.\\s]{0,20}") {
            if let Ok(email) = Email::parse(&text) {
                prop_assert!(email.as_str().chars().all(|c| c.is_ascii_graphic()));
            }
        }
    }
}
