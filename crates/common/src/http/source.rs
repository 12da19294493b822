//! Where a request comes from, as far as that can be believed.
//!
//! The peer of the connection is certain. When that is a proxy of ours (`http.trusted_proxies`), the right end of its
//! `Forwarded` (RFC 7239) or `X-Forwarded-For` says who came to it. When that is such a proxy too, the next one to the left
//! says who came to it, and so on. What stands further left, and any other header, anybody can write.
//!
//! A proxy writes one of the two headers and may pass the other on as it came. So where both are there and name different
//! sources, neither is believed, and the request counts for the proxy.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use actix_web::HttpRequest;
use actix_web::http::header::{FORWARDED, HeaderMap, HeaderName, X_FORWARDED_FOR};
use actix_web::web::Data;

use crate::config::Networks;

/// So many proxies in a row are looked through.
const MOST_PROXIES: usize = 16;

/// The address that a request to a server of [`serve`](super::serve) comes from.
pub fn source(request: &HttpRequest) -> IpAddr {
    // A connection without an address does not come over the network.
    let peer = request
        .peer_addr()
        .map_or(Ipv4Addr::UNSPECIFIED.into(), |peer| peer.ip());
    let peer = peer.to_canonical();
    let trusted = request.app_data::<Data<Networks>>();
    trusted.map_or(peer, |trusted| of(peer, request.headers(), trusted))
}

fn of(peer: IpAddr, headers: &HeaderMap, trusted: &Networks) -> IpAddr {
    if !trusted.contains(peer) {
        return peer;
    }
    let said = |name, hop: fn(&str) -> Option<IpAddr>| {
        headers
            .contains_key(&name)
            .then(|| look_through(peer, &hops(headers, &name), hop, trusted))
    };
    match (said(FORWARDED, forwarded), said(X_FORWARDED_FOR, address)) {
        (Some(one), Some(other)) if one != other => peer,
        (Some(source), _) | (None, Some(source)) => source,
        (None, None) => peer,
    }
}

/// The first address from the right that is no proxy of ours. What can't be read ends the look.
fn look_through(peer: IpAddr, hops: &[&str], hop: fn(&str) -> Option<IpAddr>, trusted: &Networks) -> IpAddr {
    let mut source = peer;
    for said in hops.iter().rev().take(MOST_PROXIES) {
        let Some(address) = hop(said) else { break };
        source = address;
        if !trusted.contains(source) {
            break;
        }
    }
    source
}

/// The elements of a list that may be spread over several headers.
fn hops<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Vec<&'a str> {
    let mut hops = Vec::new();
    for value in headers.get_all(name) {
        let line = value.as_bytes();
        let parts = if *name == FORWARDED {
            elements(line)
        } else {
            line.split(|byte| *byte == b',').collect()
        };
        // What is no text can't be read; what our proxy adds behind it can.
        hops.extend(parts.into_iter().map(|part| str::from_utf8(part).unwrap_or_default()));
    }
    hops
}

/// The elements of one `Forwarded`: a comma within quotes divides nothing, and a quote behind a backslash ends none.
///
/// Where quotes do not end, a stranger may have begun them so that what our proxy adds looks like a part of them: then
/// the last element is one that can't be read.
fn elements(line: &[u8]) -> Vec<&[u8]> {
    let (mut is_quoted, mut is_escaped) = (false, false);
    let mut elements: Vec<_> = line
        .split(|byte| {
            let was_escaped = std::mem::take(&mut is_escaped);
            match byte {
                _ if was_escaped => false,
                b'\\' => {
                    is_escaped = is_quoted;
                    false
                }
                b'"' => {
                    is_quoted = !is_quoted;
                    false
                }
                b',' => !is_quoted,
                _ => false,
            }
        })
        .collect();
    if is_quoted {
        elements.push(b"");
    }
    elements
}

/// The `for` of one element of `Forwarded`.
fn forwarded(element: &str) -> Option<IpAddr> {
    let mut pairs = element.split(';').filter_map(|pair| pair.split_once('='));
    let (_, node) = pairs.find(|(name, _)| name.trim().eq_ignore_ascii_case("for"))?;
    address(node.trim().trim_matches('"'))
}

/// An address, with or without a port; one of IPv6 may stand in brackets.
fn address(text: &str) -> Option<IpAddr> {
    let text = text.trim();
    let bare = text
        .strip_prefix('[')
        .and_then(|text| text.strip_suffix(']'))
        .unwrap_or(text);
    let address = bare.parse::<IpAddr>();
    let address = address.or_else(|_| text.parse::<SocketAddr>().map(|address| address.ip()));
    address.ok().map(|address| address.to_canonical())
}

#[cfg(test)]
mod tests {
    use actix_web::http::header::HeaderValue;

    use super::*;

    fn seen(peer: &str, headers: &[(HeaderName, &str)]) -> String {
        let bytes = headers.iter().map(|(name, value)| (name.clone(), value.as_bytes()));
        seen_in_bytes(peer, &bytes.collect::<Vec<_>>())
    }

    fn seen_in_bytes(peer: &str, headers: &[(HeaderName, &[u8])]) -> String {
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.append(name.clone(), HeaderValue::from_bytes(value).unwrap());
        }
        let trusted = Networks::parse("10.0.0.0/8,2001:db8:1::/48").unwrap();
        of(peer.parse().unwrap(), &map, &trusted).to_string()
    }

    #[test]
    fn who_is_no_proxy_of_ours_says_nothing_of_itself() {
        let says = [(X_FORWARDED_FOR, "198.51.100.1"), (FORWARDED, "for=198.51.100.1")];
        assert_eq!(seen("203.0.113.7", &says), "203.0.113.7");
        assert_eq!(seen("10.0.0.1", &[]), "10.0.0.1");
    }

    #[test]
    fn the_list_is_read_from_the_right_through_our_proxies() {
        for (list, source) in [
            ("198.51.100.1", "198.51.100.1"),
            ("6.6.6.6, 198.51.100.1", "198.51.100.1"),
            ("6.6.6.6, 198.51.100.1, 10.0.0.2", "198.51.100.1"),
            ("6.6.6.6, 198.51.100.1:4711, 2001:db8:1::2", "198.51.100.1"),
            ("10.0.0.3, 10.0.0.2", "10.0.0.3"),
            ("6.6.6.6, nobody, 10.0.0.2", "10.0.0.2"),
            ("6.6.6.6,", "10.0.0.1"),
            ("\", 198.51.100.1", "198.51.100.1"),
            ("6.6.6.6, [2001:db8:2::1]:443", "2001:db8:2::1"),
            ("::ffff:198.51.100.1", "198.51.100.1"),
        ] {
            assert_eq!(seen("10.0.0.1", &[(X_FORWARDED_FOR, list)]), source, "{list}");
        }
        let twice = [(X_FORWARDED_FOR, "6.6.6.6"), (X_FORWARDED_FOR, "198.51.100.1")];
        assert_eq!(seen("10.0.0.1", &twice), "198.51.100.1");
    }

    #[test]
    fn forwarded_is_read_as_its_rfc_has_it() {
        for (list, source) in [
            ("for=198.51.100.1", "198.51.100.1"),
            (
                "for=6.6.6.6, FOR = \"198.51.100.1:80\";proto=https;by=10.0.0.1",
                "198.51.100.1",
            ),
            (
                "for=6.6.6.6, proto=https;for=\"[2001:db8:2::1]:4711\", for=10.0.0.2",
                "2001:db8:2::1",
            ),
            ("for=6.6.6.6, for=\"x,198.51.100.1\"", "10.0.0.1"),
            ("for=6.6.6.6, for=unknown", "10.0.0.1"),
            ("for=6.6.6.6, for=_hidden, for=10.0.0.2", "10.0.0.2"),
            ("for=6.6.6.6, proto=https", "10.0.0.1"),
            // What a stranger began so that what our proxy adds would be part of it.
            ("for=6.6.6.6;x=\"\\\"\", for=198.51.100.1", "198.51.100.1"),
            ("for=6.6.6.6;x=\", for=198.51.100.1", "10.0.0.1"),
            ("for=6.6.6.6;x=\", for=\"[2001:db8:2::1]:4711\"", "10.0.0.1"),
            ("for=6.6.6.6;x=\"\\, for=198.51.100.1", "10.0.0.1"),
        ] {
            assert_eq!(seen("10.0.0.1", &[(FORWARDED, list)]), source, "{list}");
        }
    }

    #[test]
    fn an_element_that_is_no_text_spoils_no_other() {
        let lists: [(HeaderName, &[u8], &str); 8] = [
            (X_FORWARDED_FOR, b"\xe9, 198.51.100.1", "198.51.100.1"),
            (X_FORWARDED_FOR, b"\xe9, 198.51.100.1, 10.0.0.2", "198.51.100.1"),
            (X_FORWARDED_FOR, b"6.6.6.6, \xe9, 10.0.0.2", "10.0.0.2"),
            (X_FORWARDED_FOR, b"6.6.6.6, 198.51.100.1\xe9", "10.0.0.1"),
            (FORWARDED, b"for=\xe9, for=198.51.100.1", "198.51.100.1"),
            (FORWARDED, b"x=\"\xe9,\\\xe9\", for=198.51.100.1", "198.51.100.1"),
            (FORWARDED, b"for=6.6.6.6;x=\"\xe9, for=198.51.100.1", "10.0.0.1"),
            (FORWARDED, b"for=6.6.6.6, for=198.51.100.1;x=\xe9", "10.0.0.1"),
        ];
        for (name, list, source) in lists {
            let shown = list.escape_ascii();
            assert_eq!(seen_in_bytes("10.0.0.1", &[(name, list)]), source, "{shown}");
        }
    }

    #[test]
    fn two_headers_that_differ_are_not_believed() {
        let differ = [(X_FORWARDED_FOR, "198.51.100.1"), (FORWARDED, "for=6.6.6.6")];
        assert_eq!(seen("10.0.0.1", &differ), "10.0.0.1");
        let same = [(X_FORWARDED_FOR, "198.51.100.1"), (FORWARDED, "for=198.51.100.1")];
        assert_eq!(seen("10.0.0.1", &same), "198.51.100.1");
    }
}
