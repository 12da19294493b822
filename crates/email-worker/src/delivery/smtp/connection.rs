//! One connection to the mail server: commands and their replies.

use std::fmt::Display;

use lettre::transport::smtp::Error;
use lettre::transport::smtp::authentication::{Credentials, DEFAULT_MECHANISMS};
use lettre::transport::smtp::client::{AsyncSmtpConnection, AsyncTokioStream, TlsParameters};
use lettre::transport::smtp::extension::{ClientId, Extension};

use super::failure::Failure;
use super::stream::Allowance;
use super::verdict::Stage;

/// A connection that was greeted. No step has a deadline here: the caller sets it.
pub(super) struct Connection {
    smtp: AsyncSmtpConnection,
    allowance: Allowance,
}

impl Connection {
    /// Greeting and EHLO. The stream draws from the allowance.
    pub(super) async fn open(
        stream: Box<dyn AsyncTokioStream>,
        allowance: Allowance,
        hello: &ClientId,
    ) -> Result<Self, Failure> {
        allowance.renew();
        let opened = AsyncSmtpConnection::connect_with_transport(stream, hello).await;
        let smtp = checked(Stage::Connect, opened, &allowance)?;
        Ok(Self { smtp, allowance })
    }

    pub(super) fn offers_tls(&self) -> bool {
        self.smtp.can_starttls()
    }

    pub(super) fn takes_international_addresses(&self) -> bool {
        self.smtp.server_info().supports_feature(Extension::SmtpUtfEight)
    }

    /// STARTTLS, and EHLO again.
    pub(super) async fn encrypt(&mut self, parameters: TlsParameters, hello: &ClientId) -> Result<(), Failure> {
        self.allowance.renew();
        let encrypted = self.smtp.starttls(parameters, hello).await;
        checked(Stage::Connect, encrypted, &self.allowance)
    }

    /// AUTH.
    pub(super) async fn sign_in(&mut self, credentials: &Credentials) -> Result<(), Failure> {
        self.allowance.renew();
        let signed_in = self.smtp.auth(DEFAULT_MECHANISMS, credentials).await;
        checked(Stage::Login, signed_in, &self.allowance).map(drop)
    }

    /// A command and its reply.
    pub(super) async fn say(&mut self, stage: Stage, command: impl Display) -> Result<(), Failure> {
        self.allowance.renew();
        let reply = self.smtp.command(command).await;
        checked(stage, reply, &self.allowance).map(drop)
    }

    /// Sends the text and its end; gives back the server's reply.
    pub(super) async fn text(&mut self, text: &[u8]) -> Result<String, Failure> {
        self.allowance.renew();
        let reply = self.smtp.message(text).await;
        let reply = checked(Stage::Text, reply, &self.allowance)?;
        let words: Vec<_> = reply.message().collect();
        Ok(format!("{} {}", reply.code(), words.join("\n")))
    }
}

fn checked<T>(stage: Stage, done: Result<T, Error>, allowance: &Allowance) -> Result<T, Failure> {
    done.map_err(|error| {
        if error.status().is_none() && allowance.is_used_up() {
            return Failure::broken(stage, "a reply without an end");
        }
        Failure::of(stage, &error)
    })
}
