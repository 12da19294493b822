//! A pipe that takes nothing more.

use std::fs::File;
use std::io::{PipeReader, PipeWriter, Write, pipe};
use std::os::fd::AsRawFd;
use std::os::unix::fs::OpenOptionsExt;

/// Linux's `O_NONBLOCK`.
const WITHOUT_WAITING: i32 = 0o4000;

/// A pipe that is full already: whoever writes to it waits until somebody reads.
pub(crate) fn full_pipe() -> (PipeReader, PipeWriter) {
    let (reader, writer) = pipe().expect("a pipe");
    // The same pipe, opened a second time: a write to this end fails when the pipe is full, one to the end given away waits.
    let mut filler = File::options()
        .write(true)
        .custom_flags(WITHOUT_WAITING)
        .open(format!("/proc/self/fd/{}", writer.as_raw_fd()))
        .expect("the pipe again");
    // Whole pages first, then what is left of the last one.
    for piece in [&[b'\n'; 4096][..], b"\n"] {
        while filler.write(piece).is_ok() {}
    }
    (reader, writer)
}
