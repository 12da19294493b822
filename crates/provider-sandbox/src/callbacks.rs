//! Twilio's status callbacks: tells an address that a message's sender gave what became of the message.
//!
//! `sent`, then `delivered` or, by a fault, `undelivered`. Bounded in number and in time, and ended with the sandbox.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, Mac};
use reqwest::redirect::Policy;
use reqwest::{Client, StatusCode, Url};
use sha1::Sha1;
use tokio::runtime::Handle;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::faults::Callback;

/// Messages at a time of which something is still to be told; more are taken, and nothing is told of them.
const MOST_MESSAGES: usize = 1_000;
/// Before each callback, so that the answer to the message comes first, and before each further try.
const PAUSE: Duration = Duration::from_millis(100);
/// One try has so long.
const TRY: Duration = Duration::from_secs(2);
/// Tries of one callback, the first included. An answer below 500 ends them, whatever it says.
const TRIES: u32 = 3;
/// Twilio's code for a message that did not arrive: the handset can't be reached.
const UNREACHABLE: &str = "30003";

/// A message that was taken, and who wants to know what becomes of it.
pub(crate) struct Message {
    /// As its sender wrote it: it is signed so.
    pub(crate) callback_url: String,
    /// What it is signed with; none when the sender had none.
    pub(crate) token: Option<String>,
    pub(crate) account: String,
    pub(crate) sid: String,
    pub(crate) from: String,
    pub(crate) to: String,
}

/// Tells what becomes of messages.
pub(crate) struct Callbacks {
    client: Client,
    places: Arc<Semaphore>,
    tasks: TaskTracker,
    runtime: Handle,
    stopping: CancellationToken,
}

impl Callbacks {
    /// Begins with no messages. The callbacks run on the tokio runtime that this is called in.
    pub(crate) fn new(stopping: CancellationToken) -> io::Result<Self> {
        let client = Client::builder()
            .redirect(Policy::none())
            .no_proxy()
            .timeout(TRY)
            .user_agent("provider-sandbox")
            .build()
            .map_err(io::Error::other)?;
        Ok(Self {
            client,
            places: Arc::new(Semaphore::new(MOST_MESSAGES)),
            tasks: TaskTracker::new(),
            runtime: Handle::current(),
            stopping,
        })
    }

    /// Begins to tell what becomes of `message`; does nothing where too many messages wait, or the fault wants silence.
    pub(crate) fn follow(&self, message: Message, callback: Callback) {
        let outcome = match callback {
            Callback::Delivered => Status::Delivered,
            Callback::Undelivered => Status::Undelivered,
            Callback::None => return,
        };
        let Ok(place) = Arc::clone(&self.places).try_acquire_owned() else {
            tracing::warn!("too many messages wait for their status callbacks: nothing is told of this one");
            return;
        };
        let (client, stopping) = (self.client.clone(), self.stopping.clone());
        let work = async move {
            tokio::select! {
                () = stopping.cancelled() => {}
                () = message.tell(&client, outcome) => {}
            }
            drop(place);
        };
        self.tasks.spawn_on(work, &self.runtime);
    }

    /// Waits until all callbacks have ended. They end at once when the sandbox stops.
    pub(crate) async fn finished(&self) {
        self.tasks.close();
        self.tasks.wait().await;
    }
}

#[derive(Clone, Copy)]
enum Status {
    Sent,
    Delivered,
    Undelivered,
}

impl Status {
    fn name(self) -> &'static str {
        match self {
            Self::Sent => "sent",
            Self::Delivered => "delivered",
            Self::Undelivered => "undelivered",
        }
    }
}

impl Message {
    async fn tell(self, client: &Client, outcome: Status) {
        for status in [Status::Sent, outcome] {
            tokio::time::sleep(PAUSE).await;
            let form = self.form(status);
            for number in 1..=TRIES {
                match self.call(client, &form).await {
                    Ok(status) if !status.is_server_error() => break,
                    Ok(answer) => tracing::warn!(%answer, number, "a status callback was not taken"),
                    Err(error) => {
                        tracing::warn!(error = %error.without_url(), number, "a status callback was not taken");
                    }
                }
                tokio::time::sleep(PAUSE).await;
            }
        }
    }

    async fn call(&self, client: &Client, form: &[(&str, &str)]) -> reqwest::Result<StatusCode> {
        let mut request = client.post(&self.callback_url).form(form);
        if let Some(token) = &self.token {
            request = request.header("X-Twilio-Signature", signature(token, &self.callback_url, form));
        }
        Ok(request.send().await?.status())
    }

    fn form(&self, status: Status) -> Vec<(&'static str, &str)> {
        let mut form = vec![
            ("MessageSid", self.sid.as_str()),
            ("MessageStatus", status.name()),
            ("AccountSid", &self.account),
            ("From", &self.from),
            ("To", &self.to),
            ("ApiVersion", "2010-04-01"),
        ];
        if let Status::Undelivered = status {
            form.push(("ErrorCode", UNREACHABLE));
        }
        form
    }
}

/// Whether callbacks can go to this URL: `http` and `https` alone.
pub(crate) fn is_address(url: &str) -> bool {
    Url::parse(url).is_ok_and(|url| matches!(url.scheme(), "http" | "https"))
}

/// Twilio's signature: HMAC-SHA1, by the account's token, of the address and of the form's names and values in the order of the names.
fn signature(token: &str, url: &str, form: &[(&str, &str)]) -> String {
    let mut sorted = form.to_vec();
    sorted.sort_unstable();
    // This never fails: HMAC takes a key of any length.
    let Ok(mut mac) = Hmac::<Sha1>::new_from_slice(token.as_bytes()) else {
        return String::new();
    };
    mac.update(url.as_bytes());
    for (name, value) in sorted {
        mac.update(name.as_bytes());
        mac.update(value.as_bytes());
    }
    STANDARD.encode(mac.finalize().into_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_signature_is_that_of_twilio_s_own_example() {
        let form = [
            ("Digits", "1234"),
            ("To", "+18005551212"),
            ("From", "+14158675309"),
            ("Caller", "+14158675309"),
            ("CallSid", "CA1234567890ABCDE"),
        ];
        let url = "https://mycompany.com/myapp.php?foo=1&bar=2";
        assert_eq!(signature("12345", url, &form), "RSOYDt4T1cUTdK1PDd93/VVr8B8=");
    }

    #[test]
    fn only_addresses_of_the_web_are_told() {
        assert!(is_address("http://127.0.0.1:8081/v1/callbacks/sms?x=1") && is_address("https://example.com"));
        for none in [
            "",
            "x",
            "/path",
            "ftp://example.com",
            "mailto:a@example.com",
            "file:///etc/passwd",
        ] {
            assert!(!is_address(none), "{none}");
        }
    }
}
