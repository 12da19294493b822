//! The parameters of settings that are URLs (`..?tls=required`).
//!
//! The libraries behind them pass over what they do not know: with a letter wrong, what a parameter was to switch on stays
//! off, TLS for instance. So each is looked up here, and its name and the words among its values are written as the library
//! wants them.

use config::{Config, Value, ValueKind};
use strsim::levenshtein;

use super::ConfigError;
use super::several::a_url_a_host;
use super::table::below;

/// Parameters with the values that each may have; none listed: any.
type Parameters = &'static [(&'static str, &'static [&'static str])];

const POSTGRES: Parameters = &[
    (
        "sslmode",
        &["disable", "allow", "prefer", "require", "verify-ca", "verify-full"],
    ),
    ("sslrootcert", &[]),
    ("sslcert", &[]),
    ("sslkey", &[]),
    ("statement-cache-capacity", &[]),
    ("host", &[]),
    ("hostaddr", &[]),
    ("port", &[]),
    ("dbname", &[]),
    ("user", &[]),
    ("password", &[]),
    ("application_name", &[]),
    ("options", &[]),
];
const SQLITE: Parameters = &[
    ("mode", &["ro", "rw", "rwc", "memory"]),
    ("cache", &["private", "shared"]),
    ("immutable", &["true", "1", "false", "0"]),
    ("vfs", &[]),
];
const REDIS: Parameters = &[("protocol", &["2", "3", "resp2", "resp3"])];
const SENTINEL: Parameters = &[("sentinel_user", &[]), ("sentinel_password", &[])];
const AMQP: Parameters = &[
    ("heartbeat", &[]),
    ("frame_max", &[]),
    ("channel_max", &[]),
    ("connection_timeout", &[]),
    ("auth_mechanism", &["plain", "amqplain", "external", "anonymous"]),
];
const SMTP: Parameters = &[("tls", &["required", "opportunistic"])];
const NONE: Parameters = &[];

/// Other spellings that PostgreSQL's client knows. Written in one, a parameter that is given twice is found out.
const SPELLINGS: [(&str, &str); 5] = [
    ("ssl-mode", "sslmode"),
    ("ssl-root-cert", "sslrootcert"),
    ("ssl-ca", "sslrootcert"),
    ("ssl-cert", "sslcert"),
    ("ssl-key", "sslkey"),
];

/// Has the parameters of all URLs written as the libraries want them, and refuses those that would be passed over.
pub(super) fn write_parameters(merged: &mut Config) -> Result<(), ConfigError> {
    fn write(value: &mut Value, key: &str) -> Result<(), ConfigError> {
        match &mut value.kind {
            ValueKind::Table(table) => {
                let mut inner = table.iter_mut();
                inner.try_for_each(|(name, value)| write(value, &below(key, name)))
            }
            ValueKind::String(text) if key.ends_with("url") => {
                *text = written(text).map_err(|problem| ConfigError::Rule {
                    key: key.to_owned(),
                    problem,
                })?;
                Ok(())
            }
            _ => Ok(()),
        }
    }
    write(&mut merged.cache, "")
}

/// What a URL of this scheme may have; `None` when others judge that.
fn known(scheme: &str) -> Option<Parameters> {
    Some(match scheme {
        "postgres" | "postgresql" => POSTGRES,
        "sqlite" => SQLITE,
        "redis" | "rediss" => REDIS,
        "redis+sentinel" | "rediss+sentinel" => SENTINEL,
        "amqp" | "amqps" => AMQP,
        "smtp" => SMTP,
        "smtps" | "file" | "memory" => NONE,
        _ => return None,
    })
}

/// The value of a setting with the parameters as the library wants them: one URL, or one for each node of a broker.
///
/// # Errors
/// What is wrong with the first that can't be; never its value.
fn written(urls: &str) -> Result<String, String> {
    let scheme = scheme(urls.trim());
    if known(&scheme).is_none() {
        return Ok(urls.to_owned());
    }
    if !scheme.starts_with("amqp") {
        return with_known_parameters(urls.trim());
    }
    let nodes = a_url_a_host(urls);
    let written: Vec<_> = nodes.split(',').map(with_known_parameters).collect::<Result<_, _>>()?;
    Ok(written.join(","))
}

fn scheme(url: &str) -> String {
    url.split(':').next().unwrap_or_default().to_ascii_lowercase()
}

fn with_known_parameters(url: &str) -> Result<String, String> {
    let (rest, fragment) = url.split_at(url.find('#').unwrap_or(url.len()));
    let (Some((base, query)), Some(known)) = (rest.split_once('?'), known(&scheme(rest))) else {
        return Ok(url.to_owned());
    };
    let mut written: Vec<(String, String)> = Vec::new();
    for part in query.split('&').filter(|part| !part.is_empty()) {
        let (name, value) = parameter(part, known)?;
        // The library may take the last, where who looks at the settings takes the first.
        if written.iter().any(|(other, _)| *other == name) {
            return Err(format!("has `{}` twice; leave one of them out", plain(&name)));
        }
        written.push((name, value));
    }
    let written: Vec<_> = written.iter().map(|(name, value)| format!("{name}={value}")).collect();
    Ok(format!("{base}?{}{fragment}", written.join("&")))
}

/// Name and value of a parameter, as the library wants them.
fn parameter(part: &str, known: Parameters) -> Result<(String, String), String> {
    let (name, value) = part.split_once('=').unwrap_or((part, ""));
    let name = name.to_ascii_lowercase();
    let usual = SPELLINGS.iter().find(|(other, _)| *other == name);
    let name = usual.map_or(name, |(_, usual)| (*usual).to_owned());
    let Some((_, words)) = known.iter().find(|(known, _)| *known == plain(&name)) else {
        return Err(unknown(&name, known));
    };
    if words.is_empty() {
        return Ok((name, value.to_owned()));
    }
    let value = value.to_ascii_lowercase();
    if !words.contains(&value.as_str()) {
        return Err(format!(
            "has a `{name}` that it can't have: it must be {}",
            words.join(" or ")
        ));
    }
    Ok((name, value))
}

/// The name of a parameter without brackets: PostgreSQL's own settings are named one by one, as `options[search_path]`. No
/// other parameter has any.
fn plain(name: &str) -> &str {
    let setting = name.strip_prefix("options[").and_then(|rest| rest.strip_suffix(']'));
    if setting.is_some() { "options" } else { name }
}

/// What is said of a parameter that does not exist. Its name is told only where it is nearly one that does: behind a
/// question mark in a password, it would be the rest of the password.
fn unknown(name: &str, known: Parameters) -> String {
    let names: Vec<_> = known.iter().map(|(name, _)| *name).collect();
    if names.is_empty() {
        return "has parameters, and such a URL has none (a `?` in a password is written %3F)".to_owned();
    }
    let shown = if names.iter().any(|known| is_like(name, known)) {
        format!("a parameter `{name}`")
    } else {
        "a parameter".to_owned()
    };
    format!(
        "has {shown} that nobody knows; there is {} (in a password `?` is written %3F, and `&` %26)",
        names.join(", ")
    )
}

/// Whether one is the other with a letter wrong, or its letters in another order.
fn is_like(name: &str, known: &str) -> bool {
    let sorted = |text: &str| {
        let mut bytes = text.as_bytes().to_vec();
        bytes.sort_unstable();
        bytes
    };
    levenshtein(name, known) <= 1 || sorted(name) == sorted(known)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_words_are_written_as_the_libraries_want_them() {
        for (given, written) in [
            ("smtp://mail.test?TLS=Required", "smtp://mail.test?tls=required"),
            (
                "postgres://me:pA@db/x?SSLMode=VERIFY-full&sslRootCert=/Etc/CA.pem",
                "postgres://me:pA@db/x?sslmode=verify-full&sslrootcert=/Etc/CA.pem",
            ),
            (
                "postgres://db/x?options[Search_path]=a",
                "postgres://db/x?options[search_path]=a",
            ),
            (
                "postgres://db/x?options[a]=1&options[b]=1&ssl-mode=require&ssl-ca=/ca.pem",
                "postgres://db/x?options[a]=1&options[b]=1&sslmode=require&sslrootcert=/ca.pem",
            ),
            ("sqlite://w.db?mode=rwc&", "sqlite://w.db?mode=rwc"),
            (
                "rediss://r/1?protocol=RESP3#insecure",
                "rediss://r/1?protocol=resp3#insecure",
            ),
            (
                "redis+sentinel://a,b/m?sentinel_password=aB",
                "redis+sentinel://a,b/m?sentinel_password=aB",
            ),
            ("amqps://b?Heartbeat=5", "amqps://b?heartbeat=5"),
            ("smtps://me:word@mail.test", "smtps://me:word@mail.test"),
            ("https://sms.test/a?B=c", "https://sms.test/a?B=c"),
        ] {
            assert_eq!(with_known_parameters(given), Ok(written.to_owned()));
        }
    }

    #[test]
    fn what_would_be_passed_over_is_named() {
        for (url, told) in [
            ("smtp://mail.test?tsl=required", "`tsl`"),
            ("smtp://mail.test?tls", "a `tls` that"),
            ("smtp://mail.test?tls=yes", "required or opportunistic"),
            ("smtps://mail.test?tls=required", "has none"),
            ("file:///mails?x=1", "has none"),
            ("postgres://db/x?sslmod=require", "`sslmod`"),
            ("postgres://db/x?sslmode=on", "verify-full"),
            ("sqlite://w.db?mode=rwx", "a `mode` that"),
            ("redis://r?db=1", "there is protocol"),
            ("AMQPS://b?hartbeat=5", "`hartbeat`"),
            ("amqp://b?hartbeat=5", "`hartbeat`"),
            ("smtp://mail.test?tls[x]=required", "there is tls"),
            ("postgres://db/x?sslmode[x]=verify-full", "there is sslmode"),
            ("postgres://db/x?options[a=1", "there is sslmode"),
            ("amqp://b?heartbeat[x]=5", "there is heartbeat"),
        ] {
            let error = with_known_parameters(url).unwrap_err();
            assert!(error.contains(told), "{url}: {error}");
        }
    }

    #[test]
    fn what_is_given_twice_is_named_whatever_its_spelling() {
        for (url, told) in [
            ("smtp://mail.test?tls=required&TLS=opportunistic", "`tls` twice"),
            (
                "postgres://db/x?sslmode=verify-full&ssl-mode=disable",
                "`sslmode` twice",
            ),
            ("postgres://db/x?ssl-ca=/a&sslrootcert=/a", "`sslrootcert` twice"),
            ("postgres://db/x?options[secret]=1&options[secret]=2", "`options` twice"),
            ("amqp://b?heartbeat=5&heartbeat=5", "`heartbeat` twice"),
            (
                "redis+sentinel://a/m?sentinel_user=a&sentinel_user=b",
                "`sentinel_user` twice",
            ),
        ] {
            let error = with_known_parameters(url).unwrap_err();
            assert!(error.contains(told) && !error.contains("secret"), "{url}: {error}");
        }
    }

    #[test]
    fn what_may_be_the_rest_of_a_password_is_not_told() {
        for url in [
            "smtps://me:pa?secret@mail.test",
            "smtp://me:pa?secret@mail.test",
            "smtp://mail.test?tls=secret",
            "redis://:pa?secret@redis",
            "postgres://me:pa?secret@db/x",
            "postgres://db/x?password=pa&secret",
            "redis+sentinel://a/m?sentinel_password=pa&secret",
            "amqp://me:pa?secret@broker",
        ] {
            let error = with_known_parameters(url).unwrap_err();
            assert!(!error.contains("secret"), "{url}: {error}");
        }
    }
}
