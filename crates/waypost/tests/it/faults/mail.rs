use std::time::Duration;

use test_support::{Answer, Fault, FaultProxy, SmtpReceiver, Stage, eventually};

use super::for_a_while;
use super::load::{SignUp, during, p99, sign_up};
use super::tally::{accounts, mostly_done, settled};
use crate::client::PATIENCE;
use crate::stack::{Servers, Stack};

const A_SECOND: u32 = 20;

#[tokio::test(flavor = "multi_thread")]
async fn a_mail_server_that_hangs_holds_up_nothing_else_and_every_mail_arrives_when_it_answers() {
    let mut stack_smtp = SmtpReceiver::start().await;
    let proxy = FaultProxy::start(stack_smtp.address().to_string()).await;
    let servers = Servers::shared().set("MAIL__URL", format!("smtp://{}", proxy.address()));
    let mut stack = Stack::start(servers).await;
    std::mem::swap(&mut stack.smtp, &mut stack_smtp);
    stack.up().await;
    let mut calls = during(
        for_a_while(Duration::from_secs(3)),
        A_SECOND,
        sign_up(&stack.client, "well", Some(301)),
    )
    .await;
    let well = p99(&calls);

    proxy.set(Fault::BlackHole).await;
    let at_hang = stack.smtp.mails().len();
    let hung = during(
        for_a_while(Duration::from_secs(6)),
        A_SECOND,
        sign_up(&stack.client, "hung", Some(302)),
    )
    .await;
    let meanwhile = p99(&hung);
    calls.extend(hung);
    // Everything else gets through while no mail does: the sign-ups are answered already.
    let reached = "SELECT count(*)::text FROM notification_gateway.deliveries
                   WHERE channel = 'sms' AND status IN ('accepted', 'delivered')";
    let people = accounts(&stack).await;
    eventually(PATIENCE, || async {
        stack.texts(reached).await == [people.to_string()]
    })
    .await;
    let in_hang = stack.smtp.mails().len();
    println!(
        "mail server hangs: {in_hang} mails ({at_hang} at its start), {people} SMS; sign-ups, p99: {well:?} before, {meanwhile:?} meanwhile"
    );
    assert!(in_hang < people, "mails got through a server that hangs");

    proxy.set(Fault::Pass).await;
    mostly_done(&stack, &calls);
    settled(&stack, "mail server hanging", &calls).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mail_server_that_refuses_us_for_a_while_loses_no_mail_and_holds_up_no_sms() {
    let stack = Stack::start(Servers::shared()).await;
    stack.up().await;
    let refusal = Answer::say(554, "5.7.1 <ann@example.org>: Relay access denied");
    stack.smtp.always(Stage::Recipient, refusal);
    let client = stack.client.clone();
    let at_many_domains = move |n: usize| {
        let client = client.clone();
        async move {
            let email = format!("refused{n}@{}.example", n % 7);
            let met = client.try_sign_up(&email, Some(format!("+1303{n:07}"))).await;
            SignUp { email, met }
        }
    };
    let calls = during(for_a_while(Duration::from_secs(5)), A_SECOND, at_many_domains).await;
    // Every account has its SMS while no mail goes.
    let without = "SELECT (SELECT count(*) FROM user_api.users) - (SELECT count(*)
                   FROM notification_gateway.deliveries WHERE channel = 'sms' AND status IN ('accepted', 'delivered'))";
    eventually(PATIENCE, || async {
        stack.texts(&format!("SELECT ({without})::text")).await == ["0"]
    })
    .await;
    let rejected = "SELECT count(*)::text FROM email_worker.deliveries WHERE reason = 'rejected'";
    println!(
        "mail server refuses us: {} mails meanwhile, an SMS for each of {} sign-ups",
        stack.smtp.mails().len(),
        calls.iter().filter(|call| call.what.is_done()).count()
    );
    assert!(stack.smtp.mails().is_empty());

    stack.smtp.always(Stage::Recipient, None);
    settled(&stack, "mail server refusing us", &calls).await;
    assert_eq!(stack.texts(rejected).await, ["0"]);
}
