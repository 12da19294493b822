//! `kill -9` at each step from a sign-up to its mail: right before the other side hears of it, and right after, before
//! the process hears of that. No step is built into the services: they are seen on the wire, where the process is held
//! until it is dead.

use std::time::Instant;

use test_support::{Answer, Laid, Point, Port, TestDatabase, Tripwire, amqp_url, eventually};

use super::steps::{At, CLAIM, Step, of_the_intake, of_the_sending, of_user_api};
use super::tally::{ALL_DONE, at_rest};
use crate::client::{Met, PATIENCE, scrape};
use crate::stack::{Servers, Stack};

/// One process' ways to its servers.
struct Ways {
    database: Tripwire,
    broker: Tripwire,
}

/// A point on the way, or a mail server that is to fall silent.
enum Trap {
    Laid(Laid),
    Silence(usize),
}

/// Whoever was killed, and for whom.
struct Killed {
    step: Step,
    email: String,
}

struct Scene {
    users: Ways,
    worker: Ways,
    stack: Stack,
    killed: Vec<Killed>,
    operations: Port,
    database: TestDatabase,
}

#[tokio::test(flavor = "multi_thread")]
async fn a_process_killed_right_before_and_right_after_each_step_loses_no_mail_and_doubles_it_in_the_window_alone() {
    let began = Instant::now();
    let mut scene = Scene::start().await;
    scene.stack.add_worker();
    for step in of_the_intake() {
        scene.kill_the_worker(step).await;
        scene.all_is_sent().await;
    }
    for step in of_the_sending() {
        scene.kill_the_worker(step).await;
        scene.hold_what_is_leased().await;
    }
    println!(
        "the worker was killed {} times after {:?}",
        scene.killed.len(),
        began.elapsed()
    );
    scene.end_the_leases().await;
    for step in of_user_api() {
        scene.kill_user_api(step).await;
        scene.all_is_told().await;
    }
    println!("killed {} times after {:?}", scene.killed.len(), began.elapsed());
    scene.each_has_one_mail_but_in_the_window().await;
    println!("kills at each step: the whole test took {:?}", began.elapsed());
}

impl Ways {
    async fn of(database: &TestDatabase) -> Self {
        Self {
            database: Tripwire::to(database.url()).await,
            broker: Tripwire::to(&amqp_url()).await,
        }
    }
}

impl Scene {
    async fn start() -> Self {
        let (database, operations) = (TestDatabase::postgres().await, Port::reserve());
        let (users, worker) = (Ways::of(&database).await, Ways::of(&database).await);
        let servers = Servers::shared()
            .set("DATABASE__URL", database.url())
            .set("USER_API__DATABASE__URL", users.database.url())
            .set("USER_API__BROKER__URL", users.broker.url())
            .set("EMAIL_WORKER__DATABASE__URL", worker.database.url())
            .set("EMAIL_WORKER__BROKER__URL", worker.broker.url())
            .set("EMAIL_WORKER__OPERATIONS__ADDRESS", address(&operations));
        let stack = Stack::without_worker(servers).await;
        stack.up().await;
        Self {
            users,
            worker,
            stack,
            killed: Vec::new(),
            operations,
            database,
        }
    }

    /// Kills the worker at a step of the next sign-up's mail, and starts another one.
    async fn kill_the_worker(&mut self, step: Step) {
        let trap = self.trap(&self.worker, &step.at);
        let claims = step
            .without_claims
            .then(|| self.worker.database.lay(Point::before(CLAIM)));
        let email = self.next_email();
        assert_eq!(self.stack.client.try_sign_up(&email, None).await, Met::Answer(201));
        self.sprung(&trap).await;
        self.stack.workers.remove(0).kill();
        drop((trap, claims));
        let status = format!("SELECT status FROM email_worker.deliveries WHERE recipient = '{email}'");
        self.stands(&step, &format!("SELECT coalesce(({status}), 'none')"))
            .await;
        self.killed.push(Killed { step, email });
        self.stack.add_worker();
    }

    /// Kills user-api at a step of the next sign-up, and starts it again.
    async fn kill_user_api(&mut self, step: Step) {
        let trap = self.trap(&self.users, &step.at);
        let (email, client) = (self.next_email(), self.stack.client.clone());
        let kill = async {
            self.sprung(&trap).await;
            self.stack.users.kill();
        };
        let (met, ()) = tokio::join!(client.try_sign_up(&email, None), kill);
        drop(trap);
        let account = format!("SELECT count(*) FROM user_api.users WHERE email = '{email}'");
        let events = "SELECT count(*) FROM user_api.outbox";
        self.stands(&step, &format!("SELECT concat_ws(' ', ({account}), ({events}))"))
            .await;
        self.stack.user_api_again().await;
        let is_there = step.stands.starts_with('1');
        if met == Met::Answer(201) {
            assert!(is_there, "{}: told of a sign-up that is none", step.name);
        } else {
            // Who got no answer asks again, and hears what became of it.
            let again = eventually(PATIENCE, async || match client.try_sign_up(&email, None).await {
                Met::Answer(status) if status != 503 => Some(status),
                _ => None,
            });
            assert_eq!(again.await, if is_there { 409 } else { 201 }, "{}", step.name);
        }
        self.killed.push(Killed { step, email });
    }

    fn next_email(&self) -> String {
        format!("step{}@example.com", self.killed.len())
    }

    fn trap(&self, ways: &Ways, at: &At) -> Trap {
        match at {
            At::Database(point) => Trap::Laid(ways.database.lay(point.clone())),
            At::Broker(point) => Trap::Laid(ways.broker.lay(point.clone())),
            At::Mail(stage) => {
                self.stack.smtp.script(*stage, [Answer::nothing()]);
                Trap::Silence(self.stack.smtp.silent())
            }
        }
    }

    async fn sprung(&self, trap: &Trap) {
        match trap {
            Trap::Laid(laid) => laid.reached(PATIENCE).await,
            Trap::Silence(before) => eventually(PATIENCE, async || self.stack.smtp.silent() > *before).await,
        }
    }

    /// Waits until its person's rows stand so: the server may still be taking back what was open.
    async fn stands(&self, step: &Step, query: &str) {
        let mut found = Vec::new();
        let end = Instant::now() + PATIENCE;
        while found != [step.stands] {
            assert!(
                Instant::now() < end,
                "{}: {found:?} instead of {}",
                step.name,
                step.stands
            );
            found = self.stack.texts(query).await;
        }
    }

    /// Waits until the last one has the mail and nothing is left to do.
    async fn all_is_sent(&self) {
        assert_eq!(at_rest(&self.stack).await, ALL_DONE, "{}", self.last().step.name);
    }

    /// Waits until the last one's event is published, and has come to the mail.
    async fn all_is_told(&self) {
        let events = "SELECT count(*)::text FROM user_api.outbox";
        eventually(PATIENCE, async || self.stack.texts(events).await == ["0"]).await;
        let email = &self.last().email;
        eventually(PATIENCE, async || !self.stack.smtp.mails_to(email).is_empty()).await;
    }

    fn last(&self) -> &Killed {
        self.killed.last().unwrap()
    }

    /// Has no lease end while others are killed, however slow the machine is.
    async fn hold_what_is_leased(&self) {
        let held = "UPDATE email_worker.deliveries SET lease_until = 9000000000000000000 WHERE status = 'sending'";
        self.database.execute(held).await;
    }

    /// Spares the wait for leases of 30 s. That they are waited for, others test.
    async fn end_the_leases(&self) {
        let ended = "UPDATE email_worker.deliveries SET lease_until = 0 WHERE status = 'sending'";
        self.database.execute(ended).await;
    }

    /// Waits until all is done, and prints for each kill what was sent, received, lost and doubled.
    async fn each_has_one_mail_but_in_the_window(&self) {
        let standing = at_rest(&self.stack).await;
        let mails = self.stack.smtp.per_recipient();
        let mut wrong = Vec::new();
        for Killed { step, email } in &self.killed {
            let received = mails.get(email).copied().unwrap_or_default();
            let window = if step.copies > 0 { " (the stated window)" } else { "" };
            println!(
                "killed {}: sent 1, received {}, lost {}, doubled {}{window}",
                step.name,
                received.min(1),
                1 - received.min(1),
                received.saturating_sub(1),
            );
            if received != 1 + step.copies {
                wrong.push(step.name);
            }
        }
        assert!(wrong.is_empty(), "lost, or doubled otherwise than is said: {wrong:?}");
        assert_eq!(standing, ALL_DONE, "something is left over or was written by half");
        assert_eq!(mails.len(), self.killed.len(), "mails to strangers: {mails:?}");
        let counted = self.maybe_sent().await;
        println!("told as maybe sent twice: {counted}");
        assert_eq!(counted, of_the_sending().len(), "what was in hand at a kill is counted");
    }

    /// What the last worker counts of mails that were left in the middle.
    async fn maybe_sent(&self) -> usize {
        let metrics = scrape(&address(&self.operations)).await.unwrap();
        let is_it = |line: &&str| {
            line.starts_with("waypost_deliveries_maybe_sent_total") && line.contains("cause=\"holder_lost\"")
        };
        let line = metrics.lines().find(is_it).unwrap_or_default();
        line.rsplit(' ')
            .next()
            .and_then(|count| count.parse().ok())
            .unwrap_or_default()
    }
}

fn address(port: &Port) -> String {
    format!("127.0.0.1:{}", port.number())
}
