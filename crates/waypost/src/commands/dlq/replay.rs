//! `waypost dlq replay`: puts letters back into their queues, after it was written down who does, and says what came of each.

use std::collections::{BTreeMap, BTreeSet};
use std::process::ExitCode;
use std::time::Duration;

use anyhow::bail;
use clap::Args;
use clap::builder::RangedU64ValueParser;
use common::messaging::{Effect, Letter, Look, Replays, Told};
use common::operations::Reason;
use serde_json::json;
use tokio::time::{Instant, MissedTickBehavior, interval, sleep};

use super::audited::{Deed, Operator, reason};
use super::bar::Bar;
use super::desk::{Desk, Place};
use super::moment::wait;
use super::outcome::end;
use super::print::{line, plain, say};
use super::selection::Selection;

/// What the audit calls it.
const ACTION: &str = "dead_letters.replay";
/// The reason in the audit where none was said: a replay may go without.
const UNSAID: &str = "no reason was given";
/// Between two looks at what came of what was sent.
const LOOK: Duration = Duration::from_millis(250);
/// From this many replays without a known outcome on, outcomes are looked for while sending goes on, since each letter is
/// kept in memory until its outcome is known.
const MANY_OPEN: usize = 1_000;

/// Which to put back, and how.
#[derive(Debug, Args)]
pub struct Replay {
    /// Ids of messages; without any, all that are looked for
    #[arg(value_name = "ID")]
    messages: Vec<String>,
    #[command(flatten)]
    selection: Selection,
    /// With these words in the reason or the last error
    #[arg(long, value_name = "WORDS")]
    reason: Option<String>,
    /// Why, for the audit
    #[arg(long, value_parser = reason, default_value = UNSAID, hide_default_value = true)]
    why: Reason,
    #[command(flatten)]
    operator: Operator,
    /// Show which, and put none back
    #[arg(long)]
    dry_run: bool,
    /// This many a second at most
    #[arg(long, value_name = "NUMBER", value_parser = RangedU64ValueParser::<u32>::new().range(1..=100_000))]
    rate: Option<u32>,
    /// How long to wait, after the last, for what comes of them, such as 30s or 5m; 15m at most
    #[arg(long, value_name = "TIME", default_value = "30s", value_parser = wait)]
    wait: Duration,
    /// Print one JSON object a line
    #[arg(long)]
    json: bool,
}

/// What a replay is doing.
struct Run<'a> {
    wanted: &'a Replay,
    selection: Selection,
    replays: Replays,
    counts: BTreeMap<&'static str, u64>,
    is_all_well: bool,
    met: BTreeSet<String>,
    sent: u64,
    /// How many replays may be without a known outcome before outcomes are looked for.
    look_at: usize,
    bar: Bar,
    /// Whether the audit of the queue's service has the line.
    is_written_down: bool,
}

pub(super) async fn replay(wanted: &Replay) -> anyhow::Result<ExitCode> {
    let selection = wanted.selection.with(wanted.reason.as_ref(), &wanted.messages);
    let desk = Desk::open(selection.queue.as_deref()).await?;
    let mut run = Run {
        wanted,
        selection,
        replays: Replays::default(),
        counts: BTreeMap::new(),
        is_all_well: true,
        met: BTreeSet::new(),
        sent: 0,
        look_at: MANY_OPEN,
        bar: Bar::new(),
        is_written_down: false,
    };
    let mut done = Ok(());
    for place in &desk.places {
        run.is_written_down = wanted.dry_run;
        done = run.place(place).await;
        let rest = run.replays.give_up();
        run.look_at = MANY_OPEN;
        run.tell(rest);
        if done.is_err() {
            break;
        }
    }
    run.bar.clear();
    run.tell_counts();
    desk.close().await;
    let all_met = done.is_err() || run.selection.all_met(&run.met);
    end(done, run.is_all_well && all_met)
}

impl Run<'_> {
    /// Replays one queue's letters, in as many looks as it takes: the broker lets no look hold its letters for long.
    async fn place(&mut self, place: &Place) -> anyhow::Result<()> {
        loop {
            let mut look = place.letters.open().await?;
            let mut gone_through = self.go_through(place, &mut look).await;
            if matches!(gone_through, Ok(true)) {
                gone_through = self.wait(&mut look).await.map(|()| true);
            }
            look.close().await;
            if gone_through? {
                return Ok(());
            }
        }
    }

    /// Puts back the letters that are meant; false when this look held its letters for too long and a new one must begin.
    async fn go_through(&mut self, place: &Place, look: &mut Look) -> anyhow::Result<bool> {
        let rate = self.wanted.rate.filter(|_| !self.wanted.dry_run);
        let mut turns = rate.map(|rate| {
            let mut turns = interval(Duration::from_secs(1) / rate);
            turns.set_missed_tick_behavior(MissedTickBehavior::Delay);
            turns
        });
        let sent_before = self.sent;
        let mut read = 0;
        loop {
            let letters = look.next().await?;
            if letters.is_empty() {
                return Ok(true);
            }
            for letter in letters {
                read += 1;
                self.bar.show(read, look.total(), &self.progress());
                if self.replays.is_own(&letter) || !self.selection.means(&letter.shown) {
                    continue;
                }
                self.write_down(place).await?;
                if let Some(turns) = &mut turns {
                    turns.tick().await;
                }
                self.one(look, letter).await?;
            }
            self.look_after(look).await?;
            if look.is_held_long() {
                let is_fewer = !self.wanted.dry_run && self.sent > sent_before;
                return after_long_hold(is_fewer, read >= look.total());
            }
        }
    }

    /// Writes the audit's line, once for each queue, before its first letter goes back.
    async fn write_down(&mut self, place: &Place) -> anyhow::Result<()> {
        if self.is_written_down {
            return Ok(());
        }
        let deed = Deed {
            name: ACTION,
            reason: &self.wanted.why,
        };
        let operator = &self.wanted.operator;
        operator.write_down(deed, place, &self.selection).await?;
        self.is_written_down = true;
        Ok(())
    }

    /// Tells the outcomes that are known by now; where many are open, it looks for them first.
    async fn look_after(&mut self, look: &Look) -> anyhow::Result<()> {
        if self.replays.open() >= self.look_at {
            self.replays.look_after(look).await?;
            // A look takes longer the more are open. The next one waits until as many again were sent.
            self.look_at = MANY_OPEN.max(self.replays.open() * 2);
        }
        let told = self.replays.told();
        self.tell(told);
        Ok(())
    }

    async fn one(&mut self, look: &mut Look, letter: Letter) -> anyhow::Result<()> {
        self.selection.note(&mut self.met, &letter.shown);
        self.sent += 1;
        if self.wanted.dry_run {
            self.bar.clear();
            let shown = if self.wanted.json {
                serde_json::to_string(&letter.shown)?
            } else {
                line(&letter.shown)
            };
            say(&shown);
            return Ok(());
        }
        Ok(self.replays.send(look, letter).await?)
    }

    /// Waits for the outcomes of what was sent, for as long as `--wait` says.
    async fn wait(&mut self, look: &mut Look) -> anyhow::Result<()> {
        let deadline = Instant::now() + self.wanted.wait;
        while self.replays.open() > 0 {
            self.replays.watch(look).await?;
            let told = self.replays.told();
            self.tell(told);
            if Instant::now() >= deadline {
                break;
            }
            let known = self.counts.values().sum();
            self.bar.show(known, self.sent, &self.progress());
            if self.replays.open() > 0 {
                sleep(LOOK).await;
            }
        }
        Ok(())
    }

    fn tell(&mut self, told: Vec<Told>) {
        for Told {
            letter,
            effect,
            trace_id,
        } in told
        {
            *self.counts.entry(effect.words()).or_default() += 1;
            self.is_all_well &= matches!(effect, Effect::Done | Effect::Known);
            self.bar.clear();
            if self.wanted.json {
                let told = json!({
                    "queue": letter.queue, "id": letter.id, "type": letter.kind, "effect": effect, "trace_id": trace_id,
                });
                say(&told.to_string());
            } else {
                let [id, kind, trace] =
                    [letter.id, letter.kind, trace_id].map(|text| text.unwrap_or_else(|| "-".into()));
                let line = format!(
                    "{}  {id:<36}  {kind:<22}  {:<20}  {trace}",
                    letter.queue,
                    effect.words()
                );
                say(&plain(&line));
            }
        }
    }

    fn tell_counts(&self) {
        if self.wanted.json {
            return;
        }
        let verb = if self.wanted.dry_run {
            "would be replayed"
        } else {
            "replayed"
        };
        let progress = self.progress();
        let colon = if progress.is_empty() { "" } else { ": " };
        say(&format!("{} {verb}{colon}{progress}", self.sent));
    }

    /// How many letters had each outcome.
    fn progress(&self) -> String {
        let each: Vec<_> = self
            .counts
            .iter()
            .map(|(what, count)| format!("{what} {count}"))
            .collect();
        each.join(", ")
    }
}

/// After a look that held its letters for as long as it may. False when letters went back: a new look is to begin, and comes
/// further. True when none did and all were read; when some were not, this is an error, as a new look would end there too.
fn after_long_hold(is_fewer: bool, is_read: bool) -> anyhow::Result<bool> {
    match (is_fewer, is_read) {
        (true, _) => Ok(false),
        (false, true) => Ok(true),
        (false, false) => {
            bail!("the letters behind those above were not looked at: the broker lets nobody hold so many for so long")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_look_begins_again_where_something_went_back_and_never_comes_to_the_same_place_twice() {
        assert_eq!(after_long_hold(true, false).ok(), Some(false));
        assert_eq!(after_long_hold(true, true).ok(), Some(false));
        assert_eq!(after_long_hold(false, true).ok(), Some(true));
        assert!(after_long_hold(false, false).is_err());
    }
}
