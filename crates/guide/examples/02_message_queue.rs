//! People sign up while the broker goes and comes: what waits, what comes twice, and what each of them gets.
//!
//! `cargo run --example 02_message_queue [-- --rabbit]`: with it on a RabbitMQ of its own, which it kills.
#![expect(clippy::print_stdout, reason = "it prints what it shows")]

#[path = "02_message_queue/house.rs"]
mod house;
#[path = "02_message_queue/tables.rs"]
mod tables;

use std::time::Duration;

use clap::Parser;
use common::Timestamp;
use common::messaging::{Change, Changes, Intake, Message, Rejection, spawn_relay};
use contracts::Event;
use contracts::events::{Person, UserRegistered};
use contracts::topology::{EMAIL_WORKER_EVENTS, GATEWAY_EVENTS};
use sea_orm::ConnectionTrait;
use test_support::PrivateRabbit;
use uuid::Uuid;

use crate::house::House;

/// People of one step.
const PEOPLE: i64 = 100;

#[derive(Parser)]
struct Arguments {
    /// On a RabbitMQ that is started for it, and killed; in memory without
    #[arg(long)]
    rabbit: bool,
}

/// Signs somebody up: their row and the event that tells of it are one change. No broker is asked.
async fn sign_up(changes: &Changes) -> anyhow::Result<()> {
    let user_id = Uuid::now_v7();
    let person = Person {
        user_id,
        version: 1,
        email: format!("{user_id}@example.org"),
        name: "Ada".into(),
        locale: "en".into(),
        phone: None,
        time_zone: None,
        status: "active".into(),
    };
    let event = Event::new(user_id, Timestamp::now().to_offset(), UserRegistered { person });
    let mut change = changes.begin().await?;
    let row = format!("INSERT INTO people VALUES ('{user_id}')");
    change.tx().execute_unprepared(&row).await?;
    change.tell(&event)?;
    change.commit().await?;
    Ok(())
}

/// What email-worker does with it: a mail is ordered, in the change that holds the message's inbox row.
struct Welcome;

impl Intake for Welcome {
    async fn take(&self, message: &Message, change: &mut Change) -> Result<(), Rejection> {
        let UserRegistered { person } = message.decode()?;
        let order = format!("INSERT INTO mails VALUES ('{}')", person.user_id);
        change.tx().execute_unprepared(&order).await?;
        Ok(())
    }
}

/// Another service hears of it too, and is slower: there are moments when one has taken a message in and the other has not.
struct Slower;

impl Intake for Slower {
    async fn take(&self, _: &Message, _: &mut Change) -> Result<(), Rejection> {
        tokio::time::sleep(Duration::from_millis(3)).await;
        Ok(())
    }
}

/// Begins to relay what was told, and to consume.
fn begin(house: &mut House) -> anyhow::Result<()> {
    let broker = house.connect()?;
    let (metrics, tasks) = (&house.metrics, &house.tasks);
    spawn_relay(&house.changes, broker.clone(), metrics.clone(), tasks);
    broker.consume(house.consumer(EMAIL_WORKER_EVENTS, Welcome), metrics, tasks);
    broker.consume(house.consumer(GATEWAY_EVENTS, Slower), metrics, tasks);
    Ok(())
}

async fn broker_comes(house: &mut House) -> anyhow::Result<()> {
    match &mut house.rabbit {
        Some(rabbit) => rabbit.start().await,
        None => begin(house)?,
    }
    Ok(())
}

async fn people_sign_up(house: &House) -> anyhow::Result<()> {
    for _ in 0..PEOPLE {
        sign_up(&house.changes).await?;
    }
    Ok(())
}

async fn show(house: &House, step: &str) -> anyhow::Result<()> {
    let (people, waiting) = (house.tables.count("people").await?, house.tables.count("outbox").await?);
    let mails = house.tables.count("mails").await?;
    // What was acknowledged and ordered no mail was a copy of what was known.
    let copies = house.acknowledged() - mails;
    println!("{step:<38}{people:<10}{waiting:<10}{mails:<10}{copies}");
    Ok(())
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let on_rabbit = Arguments::parse().rabbit;
    let rabbit = if on_rabbit {
        Some(PrivateRabbit::start().await)
    } else {
        None
    };
    let mut house = House::open(rabbit).await?;
    begin(&mut house)?;
    println!("{:<38}{:<10}{:<10}{:<10}copies", "", "signed up", "waiting", "mails");
    people_sign_up(&house).await?;
    house.tables.settle().await?;
    show(&house, "the broker is there").await?;
    house.broker_goes().await;
    people_sign_up(&house).await?;
    show(&house, "it is away, and people sign up").await?;
    broker_comes(&mut house).await?;
    house.tables.settle().await?;
    show(&house, "it is back").await?;
    house.broker_goes().await;
    people_sign_up(&house).await?;
    for kill in 0..4 {
        broker_comes(&mut house).await?;
        house.tables.have_mails(PEOPLE * 2 + PEOPLE / 5 * kill + 1).await?;
        house.broker_goes().await;
    }
    broker_comes(&mut house).await?;
    house.tables.settle().await?;
    show(&house, "it comes and is killed, four times").await?;
    house.tables.are_right().await?;
    println!("\neach of them has one mail: none is lost, none is doubled");
    let _ = house.tasks.shut_down(Duration::from_secs(5)).await;
    Ok(())
}
