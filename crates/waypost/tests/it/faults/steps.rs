//! The steps from a sign-up to its mail at which a process is killed, and what stands in the tables then.

use test_support::{Point, Stage};

/// The statement of a sign-up, which is a transaction by itself.
const SIGN_UP: &[&str] = &["INSERT INTO users", "INSERT INTO outbox"];
const PUBLISH: &[&str] = &["basic.publish", "user.registered.v1"];
const DELETE: &[&str] = &["DELETE FROM outbox"];
const INTAKE: &[&str] = &["INSERT INTO inbox", "; COMMIT"];
const ACK: &[&str] = &["basic.ack"];
pub(super) const CLAIM: &[&str] = &["UPDATE deliveries SET status = 'sending'"];
const OUTCOME: &[&str] = &["INSERT INTO delivery_attempts", "; COMMIT"];

/// Where a process is killed.
pub(super) struct Step {
    pub(super) name: &'static str,
    pub(super) at: At,
    /// How its person's rows stand then, which says that it was the right moment.
    pub(super) stands: &'static str,
    /// Second copies, in the window that is promised to be the only one.
    pub(super) copies: usize,
    /// Nothing is claimed before the process is dead: what is claimed waits for its lease.
    pub(super) without_claims: bool,
}

/// What shows that it is there.
pub(super) enum At {
    Database(Point),
    Broker(Point),
    /// The mail server does not answer.
    Mail(Stage),
}

impl Step {
    fn new(name: &'static str, at: At, stands: &'static str) -> Self {
        Self {
            name,
            at,
            stands,
            copies: 0,
            without_claims: false,
        }
    }

    fn in_the_window(self) -> Self {
        Self { copies: 1, ..self }
    }

    fn without_claims(self) -> Self {
        Self {
            without_claims: true,
            ..self
        }
    }
}

/// Accounts of that person, and events that wait.
pub(super) fn of_user_api() -> [Step; 6] {
    [
        Step::new(
            "before the commit of a sign-up",
            At::Database(Point::before(SIGN_UP)),
            "0 0",
        ),
        Step::new(
            "after the commit of a sign-up",
            At::Database(Point::after(SIGN_UP, "INSERT 0 1")),
            "1 1",
        ),
        Step::new("before a publish", At::Broker(Point::before(PUBLISH)), "1 1"),
        Step::new(
            "after a publish, before its confirmation",
            At::Broker(Point::after(PUBLISH, "basic.ack")),
            "1 1",
        ),
        Step::new(
            "after a confirmation, before its event's deletion",
            At::Database(Point::before(DELETE)),
            "1 1",
        ),
        Step::new(
            "after the deletion of an event",
            At::Database(Point::after(DELETE, "DELETE 1")),
            "1 0",
        ),
    ]
}

/// Steps of the worker before a mail is in hand, and behind its outcome: how its delivery stands.
pub(super) fn of_the_intake() -> [Step; 6] {
    [
        // This one first: behind the others a message comes again, and is acknowledged.
        Step::new("after an acknowledgement", At::Broker(Point::heard(ACK)), "pending").without_claims(),
        Step::new("before an acknowledgement", At::Broker(Point::before(ACK)), "pending").without_claims(),
        Step::new(
            "before the commit of the inbox",
            At::Database(Point::before(INTAKE)),
            "none",
        )
        .without_claims(),
        Step::new(
            "after the commit of the inbox",
            At::Database(Point::after(INTAKE, "COMMIT")),
            "pending",
        )
        .without_claims(),
        Step::new(
            "before the commit of a claim",
            At::Database(Point::before(CLAIM).behind(INTAKE)),
            "pending",
        ),
        Step::new(
            "after the commit of an outcome",
            At::Database(Point::after(OUTCOME, "COMMIT")),
            "accepted",
        ),
    ]
}

/// Steps of the worker with a mail in hand, which comes back when the lease is over.
pub(super) fn of_the_sending() -> [Step; 4] {
    [
        Step::new(
            "after the commit of a claim",
            At::Database(Point::after(CLAIM, "UPDATE 1")),
            "sending",
        ),
        Step::new("before a mail's text", At::Mail(Stage::Data), "sending"),
        Step::new("after a mail's text, before its 250", At::Mail(Stage::Text), "sending").in_the_window(),
        Step::new(
            "after a mail's 250, before its outcome's commit",
            At::Database(Point::before(OUTCOME)),
            "sending",
        )
        .in_the_window(),
    ]
}
