//! The templates of the page: what is put into one is escaped, and what it misses is an error.

use actix_web::HttpResponse;
use minijinja::{
    AutoEscape, Environment, Error, HtmlEscape, Output, State, UndefinedBehavior, Value, escape_formatter,
};

/// All templates, parsed.
pub(super) struct Html(Environment<'static>);

macro_rules! sources {
    ($($name:literal),+ $(,)?) => {
        [$(($name, include_str!(concat!("../../templates/", $name)))),+]
    };
}

impl Html {
    pub(super) fn new() -> Result<Self, Error> {
        let mut environment = Environment::new();
        environment.set_undefined_behavior(UndefinedBehavior::Strict);
        environment.set_formatter(escaped);
        for (name, source) in sources!["frame.html", "overview.html", "mail.html", "trace.html"] {
            environment.add_template(name, source)?;
        }
        Ok(Self(environment))
    }

    /// Answers with a template's page, or with 500 when it can't be made.
    pub(super) fn page(&self, template: &str, content: Value) -> HttpResponse {
        match self.render(template, content) {
            Ok(page) => HttpResponse::Ok().content_type("text/html; charset=utf-8").body(page),
            Err(error) => {
                tracing::error!(template, %error, "a page can't be made");
                HttpResponse::InternalServerError().body("This page can't be made; the log says why.")
            }
        }
    }

    fn render(&self, template: &str, content: Value) -> Result<String, Error> {
        self.0.get_template(template)?.render(content)
    }
}

/// Escapes as minijinja does, except slashes. A slash is harmless in a text and between quotes, and people who read these
/// pages with curl want it plain.
fn escaped(out: &mut Output<'_>, state: &State<'_, '_>, value: &Value) -> Result<(), Error> {
    match value.as_str() {
        Some(text) if matches!(state.auto_escape(), AutoEscape::Html) && !value.is_safe() => {
            // An `&#x2f;` of the text itself has become `&amp;#x2f;`, so only escaped slashes are turned back.
            let text = HtmlEscape(text).to_string().replace("&#x2f;", "/");
            Ok(out.write_str(&text)?)
        }
        _ => escape_formatter(out, state, value),
    }
}

#[cfg(test)]
mod tests {
    use minijinja::context;

    use super::*;

    const BAD: &str = r#"</pre><script>"'&#x2f;"#;
    const HARMLESS: &str = "&lt;/pre&gt;&lt;script&gt;&quot;&#x27;&amp;#x2f;";

    #[test]
    fn whatever_a_page_shows_is_escaped() {
        let html = Html::new().unwrap();
        let mail = context! { to => BAD, name => BAD, subject => BAD };
        let root = context! { name => BAD, duration_us => 1999, trace_id => BAD };
        for (template, content, times) in [
            (
                "overview.html",
                context! { title => BAD, mails => [mail], roots => [root] },
                8,
            ),
            (
                "mail.html",
                context! { title => BAD, headers => BAD, page => BAD, text => BAD },
                5,
            ),
            ("trace.html", context! { title => BAD, tree => BAD }, 3),
        ] {
            let page = html.render(template, content).unwrap();
            assert_eq!(page.matches(HARMLESS).count(), times, "{page}");
            assert!(!page.contains(BAD) && !page.contains("<script"), "{page}");
        }
    }

    #[test]
    fn a_page_that_misses_something_is_not_made() {
        let html = Html::new().unwrap();
        assert!(html.render("trace.html", context! { title => "Trace" }).is_err());
        let answer = html.page("trace.html", context! { title => "Trace" });
        assert_eq!(answer.status(), 500);
    }

    #[test]
    fn a_trace_begins_where_the_text_does() {
        let html = Html::new().unwrap();
        let page = html.render("trace.html", context! { title => "Trace", tree => "0.0 ms GET /x" });
        assert!(page.unwrap().contains("<pre>0.0 ms GET /x</pre>"));
    }
}
