//! The 10,000 passwords that people choose most, kept in the program: whoever guesses begins with them.
//!
//! They are data and one look-up; whether such a password is refused is for who asks. `list/SOURCE.md` says where they are from.

mod list;

pub use list::{is_common, most_common};
