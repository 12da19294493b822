//! The mails of the mail folder.

use std::path::Path;

use actix_web::web::{self, Data, Json};
use actix_web::{HttpResponse, Responder};
use mail_parser::MessageParser;
use minijinja::context;
use serde::{Deserialize, Serialize};

use super::shown::Shown;

/// Most mails that are shown, the newest first.
const SHOWN: usize = 200;

/// One mail of the folder, without its text.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mail {
    /// File name in the folder.
    pub name: String,
    /// Address in `To`.
    pub to: String,
    /// Subject.
    pub subject: String,
    /// Microseconds since the epoch when the file was written.
    pub written_us: u64,
}

pub(super) async fn list_json(shown: Data<Shown>) -> impl Responder {
    Json(read_all(shown).await)
}

pub(super) async fn list(shown: Data<Shown>) -> HttpResponse {
    let roots = shown.spans.as_ref().map(|spans| spans.roots(20)).unwrap_or_default();
    let mails = read_all(shown.clone()).await;
    let title = "Waypost, development";
    shown.html.page("overview.html", context! { title, mails, roots })
}

pub(super) async fn show(shown: Data<Shown>, name: web::Path<String>) -> HttpResponse {
    let known = name
        .bytes()
        .all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte));
    let file = shown
        .mails
        .as_ref()
        .filter(|_| known && is_mail(&name))
        .map(|folder| folder.join(name.as_str()));
    let bytes = web::block(move || file.and_then(|file| std::fs::read(file).ok())).await;
    let Ok(Some(bytes)) = bytes else {
        return HttpResponse::NotFound().body("There is no such mail.");
    };
    let Some(mail) = MessageParser::default().parse(&bytes) else {
        return HttpResponse::Ok().content_type("text/plain; charset=utf-8").body(bytes);
    };
    let text = mail.body_text(0).unwrap_or_default();
    let page = mail.body_html(0).unwrap_or_default();
    let headers = mail
        .headers_raw()
        .fold(String::new(), |text, (name, value)| text + name + ":" + value);
    let title = mail.subject().unwrap_or("Mail");
    shown.html.page("mail.html", context! { title, headers, page, text })
}

async fn read_all(shown: Data<Shown>) -> Vec<Mail> {
    web::block(move || shown.mails.as_deref().map(read_folder).unwrap_or_default())
        .await
        .unwrap_or_default()
}

fn read_folder(folder: &Path) -> Vec<Mail> {
    let Ok(entries) = std::fs::read_dir(folder) else {
        return Vec::new();
    };
    let mut files: Vec<_> = entries
        .flatten()
        .filter(|entry| is_mail(&entry.file_name().to_string_lossy()))
        .filter_map(|entry| Some((entry.metadata().ok()?.modified().ok()?, entry)))
        .collect();
    files.sort_by_key(|(written, _)| std::cmp::Reverse(*written));
    files
        .into_iter()
        .take(SHOWN)
        .filter_map(|(written, entry)| {
            let bytes = std::fs::read(entry.path()).ok()?;
            let mail = MessageParser::default().parse_headers(&bytes)?;
            let to = mail
                .to()
                .and_then(|to| to.first())
                .and_then(|to| to.address())
                .unwrap_or_default();
            Some(Mail {
                name: entry.file_name().to_string_lossy().into_owned(),
                to: to.to_owned(),
                subject: mail.subject().unwrap_or_default().to_owned(),
                written_us: written
                    .duration_since(std::time::UNIX_EPOCH)
                    .ok()
                    .and_then(|since| u64::try_from(since.as_micros()).ok())
                    .unwrap_or_default(),
            })
        })
        .collect()
}

fn is_mail(name: &str) -> bool {
    Path::new(name).extension().is_some_and(|extension| extension == "eml")
}
