//! Which dead letters are meant.

use std::collections::BTreeSet;

use clap::Args;
use clap::builder::PossibleValuesParser;
use common::messaging::DeadLetter;
use contracts::topology::QUEUES;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use super::moment::{Moment, moment};
use crate::commands::output::complain;

/// Most bytes of a selection that the audit keeps.
const MOST_WORDS: usize = 2_000;
/// Ends a selection that was cut for the audit.
const CUT: &str = " [cut]";
/// The audit's word for a selection that says nothing.
const ALL: &str = "all";

/// Which dead letters are meant: all that fit each of these.
#[derive(Debug, Clone, Default, Args)]
pub(super) struct Selection {
    /// Of this queue
    #[arg(long, value_parser = PossibleValuesParser::new(QUEUES.iter().map(|queue| queue.name)))]
    pub(super) queue: Option<String>,
    /// Of this type of message, such as user.registered.v1
    #[arg(long = "type", value_name = "TYPE")]
    kind: Option<String>,
    /// With these words in the reason or the last error
    #[arg(long, value_name = "WORDS")]
    letter_reason: Option<String>,
    /// That failed in this way: a fingerprint of the list, or its beginning
    #[arg(long)]
    fingerprint: Option<String>,
    /// Set aside since then: a time, or how long ago, such as 2026-11-30T06:00:00Z or 30m
    #[arg(long, value_name = "TIME", value_parser = moment)]
    since: Option<Moment>,
    /// Set aside before then
    #[arg(long, value_name = "TIME", value_parser = moment)]
    until: Option<Moment>,
    /// The id of a message; may be given several times
    #[arg(long = "id", value_name = "ID")]
    ids: Vec<String>,
}

impl Selection {
    /// One message, wherever it lies.
    pub(super) fn of_id(queue: Option<String>, id: String) -> Self {
        Self {
            queue,
            ids: vec![id],
            ..Self::default()
        }
    }

    /// The same selection with more ids, and with `reason` where it has no words of a reason yet.
    pub(super) fn with(&self, reason: Option<&String>, ids: &[String]) -> Self {
        let mut more = self.clone();
        more.letter_reason = more.letter_reason.or_else(|| reason.cloned());
        more.ids.extend_from_slice(ids);
        more
    }

    /// Whether it says anything, so that it may mean less than all letters.
    pub(super) fn is_given(&self) -> bool {
        let texts = [&self.queue, &self.kind, &self.letter_reason, &self.fingerprint];
        texts.iter().any(|text| text.is_some()) || self.since.is_some() || self.until.is_some() || !self.ids.is_empty()
    }

    /// What it says, for the audit. Several ids are counted first. What is longer than `MOST_WORDS` is cut, and says so.
    pub(super) fn words(&self) -> String {
        let mut words = Vec::new();
        if self.ids.len() > 1 {
            words.push(format!("ids={}", self.ids.len()));
        }
        let mut add = |name: &str, value: Option<&String>| {
            words.extend(value.map(|value| format!("{name}={value}")));
        };
        add("queue", self.queue.as_ref());
        add("type", self.kind.as_ref());
        add("reason", self.letter_reason.as_ref());
        add("fingerprint", self.fingerprint.as_ref());
        add("since", self.since.map(|at| at.0.to_rfc3339()).as_ref());
        add("until", self.until.map(|at| at.0.to_rfc3339()).as_ref());
        for id in &self.ids {
            add("id", Some(id));
        }
        if words.is_empty() {
            return ALL.to_owned();
        }
        let mut words = words.join(" ");
        if words.len() > MOST_WORDS {
            words.truncate(words.floor_char_boundary(MOST_WORDS - CUT.len()));
            words.push_str(CUT);
        }
        words
    }

    /// Whether it means this one.
    pub(super) fn means(&self, letter: &DeadLetter) -> bool {
        let is = |wanted: &Option<String>, found: Option<&str>| wanted.is_none() || wanted.as_deref() == found;
        let by_reason = self.letter_reason.as_ref().is_none_or(|words| {
            let words = words.to_lowercase();
            let texts = [Some(&letter.reason), letter.last_error.as_ref()];
            texts
                .into_iter()
                .flatten()
                .any(|text| text.to_lowercase().contains(&words))
        });
        let by_fingerprint = self.fingerprint.as_ref();
        let by_fingerprint = by_fingerprint.is_none_or(|begin| letter.fingerprint.starts_with(begin));
        let by_id = self.ids.is_empty() || letter.id.as_ref().is_some_and(|id| self.ids.contains(id));
        is(&self.queue, Some(&letter.queue))
            && is(&self.kind, letter.kind.as_deref())
            && by_reason
            && by_fingerprint
            && by_id
            && self.is_in_time(letter)
    }

    /// Whether the letter was set aside in the time that is asked for; false for one whose time is not known.
    fn is_in_time(&self, letter: &DeadLetter) -> bool {
        if self.since.is_none() && self.until.is_none() {
            return true;
        }
        let time = letter
            .time
            .as_deref()
            .and_then(|text| OffsetDateTime::parse(text, &Rfc3339).ok());
        let Some(at) = time.map(|time| Moment(time.into())) else {
            return false;
        };
        self.since.is_none_or(|since| at >= since) && self.until.is_none_or(|until| at < until)
    }

    /// Says which ids were not met, if any; true when all were.
    pub(super) fn all_met(&self, met: &BTreeSet<String>) -> bool {
        let missing: Vec<_> = self.ids.iter().filter(|id| !met.contains(*id)).collect();
        for id in &missing {
            complain(&format!("no dead letter that is looked for has the id {id}"));
        }
        missing.is_empty()
    }

    /// Notes that one was met, where ids are looked for.
    pub(super) fn note(&self, met: &mut BTreeSet<String>, letter: &DeadLetter) {
        if let Some(id) = letter.id.as_ref().filter(|id| self.ids.contains(*id)) {
            met.insert(id.clone());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn letter() -> DeadLetter {
        DeadLetter {
            queue: "email-worker.events".into(),
            id: Some("7".into()),
            kind: Some("user.registered.v1".into()),
            reason: "3 attempts are used up".into(),
            attempts: 3,
            time: Some("2026-11-30T06:00:00.000000Z".into()),
            trace_id: None,
            fingerprint: "0123456789ab".into(),
            cause: "failed: x".into(),
            first_error: None,
            last_error: Some("The relay said 451".into()),
        }
    }

    /// Everything, but for what `narrow` makes of it.
    fn only(narrow: impl FnOnce(&mut Selection)) -> Selection {
        let mut selection = Selection::default();
        narrow(&mut selection);
        selection
    }

    #[test]
    fn a_selection_means_what_fits_all_that_it_says() {
        let at = |text| Some(moment(text).unwrap());
        let all = Selection::default();
        for (fits, selection) in [
            (true, all.clone()),
            (true, only(|one| one.queue = Some("email-worker.events".into()))),
            (
                false,
                only(|one| one.queue = Some("notification-gateway.events".into())),
            ),
            (false, only(|one| one.kind = Some("user.updated.v1".into()))),
            (true, only(|one| one.letter_reason = Some("RELAY said".into()))),
            (false, only(|one| one.letter_reason = Some("panicked".into()))),
            (true, only(|one| one.fingerprint = Some("0123".into()))),
            (false, only(|one| one.fingerprint = Some("ab".into()))),
            (true, only(|one| one.since = at("2026-11-30T06:00:00Z"))),
            (false, only(|one| one.until = at("2026-11-30T06:00:00Z"))),
            (true, all.with(None, &["6".into(), "7".into()])),
            (false, all.with(None, &["6".into()])),
        ] {
            assert_eq!(selection.means(&letter()), fits, "{selection:?}");
        }
        let timeless = DeadLetter { time: None, ..letter() };
        assert!(!only(|one| one.since = at("1d")).means(&timeless));
        assert!(!all.is_given() && all.with(Some(&"x".into()), &[]).is_given());
    }

    #[test]
    fn the_audit_s_words_say_how_many_ids_there_are_and_what_is_cut() {
        let all = Selection::default();
        assert_eq!(all.words(), "all");
        assert_eq!(
            only(|one| one.fingerprint = Some("ab".into())).words(),
            "fingerprint=ab"
        );
        assert_eq!(all.with(None, &["7".into()]).words(), "id=7");
        let two = all.with(Some(&"relay".into()), &["6".into(), "7".into()]);
        assert_eq!(two.words(), "ids=2 reason=relay id=6 id=7");

        let ids: Vec<String> = (0..1_000).map(|number| format!("{number:032}")).collect();
        let words = all.with(None, &ids).words();
        assert!(words.starts_with("ids=1000 id=0"), "{words}");
        assert!(words.ends_with(" [cut]") && words.len() == MOST_WORDS, "{words}");
        // A letter of several bytes is not cut in two.
        let words = all.with(Some(&"ä".repeat(2_000)), &[]).words();
        assert!(words.ends_with("ä [cut]") && words.len() <= MOST_WORDS, "{words}");
        let fits = "x".repeat(MOST_WORDS - "reason=".len());
        assert_eq!(all.with(Some(&fits), &[]).words(), format!("reason={fits}"));
    }
}
