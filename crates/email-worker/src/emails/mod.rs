//! What mails say: templates in the person's language, and the message made of them.
//!
//! Templates are compiled in, from `templates/<mail>/<locale>.{subject,txt,html}`; HTML escapes what it is
//! given. Nothing here talks to a mail server or to the database.

mod compose;
mod template;
mod text;

pub(crate) use compose::{ComposeError, Content, Emails, Header};
pub(crate) use template::Template;
