//! What the process holds when a mail server says more than it should.

use secrecy::ExposeSecret;
use test_support::{Answer, Process, Stage, amqp_url, eventually};

use crate::world::{SOON, World, sign_up};

/// Connections times what a reply may hold, twice over, and what a process takes for other things meanwhile. Without
/// a bound it was a hundred MiB a second.
const MAY_GROW_KIB: u64 = 2 * 1024;

fn process(world: &World) -> Process {
    let settings = &world.settings;
    Process::run(env!("CARGO_BIN_EXE_email-worker"))
        .folder(&std::env::temp_dir())
        .env("WAYPOST__PROFILE", "test")
        .env("WAYPOST__DATABASE__URL", settings.database.url.expose_secret())
        .env("WAYPOST__BROKER__URL", amqp_url())
        .env("WAYPOST__BROKER__NAMESPACE", &settings.broker.namespace)
        .env("WAYPOST__BROKER__RETRY_DELAYS_MS", "100,300")
        .env("WAYPOST__DISPATCH__RETRY_DELAYS_MS", "50")
        .env("WAYPOST__MAIL__URL", world.smtp.url())
        .env("WAYPOST__EMAIL_WORKER__OPERATIONS__ADDRESS", "127.0.0.1:0")
        .spawn()
}

/// A line of the process's status, in KiB: `VmRSS` is what it holds, `VmHWM` the most that it ever held.
fn memory_kib(process: &Process, line: &str) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", process.id())).unwrap();
    let value = status.lines().find_map(|found| found.strip_prefix(line)).unwrap();
    value.trim_matches(|c: char| !c.is_ascii_digit()).parse().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn replies_without_an_end_do_not_fill_the_process() {
    let world = World::production().await;
    let process = process(&world);
    let mut sent = 0;
    let publish = async |count: usize, name: &str| {
        for number in 0..count {
            let address = format!("{name}{number}@{}.example", number % 4);
            world.publish(&sign_up(&address, "Person", "en")).await;
        }
        count
    };
    sent += publish(40, "before").await;
    world.smtp.wait_for(sent, SOON).await;
    let before = memory_kib(&process, "VmRSS:");

    for (stage, connections) in [
        (Stage::Recipient, 30),
        (Stage::Data, 30),
        (Stage::Sender, 30),
        (Stage::Connect, 2),
        (Stage::Hello, 2),
    ] {
        world.smtp.always(stage, Answer::endless());
        // Connections that rest are gone: it is a new one that hears it.
        world.smtp.script(Stage::Sender, vec![Answer::close(); 8]);
        let until = world.smtp.connections() + connections;
        sent += publish(8, &format!("{stage:?}")).await;
        eventually(SOON, || async { world.smtp.connections() >= until }).await;
        world.smtp.always(stage, None);
        world.smtp.wait_for(sent, SOON * 2).await;
    }
    let grown = memory_kib(&process, "VmHWM:").saturating_sub(before);
    let said = world.smtp.endless_bytes() / 1024;
    println!("{said} KiB of endless replies said; the process held {before} KiB before and {grown} KiB more at most");
    assert!(grown < MAY_GROW_KIB, "{grown} KiB more than {before} KiB");
    let received = world.smtp.per_recipient();
    assert!(received.values().all(|count| *count == 1), "{received:?}");
}
