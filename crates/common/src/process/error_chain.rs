use std::error::Error;
use std::fmt::Write as _;

/// An error and all its causes on one line, the outermost first.
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
