//! What is said of a panic: where it happened, and nothing that it quotes.

use std::cell::RefCell;
use std::panic::PanicHookInfo;

thread_local! {
    /// Where this thread panicked last.
    static LAST: RefCell<Option<String>> = const { RefCell::new(None) };
}

/// Has each panic written as a log line with its place and thread only, instead of its text on standard error.
///
/// A panic's text may quote whatever was in hand, personal data too. Call once, when the process logs already.
pub fn log_panics() {
    std::panic::set_hook(Box::new(log_panic));
}

/// Where this thread panicked last, for whoever has just caught the panic. Told once, and only after [`log_panics`].
pub(crate) fn last_panic_place() -> Option<String> {
    LAST.take()
}

fn log_panic(panic: &PanicHookInfo<'_>) {
    let place = panic.location().map(ToString::to_string).unwrap_or_default();
    LAST.set(Some(place.clone()));
    let thread = std::thread::current();
    tracing::error!(place, thread = thread.name().unwrap_or("unnamed"), "a panic: a defect");
}

#[cfg(test)]
mod tests {
    use std::io::{self, Write};
    use std::panic::catch_unwind;
    use std::sync::{Arc, Mutex};

    use super::*;

    #[derive(Clone, Default)]
    struct Kept(Arc<Mutex<Vec<u8>>>);

    impl Write for Kept {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_panic_is_logged_by_its_place_without_its_text() {
        let kept = Kept::default();
        let writer = kept.clone();
        let subscriber = tracing_subscriber::fmt().with_writer(move || writer.clone()).finish();
        let before = std::panic::take_hook();
        log_panics();
        tracing::subscriber::with_default(subscriber, || {
            assert!(catch_unwind(|| panic!("no such person: ada@example.com")).is_err());
        });
        std::panic::set_hook(before);
        let said = String::from_utf8(kept.0.lock().unwrap().clone()).unwrap();
        assert!(said.contains("panics.rs:"), "{said}");
        assert!(!said.contains("ada@"), "{said}");
        assert!(last_panic_place().is_some_and(|place| place.contains("panics.rs:")));
        assert_eq!(last_panic_place(), None, "it is told once");
    }
}
