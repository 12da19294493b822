//! The section `mail`, as far as this service reads it; the development page reads the rest.

use common::config::{OwnSettings, Review, Service, SettingsOf, leads_elsewhere, parameter};
use secrecy::ExposeSecret;
use serde::Deserialize;
use url::Url;

use super::MailUrl;

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
        match &self.mail.url {
            MailUrl::Folder(_) => review.serves_development(
                "mail.url",
                "mails go into a folder, and nobody gets them; name a mail server, such as smtps://user:password@mail.example.com",
            ),
            MailUrl::Server(url) if leads_elsewhere(url.expose_secret(), is_open) => review.goes_in_clear(
                "mail.url",
                "the password goes in clear text; add ?tls=required, or use smtps://",
            ),
            MailUrl::Server(_) | MailUrl::Unknown => {}
        }
    }
}

fn is_open(url: &Url) -> bool {
    let tls = parameter(url, "tls");
    url.scheme() == "smtp" && url.password().is_some() && tls.as_deref() != Some("required")
}

#[cfg(test)]
mod tests {
    use super::*;

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
