//! Whether the relay is to be given a mail: as a whole, and for the domain of its recipient.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use super::rest::{Rest, Ticket, Trouble};

/// When this many domains in a row refuse us, the relay itself is taken to refuse us.
const DOMAINS_IN_A_ROW: usize = 3;
/// Most domains that are slowed at a time. For one more, the domain whose rest ends first is forgotten: its next mail asks.
const MAX_SLOWED: usize = 1000;

/// What is known of a mail server, from how the last mails went. Pure: the time is passed in.
#[derive(Debug, Default)]
pub(super) struct Relay {
    whole: Rest,
    /// Domains whose mails the relay does not want now.
    slowed: HashMap<String, Rest>,
    /// Different domains that refused us since the last mail that was taken.
    refusing: Vec<String>,
}

/// In which way a rest lets a mail in.
type Admit = fn(&mut Rest, Instant) -> Result<Ticket, Duration>;

/// The permission of one mail: its domain, and its tickets for the relay and for the pair of relay and domain.
#[derive(Debug, Clone)]
pub(super) struct Pass {
    domain: String,
    whole: Ticket,
    pair: Option<Ticket>,
}

impl Relay {
    /// Lets a mail to this domain in, or says when to ask again.
    pub(super) fn admit(&mut self, domain: &str, now: Instant) -> Result<Pass, Duration> {
        self.admit_by(Rest::admit, domain, now)
    }

    /// Lets a mail to this domain in at once, to find out, unless another one does so.
    pub(super) fn admit_probe(&mut self, domain: &str, now: Instant) -> Result<Pass, Duration> {
        self.admit_by(Rest::admit_probe, domain, now)
    }

    fn admit_by(&mut self, admit: Admit, domain: &str, now: Instant) -> Result<Pass, Duration> {
        let whole = admit(&mut self.whole, now)?;
        let pair = match self.slowed.get_mut(domain).map(|rest| admit(rest, now)).transpose() {
            Ok(pair) => pair,
            Err(wait) => {
                self.whole.leave(whole);
                return Err(wait);
            }
        };
        Ok(Pass {
            domain: domain.to_owned(),
            whole,
            pair,
        })
    }

    /// The relay took a mail. Answers whether it had rested.
    pub(super) fn took(&mut self, pass: &Pass) -> bool {
        self.refusing.clear();
        self.slowed.remove(&pass.domain);
        self.whole.end()
    }

    /// The relay is there and speaks. Answers whether it had been away.
    pub(super) fn reached(&mut self) -> bool {
        self.whole.trouble() != Some(Trouble::Refused) && self.whole.end()
    }

    /// The relay as a whole has this trouble, and rests. Answers for how long.
    pub(super) fn rest(&mut self, pass: &Pass, trouble: Trouble, now: Instant) -> Duration {
        self.whole.begin(pass.whole, trouble, now)
    }

    /// Perhaps the relay refuses us. When enough domains in a row said so, it rests, and this answers for how long.
    pub(super) fn suspect(&mut self, pass: &Pass, now: Instant) -> Option<Duration> {
        if self.refusing.len() < DOMAINS_IN_A_ROW && !self.refusing.contains(&pass.domain) {
            self.refusing.push(pass.domain.clone());
        }
        (self.refusing.len() == DOMAINS_IN_A_ROW).then(|| self.rest(pass, Trouble::Refused, now))
    }

    /// The relay wants less mail for this domain. Answers how long its mails wait.
    pub(super) fn slow(&mut self, pass: &Pass, now: Instant) -> Duration {
        if self.slowed.len() >= MAX_SLOWED && !self.slowed.contains_key(&pass.domain) {
            let soonest = self.slowed.iter().min_by_key(|(_, rest)| rest.until());
            if let Some(domain) = soonest.map(|(domain, _)| domain.clone()) {
                self.slowed.remove(&domain);
            }
        }
        let rest = self.slowed.entry(pass.domain.clone()).or_default();
        rest.begin(pass.pair.unwrap_or_default(), Trouble::Refused, now)
    }

    /// A mail's conversation is over, however it ended.
    pub(super) fn leave(&mut self, pass: &Pass) {
        self.whole.leave(pass.whole);
        if let (Some(rest), Some(ticket)) = (self.slowed.get_mut(&pass.domain), pass.pair) {
            rest.leave(ticket);
        }
    }

    /// Why the relay rests, if it does.
    pub(super) fn trouble(&self) -> Option<Trouble> {
        self.whole.trouble()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn suspect(relay: &mut Relay, domain: &str, now: Instant) -> Option<Duration> {
        let pass = relay.admit(domain, now).unwrap();
        let wait = relay.suspect(&pass, now);
        relay.leave(&pass);
        wait
    }

    fn take(relay: &mut Relay, domain: &str, now: Instant) -> bool {
        let pass = relay.admit(domain, now).unwrap();
        let had_rested = relay.took(&pass);
        relay.leave(&pass);
        had_rested
    }

    #[test]
    fn the_third_domain_in_a_row_that_refuses_us_makes_it_the_relay() {
        let (mut relay, now) = (Relay::default(), Instant::now());
        for domain in ["a.test", "b.test", "a.test", "b.test"] {
            assert_eq!(suspect(&mut relay, domain, now), None);
        }
        assert_eq!(suspect(&mut relay, "c.test", now), Some(10 * SECOND));
        assert_eq!(relay.trouble(), Some(Trouble::Refused));
        assert_eq!(relay.admit("d.test", now).unwrap_err(), 10 * SECOND);
        // The next mail is the probe, and one more refusal lengthens the rest, whoever it is for.
        let later = now + 10 * SECOND;
        assert_eq!(suspect(&mut relay, "a.test", later), Some(20 * SECOND));
        assert!(take(&mut relay, "a.test", later + 20 * SECOND));
        assert_eq!(relay.trouble(), None);
    }

    #[test]
    fn a_mail_that_is_taken_between_begins_the_row_anew() {
        let (mut relay, now) = (Relay::default(), Instant::now());
        for domain in ["a.test", "b.test"] {
            assert_eq!(suspect(&mut relay, domain, now), None);
        }
        assert!(!take(&mut relay, "d.test", now));
        assert_eq!(suspect(&mut relay, "c.test", now), None);
    }

    #[test]
    fn a_slowed_domain_waits_alone_and_is_forgotten_when_a_mail_is_taken() {
        let (mut relay, now) = (Relay::default(), Instant::now());
        let passes = [(); 3].map(|()| relay.admit("a.test", now).unwrap());
        for pass in &passes {
            assert_eq!(relay.slow(pass, now), 10 * SECOND, "together they slow it once");
            relay.leave(pass);
        }
        assert_eq!(relay.admit("a.test", now).unwrap_err(), 10 * SECOND);
        assert!(relay.admit("b.test", now).is_ok());
        assert_eq!(relay.trouble(), None);

        let later = now + 10 * SECOND;
        let probe = relay.admit("a.test", later).unwrap();
        assert!(relay.admit("a.test", later).is_err(), "one finds out");
        assert_eq!(relay.slow(&probe, later), 20 * SECOND);
        assert!(!take(&mut relay, "a.test", later + 20 * SECOND));
        assert!(relay.slowed.is_empty());
    }

    #[test]
    fn a_probe_goes_through_the_rest_of_the_relay_and_of_its_domain() {
        let (mut relay, now) = (Relay::default(), Instant::now());
        let pass = relay.admit("a.test", now).unwrap();
        relay.slow(&pass, now);
        relay.rest(&pass, Trouble::Refused, now);
        relay.leave(&pass);
        assert!(relay.admit("a.test", now).is_err());
        let probe = relay.admit_probe("a.test", now).unwrap();
        assert!(relay.took(&probe), "it had rested");
        assert!(relay.admit("b.test", now).is_ok());
    }

    #[test]
    fn who_is_turned_away_for_its_domain_is_not_the_relays_probe() {
        let (mut relay, now) = (Relay::default(), Instant::now());
        let pass = relay.admit("a.test", now).unwrap();
        relay.slow(&pass, now);
        relay.slow(&pass, now);
        relay.rest(&pass, Trouble::Away, now);
        relay.leave(&pass);
        let later = now + SECOND;
        assert!(relay.admit("a.test", later).is_err());
        assert!(relay.admit("b.test", later).is_ok());
    }

    #[test]
    fn a_relay_that_was_away_is_back_as_soon_as_it_speaks_and_one_that_refused_when_it_takes_a_mail() {
        let (mut relay, now) = (Relay::default(), Instant::now());
        for (trouble, is_back) in [(Trouble::Away, true), (Trouble::Refused, false)] {
            let pass = relay.admit("a.test", now).unwrap();
            relay.rest(&pass, trouble, now);
            assert_eq!(relay.reached(), is_back);
        }
        assert_eq!(relay.trouble(), Some(Trouble::Refused));
    }

    #[test]
    fn however_many_domains_are_slowed_the_memory_is_bounded() {
        let (mut relay, now) = (Relay::default(), Instant::now());
        for number in 0..MAX_SLOWED + 10 {
            let pass = relay.admit(&format!("{number}.test"), now).unwrap();
            relay.slow(&pass, now);
        }
        assert_eq!(relay.slowed.len(), MAX_SLOWED);
    }
}
