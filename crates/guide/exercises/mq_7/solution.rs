//! mq-7, a solution: an older or equal version changes nothing, and who is gone leaves their version behind.

use std::collections::HashMap;

use crate::exercises::mq::overtaking::{Changed, Follows};

pub(crate) struct People {
    /// The newest event of each person.
    newest: HashMap<u32, Changed>,
}

impl Follows for People {
    fn new() -> Self {
        let newest = HashMap::new();
        Self { newest }
    }

    fn take(&mut self, event: Changed) {
        let known = self.newest.get(&event.person).map_or(0, |known| known.version);
        if event.version > known {
            self.newest.insert(event.person, event);
        }
    }

    fn name(&self, person: u32) -> Option<&'static str> {
        self.newest.get(&person)?.name
    }
}
