//! A name made fit for a subject line.

/// Longest name that a mail shows, in characters; longer ones are cut.
const MAX_NAME: usize = 100;

/// A name that can stand on one line of a header or a text: no control characters, no line breaks, no runs of spaces, and
/// not longer than [`MAX_NAME`].
pub(super) fn one_line(name: &str) -> String {
    let visible = |c: char| !c.is_control() && !matches!(c, '\u{2028}' | '\u{2029}');
    let spaced: String = name.chars().map(|c| if visible(c) { c } else { ' ' }).collect();
    let words: Vec<&str> = spaced.split_whitespace().collect();
    words.join(" ").chars().take(MAX_NAME).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn line_breaks_and_controls_become_spaces() {
        assert_eq!(one_line("Ann\r\nBcc: x@y.z\u{0}\u{2028}!"), "Ann Bcc: x@y.z !");
        assert_eq!(one_line("  Ann   Lee "), "Ann Lee");
    }

    #[test]
    fn a_name_is_cut_between_characters() {
        assert_eq!(one_line(&"王".repeat(200)).chars().count(), MAX_NAME);
    }
}
