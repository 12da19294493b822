//! `waypost asyncapi`: the messages between services, for those who read them too.

use std::io::Write;
use std::process::ExitCode;

use crate::asyncapi::document;

/// `waypost asyncapi`: prints the description.
pub fn asyncapi() -> ExitCode {
    // The reader may have closed the pipe, as `head` does: that is no failure.
    let _ = write!(std::io::stdout(), "{}", document());
    ExitCode::SUCCESS
}
