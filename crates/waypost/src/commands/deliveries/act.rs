//! `waypost deliveries retry-now`, `cancel`, `resend`: of the deliveries that are named by id, or meant by a filter.

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use uuid::Uuid;

use super::arguments::Act;
use super::list::PATH;
use crate::commands::output::{complain, of_service, say};
use crate::operations::{Port, Trouble};

/// What is done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Deed {
    RetryNow,
    Cancel,
    Resend,
}

impl Deed {
    const fn path(self) -> &'static str {
        match self {
            Self::RetryNow => "retry-now",
            Self::Cancel => "cancel",
            Self::Resend => "resend",
        }
    }

    /// The status that is meant where a filter names none. What a provider accepted is sent again only on request.
    const fn usual(self) -> &'static str {
        match self {
            Self::RetryNow | Self::Cancel => "pending",
            Self::Resend => "failed",
        }
    }

    const fn told(self) -> &'static str {
        match self {
            Self::RetryNow => "due at once",
            Self::Cancel => "cancelled",
            Self::Resend => "sent once more",
        }
    }
}

/// Does it; false when a named delivery is nowhere or does not allow it, a service can't be asked, or none answers.
pub(super) async fn act(deed: Deed, wanted: &Act) -> anyhow::Result<bool> {
    let ports = wanted.asked.senders()?;
    if wanted.ids.is_empty() {
        return Ok(by_filter(deed, wanted, &ports).await);
    }
    let mut is_well = true;
    for id in &wanted.ids {
        is_well &= by_id(deed, wanted, (&ports, *id)).await;
    }
    Ok(is_well)
}

/// Asks one service after the other until one has the delivery; false when none does it.
async fn by_id(deed: Deed, wanted: &Act, (ports, id): (&[Port], Uuid)) -> bool {
    let mut is_well = true;
    for port in ports {
        match post(port, &[&id.to_string(), deed.path()], wanted, json!({})).await {
            Ok(answer) => {
                tell(deed, wanted, port, &with_id(id, answer));
                return true;
            }
            Err(Trouble::Refused { status, .. }) if status == StatusCode::NOT_FOUND => {}
            Err(trouble) => {
                is_well = false;
                complain(&format!("{id}: {} {trouble}", port.name));
            }
        }
    }
    if is_well {
        complain(&format!("no service that answers has a delivery {id}"));
    }
    false
}

/// Does it to all that a filter means, in each service; false when one refuses or fails, or none answers.
async fn by_filter(deed: Deed, wanted: &Act, ports: &[Port]) -> bool {
    let (mut is_answered, mut is_well) = (false, true);
    for port in ports {
        let done = if deed == Deed::RetryNow {
            all_at_once(wanted, port).await
        } else {
            one_by_one(deed, wanted, port).await
        };
        match done {
            Ok(is_done) => {
                is_answered = true;
                is_well &= is_done;
            }
            Err(trouble) => {
                is_well = false;
                complain(&format!("{} {trouble}", port.name));
            }
        }
    }
    is_answered && is_well
}

async fn all_at_once(wanted: &Act, port: &Port) -> Result<bool, Trouble> {
    let answer = post(port, &["retry-now"], wanted, json!({"filter": wanted.which.filter()})).await?;
    tell(Deed::RetryNow, wanted, port, &answer);
    if answer["more"] == true {
        complain(&format!(
            "{}: there are more; the same command reaches them next",
            port.name
        ));
    }
    Ok(true)
}

/// False when one of the deliveries does not allow it: it may have been sent meanwhile.
async fn one_by_one(deed: Deed, wanted: &Act, port: &Port) -> Result<bool, Trouble> {
    let mut ids = Vec::new();
    let mut query = wanted.which.query();
    if query.iter().all(|(name, _)| *name != "status") {
        query.push(("status", deed.usual().to_owned()));
    }
    port.pages(&PATH, &query, |delivery| {
        ids.extend(delivery["id"].as_str().map(str::to_owned));
        true
    })
    .await?;
    let (mut affected, mut is_well) = (0, true);
    for id in ids {
        match post(port, &[&id, deed.path()], wanted, json!({})).await {
            Ok(_) => affected += 1,
            Err(Trouble::Refused { said, .. }) => {
                is_well = false;
                complain(&format!("{id}: {} refuses: {said}", port.name));
            }
            Err(trouble) => {
                // What was done until then stays done, so its count is shown.
                tell(deed, wanted, port, &json!({"affected": affected}));
                return Err(trouble);
            }
        }
    }
    tell(deed, wanted, port, &json!({"affected": affected}));
    Ok(is_well)
}

async fn post(port: &Port, below: &[&str], wanted: &Act, mut body: Value) -> Result<Value, Trouble> {
    body["reason"] = wanted.reason.as_str().into();
    body["dry_run"] = wanted.dry_run.into();
    let mut request = port.request(Method::POST, &[&PATH[..], below].concat()).json(&body);
    if let Some(operator) = &wanted.operator {
        request = request.header("x-operator", operator.as_bytes());
    }
    port.send(request).await
}

fn with_id(id: Uuid, mut answer: Value) -> Value {
    answer["id"] = id.to_string().into();
    answer
}

fn tell(deed: Deed, wanted: &Act, port: &Port, answer: &Value) {
    if wanted.asked.json {
        let mut answer = answer.clone();
        answer["action"] = deed.path().into();
        answer["dry_run"] = wanted.dry_run.into();
        return say(&of_service(&port.name, &answer));
    }
    let would = if wanted.dry_run { "would be " } else { "" };
    let copy = answer["delivery_id"].as_str().map(|id| format!(", as {id}"));
    let (affected, told) = (&answer["affected"], deed.told());
    say(&format!(
        "{}: {affected} {would}{told}{}",
        port.name,
        copy.unwrap_or_default()
    ));
}
