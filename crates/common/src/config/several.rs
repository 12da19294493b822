//! Several hosts in one URL, as `store.url` has its sentinels: `amqp://me:word@one:5672,two:5672/vhost`.

/// Writes one URL for each host, with commas between: each has the scheme, user, path and parameters that stand around all
/// hosts.
///
/// A URL begins where a scheme does, so several whole URLs with commas between stay what they are. So does what can't be
/// taken apart: whoever reads the addresses refuses it.
pub(super) fn a_url_a_host(urls: &str) -> String {
    let mut groups: Vec<Vec<&str>> = Vec::new();
    for part in urls.split(',').map(str::trim) {
        match groups.last_mut() {
            Some(group) if !part.contains("://") => group.push(part),
            _ => groups.push(vec![part]),
        }
    }
    let urls = groups
        .iter()
        .map(|group| apart(group).unwrap_or_else(|| group.join(",")));
    urls.collect::<Vec<_>>().join(",")
}

/// One URL for each of its hosts; `None` where it has but one, or is none.
fn apart(parts: &[&str]) -> Option<String> {
    let [first, between @ .., last] = parts else {
        return None;
    };
    let (scheme, authority) = first.split_once("://")?;
    // User and password stand once, in front of the first host; a comma in a password is written %2C.
    let (user, first) = match authority.rsplit_once('@') {
        Some((user, host)) => (format!("{user}@"), host),
        None => (String::new(), authority),
    };
    let (last, end) = last.split_at(last.find(['/', '?', '#']).unwrap_or(last.len()));
    let hosts: Vec<&str> = [first]
        .into_iter()
        .chain(between.iter().copied())
        .chain([last])
        .collect();
    let is_host = |host: &&str| !host.is_empty() && !host.contains(['/', '?', '#', '@']);
    // A password with a comma and one of these signs would be taken for hosts and a path, and hosts are shown in messages.
    let is_whole = !user.contains(['/', '?', '#']) && !end.contains(['@', '#']);
    let urls = hosts.iter().map(|host| format!("{scheme}://{user}{host}{end}"));
    (hosts.iter().all(is_host) && is_whole).then(|| urls.collect::<Vec<_>>().join(","))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_host_gets_what_stands_around_all_of_them() {
        for (given, written) in [
            (
                "amqp://me:w%2Crd@one:5672, two ,[2001:db8::1]:5674/%2f?heartbeat=5",
                "amqp://me:w%2Crd@one:5672/%2f?heartbeat=5,amqp://me:w%2Crd@two/%2f?heartbeat=5,amqp://me:w%2Crd@[2001:db8::1]:5674/%2f?heartbeat=5",
            ),
            ("amqps://one,two", "amqps://one,amqps://two"),
            ("amqp://a@one,two?x=1", "amqp://a@one?x=1,amqp://a@two?x=1"),
            (
                "amqp://a:b@one:5672/%2f, amqps://two,three/v",
                "amqp://a:b@one:5672/%2f,amqps://two/v,amqps://three/v",
            ),
            ("amqp://a:b@one/%2f", "amqp://a:b@one/%2f"),
            ("", ""),
        ] {
            assert_eq!(a_url_a_host(given), written);
            assert_eq!(a_url_a_host(written), written, "once is enough");
        }
    }

    #[test]
    fn what_is_no_list_of_hosts_stays_for_its_reader_to_refuse() {
        for url in [
            "amqp://one/%2f,two",
            "amqp://one,two/%2f,three",
            "amqp://one,,two",
            "amqp://one,",
            "amqp://me:pa,ss@one",
            "amqp://me:a@one,me:a@two",
            "amqp://me:12,pa/ss@one/%2f",
            "amqp://me:12,pa?ss@one/%2f",
            "amqp://me:12,pa#ss@one/%2f",
            "amqp://me:12#pa,ss",
            "amqp://me:1,2#pa",
            "amqp://me:12?pa@one,two",
            "one,two",
        ] {
            assert_eq!(a_url_a_host(url), url);
        }
    }
}
