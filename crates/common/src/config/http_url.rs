//! Settings that are addresses of HTTP services.
//!
//! What has no scheme may be an address all the same: of `localhost:8090`, `localhost` is the scheme. It can be called by
//! nobody, and a `?` swallows the path that is put behind it. So such a setting is looked at before anything starts.

use url::Url;

const NO_ADDRESS: &str = "must begin with http:// or https:// and name a host, such as https://api.example.com";
const BLANK: &str = "has a blank in it; take it out (in a path it is written %20)";
const USER: &str = "has a user or a password, which nobody reads there; take them out";
const QUERY: &str = "must have nothing behind its path; take out what begins with the `?`";
const FRAGMENT: &str = "must have nothing behind its path; take out what begins with the `#`";

/// What such an address may have beside its host, port and path.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum HttpUrl {
    /// Nothing: paths are put behind it, and who calls says by other settings who he is.
    Bare,
    /// A user and a password, which go with each call; paths are put behind it.
    WithUser,
    /// Those and a query: it is called as it stands.
    Whole,
}

impl HttpUrl {
    /// Reads an address of this kind.
    ///
    /// # Errors
    /// What is wrong with the text, and the cure. No part of it is told: it may be a password.
    pub fn parse(self, text: &str) -> Result<Url, &'static str> {
        // The parser takes blanks out of an address, and would not where a path stands behind them.
        if text.contains(|sign: char| sign.is_whitespace() || sign.is_control()) {
            return Err(BLANK);
        }
        let (scheme, _) = text.split_once("://").ok_or(NO_ADDRESS)?;
        if !["http", "https"].iter().any(|known| scheme.eq_ignore_ascii_case(known)) {
            return Err(NO_ADDRESS);
        }
        let url = Url::parse(text).map_err(|_| NO_ADDRESS)?;
        let has_user = !url.username().is_empty() || url.password().is_some();
        if has_user && self < Self::WithUser {
            Err(USER)
        } else if url.query().is_some() && self < Self::Whole {
            Err(QUERY)
        } else if url.fragment().is_some() {
            Err(FRAGMENT)
        } else {
            Ok(url)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_has_a_scheme_and_a_host_and_ipv6_stands_in_brackets() {
        for address in [
            "http://127.0.0.1:8090",
            "http://[::1]:8090",
            "https://[2001:db8::1]/v1",
            "HTTPS://sms.test/v1/",
        ] {
            for kind in [HttpUrl::Bare, HttpUrl::WithUser, HttpUrl::Whole] {
                assert!(kind.parse(address).is_ok(), "{address}");
            }
        }
        for wrong in [
            "",
            "sms.test",
            "localhost:8090",
            "user-api:8080/.well-known/jwks.json",
            "[::1]:8090",
            "http:sms.test",
            "http://",
            "http://::1:8090",
            "http://:8090",
            "http://sms.test:port",
            "ftp://sms.test",
        ] {
            assert_eq!(HttpUrl::Whole.parse(wrong), Err(NO_ADDRESS), "{wrong}");
        }
        assert_eq!(HttpUrl::Whole.parse("http://sms.test "), Err(BLANK));
    }

    #[test]
    fn what_nobody_reads_or_a_path_would_be_lost_behind_is_refused() {
        let table = [
            ("https://me:secret@sms.test", HttpUrl::WithUser, USER),
            ("https://me@sms.test", HttpUrl::WithUser, USER),
            ("https://sms.test?x=y", HttpUrl::Whole, QUERY),
            ("https://sms.test/?", HttpUrl::Whole, QUERY),
        ];
        for (address, least, problem) in table {
            for kind in [HttpUrl::Bare, HttpUrl::WithUser, HttpUrl::Whole] {
                let read = kind.parse(address).map(|_| ());
                assert_eq!(read, if kind < least { Err(problem) } else { Ok(()) }, "{address}");
            }
        }
        assert_eq!(HttpUrl::Whole.parse("https://sms.test#x"), Err(FRAGMENT));
    }
}
