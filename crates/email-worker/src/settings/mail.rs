//! The section `mail`, as far as this service reads it; the development page reads the rest.

use common::config::{OwnSettings, Review, Service, SettingsOf, leads_elsewhere, parameter};
use common::tls::{Authorities, AuthoritiesError};
use lettre::message::Mailbox;
use secrecy::ExposeSecret;
use serde::Deserialize;
use url::Url;

use super::{MailUrl, SmtpAddress};

/// The settings of this service.
pub type Settings = SettingsOf<Own>;

/// The sections that this service alone reads.
#[derive(Debug, Clone, Deserialize)]
pub struct Own {
    /// Where mail goes.
    pub mail: Mail,
}

/// Where mail goes.
#[derive(Debug, Clone, Deserialize)]
#[expect(missing_docs, reason = "defaults.toml documents each key, once")]
pub struct Mail {
    pub url: MailUrl,
    pub ca_file: String,
    pub from: String,
    pub hello_name: String,
}

impl OwnSettings for Own {
    const SERVICE: Service = Service::EmailWorker;

    fn review(&self, review: &mut Review) {
        if self.mail.from.parse::<Mailbox>().is_err() {
            review.refuse("mail.from", "must be an address such as `Waypost <hello@example.org>`");
        }
        match &self.mail.url {
            MailUrl::Folder(_) => review.serves_development(
                "mail.url",
                "mails go into a folder, and nobody gets them; name a mail server, such as smtps://user:password@mail.example.com",
            ),
            MailUrl::Server(url) => look_at_server(url.expose_secret(), review),
            MailUrl::Unknown => review.refuse("mail.url", "must begin with smtp://, smtps:// or file://"),
        }
    }
}

impl Mail {
    /// Who may vouch for the mail server; `None`: those that browsers trust. Reads the file of `mail.ca_file`.
    ///
    /// # Errors
    /// [`AuthoritiesError`] when the file can't be used.
    pub fn authorities(&self) -> Result<Option<Authorities>, AuthoritiesError> {
        Authorities::read("mail.ca_file", &self.ca_file)
    }
}

fn look_at_server(url: &str, review: &mut Review) {
    if let Err(problem) = SmtpAddress::parse(url) {
        review.refuse("mail.url", problem);
    }
    if leads_elsewhere(url, is_open) {
        review.goes_in_clear(
            "mail.url",
            "the password goes in clear text; add ?tls=required, or use smtps://",
        );
    }
}

fn is_open(url: &Url) -> bool {
    let tls = parameter(url, "tls");
    url.scheme() == "smtp" && url.password().is_some() && tls.as_deref() != Some("required")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sender_or_a_server_that_can_t_be_used_is_refused_and_named() {
        for (key, value, named) in [
            ("MAIL__FROM", "nobody", "mail.from"),
            ("MAIL__URL", "imap://mail.example", "mail.url"),
            ("MAIL__URL", "smtp://", "mail.url"),
            ("MAIL__URL", "smtp://secret@mail.example", "mail.url"),
            ("MAIL__URL", "smtps://mail.example:port", "mail.url"),
        ] {
            let vars = vec![(format!("WAYPOST__{key}"), value.to_owned())];
            let refused = Settings::load_from(None, vars).unwrap_err().to_string();
            assert!(
                refused.contains(&format!("`{named}`: ")) && !refused.contains("secret"),
                "{key}={value}: {refused}"
            );
        }
    }

    fn in_clear(url: &str) -> Vec<std::borrow::Cow<'static, str>> {
        let vars = [("WAYPOST__PROFILE", "production"), ("WAYPOST__MAIL__URL", url)];
        let vars = vars.map(|(key, value)| (key.to_owned(), value.to_owned()));
        let settings = Settings::load_from(None, vars.into()).unwrap();
        settings
            .secrets_in_clear()
            .iter()
            .map(|part| part.key.clone())
            .collect()
    }

    #[test]
    fn a_password_that_others_can_read_on_the_way_is_told() {
        assert_eq!(in_clear("smtp://user:secret@mail.example"), ["mail.url"]);
        for closed in [
            "smtp://user:secret@mail.example?tls=required",
            "smtps://user:secret@mail.example",
            "smtp://user:secret@localhost",
            "smtp://mail.example",
        ] {
            assert!(in_clear(closed).is_empty(), "{closed}");
        }
    }
}
