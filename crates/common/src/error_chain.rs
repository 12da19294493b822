//! Tells an error with all its causes on one line, for logs and for a process's last words.
//!
//! It stands below everything else, so that the log lines can be made with it too.

use std::error::Error;
use std::fmt::Write as _;

/// An error and all its causes, the outermost first, with `: ` between. A cause that the text before already ends with is
/// not repeated. Line breaks inside of a text stay.
pub fn chain(error: &(dyn Error + 'static)) -> String {
    let mut line = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let text = error.to_string();
        if !line.ends_with(&text) {
            let _ = write!(line, ": {text}");
        }
        cause = error.source();
    }
    line
}
