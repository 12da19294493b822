//! The notification that a new person gets.

use common::autolink::may_become_link;
use contracts::Language;
use serde_json::json;

use super::notify::Content;
use crate::tables::recipients;

/// Welcomes a person in their language, or in English when there is no text in theirs. Outside of the product a name that
/// may become a link is left out: whoever signed up may have given the number of somebody else.
pub(crate) fn welcome(recipient: &recipients::Model) -> Content {
    let (greeting, comma, body) = match Language::of(&recipient.locale) {
        Language::Zh => ("欢迎", "，", "您的账户已准备就绪。"),
        Language::En => ("Welcome", ", ", "Your account is ready."),
    };
    let title = [greeting, comma, &recipient.name].concat();
    let outside = if may_become_link(&recipient.name) {
        greeting
    } else {
        title.as_str()
    };
    Content {
        kind: "welcome",
        category: "account",
        text_outside: format!("{outside}. {body}"),
        title,
        body: body.to_owned(),
        data: json!({}),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn to(name: &str, locale: &str) -> Content {
        welcome(&recipients::Model {
            name: name.to_owned(),
            locale: locale.to_owned(),
            ..recipients::Model::ada()
        })
    }

    #[test]
    fn a_name_that_holds_a_link_stays_in_the_product() {
        let content = to("Ada", "en");
        assert_eq!(content.text_outside, "Welcome, Ada. Your account is ready.");
        assert_eq!(to("小明", "zh-CN").text_outside, "欢迎，小明. 您的账户已准备就绪。");
        assert_eq!(to("Ada", "zh-TW").text_outside, "Welcome, Ada. Your account is ready.");
        let content = to("win at evil.com", "en");
        assert_eq!(content.title, "Welcome, win at evil.com");
        assert_eq!(content.text_outside, "Welcome. Your account is ready.");
    }
}
