//! Changes that are still to be told to the other replicas, each key once.

use parking_lot::{Mutex, MutexGuard};
use tokio::sync::Notify;

use super::versions::Versions;

/// Most keys that one message names.
const MAX_IN_MESSAGE: usize = 500;

/// What one message tells.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum News {
    /// These keys have these versions now.
    Keys(Vec<(String, u64)>),
    /// Everything may have changed, and what stands in the store under another epoch than this is old.
    Everything { epoch: u64 },
}

#[derive(Default)]
pub(super) struct Outgoing {
    /// When there are too many, the other replicas are told to forget everything.
    waiting: Mutex<Versions>,
    added: Notify,
}

impl Outgoing {
    pub(super) fn add(&self, key: &str, version: u64) {
        let mut waiting = self.lock();
        waiting.add(key, version);
        drop(waiting);
        self.added.notify_one();
    }

    pub(super) fn add_all(&self) {
        self.lock().all = true;
        self.added.notify_one();
    }

    pub(super) fn is_empty(&self) -> bool {
        let waiting = self.lock();
        waiting.keys.is_empty() && !waiting.all
    }

    /// Takes what the next message tells; waits until there is something.
    pub(super) async fn next(&self, epoch: impl Fn() -> u64) -> News {
        loop {
            let added = self.added.notified();
            if let Some(news) = self.take(epoch()) {
                return news;
            }
            added.await;
        }
    }

    /// Has what was not told wait again.
    pub(super) fn put_back(&self, news: &News) {
        match news {
            News::Keys(keys) => keys.iter().for_each(|(key, version)| self.add(key, *version)),
            News::Everything { .. } => self.add_all(),
        }
    }

    fn take(&self, epoch: u64) -> Option<News> {
        let mut waiting = self.lock();
        if waiting.all {
            *waiting = Versions::default();
            return Some(News::Everything { epoch });
        }
        let some: Vec<_> = waiting.keys.keys().take(MAX_IN_MESSAGE).cloned().collect();
        let some = some.into_iter().filter_map(|key| waiting.keys.remove_entry(&key));
        let keys: Vec<_> = some.collect();
        (!keys.is_empty()).then_some(News::Keys(keys))
    }

    fn lock(&self) -> MutexGuard<'_, Versions> {
        self.waiting.lock()
    }
}

impl News {
    /// As it is sent: a line for who sends it, and one for each key, `<version> <key>`; or `* <epoch>`.
    pub(super) fn encode(&self, origin: &str) -> String {
        let lines = match self {
            Self::Keys(keys) => keys.iter().map(|(key, version)| format!("{version} {key}")).collect(),
            Self::Everything { epoch } => vec![format!("* {epoch}")],
        };
        format!("{origin}\n{}", lines.join("\n"))
    }

    /// Reads what somebody else than `origin` sent; `None` is its own. What can't be read may be about any key.
    pub(super) fn decode(message: &[u8], origin: &str) -> Option<Self> {
        let anything = Some(Self::Everything { epoch: 0 });
        let Ok(text) = std::str::from_utf8(message) else {
            return anything;
        };
        let mut lines = text.lines();
        if lines.next() == Some(origin) {
            return None;
        }
        let mut keys = Vec::new();
        for line in lines {
            match line.split_once(' ') {
                Some(("*", epoch)) => {
                    let epoch = epoch.parse().unwrap_or(0);
                    return Some(Self::Everything { epoch });
                }
                Some((version, key)) => match version.parse() {
                    Ok(version) => keys.push((key.to_owned(), version)),
                    Err(_) => return anything,
                },
                None => return anything,
            }
        }
        Some(Self::Keys(keys))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_key_is_told_once_with_its_newest_version_and_again_when_it_was_not_heard() {
        let outgoing = Outgoing::default();
        outgoing.add("a", 1);
        outgoing.add("a", 3);
        let news = outgoing.next(|| 7).await;
        assert_eq!(news, News::Keys(vec![("a".to_owned(), 3)]));
        outgoing.put_back(&news);
        assert_eq!(outgoing.next(|| 7).await, news);
        assert_eq!(outgoing.take(7), None);
    }

    #[test]
    fn what_is_sent_is_read_by_others_and_ignored_by_oneself() {
        let all = [
            News::Keys(vec![("user:1".to_owned(), 3), ("user:2".to_owned(), 9)]),
            News::Everything { epoch: 5 },
        ];
        for news in all {
            let message = news.encode("me");
            assert_eq!(News::decode(message.as_bytes(), "me"), None);
            assert_eq!(News::decode(message.as_bytes(), "you"), Some(news));
        }
    }

    #[test]
    fn what_can_t_be_read_may_have_been_anything() {
        for message in [&b"x\nfoo"[..], b"x\nfoo bar", b"x\n* y", b"\xff"] {
            assert_eq!(News::decode(message, "me"), Some(News::Everything { epoch: 0 }));
        }
    }
}
