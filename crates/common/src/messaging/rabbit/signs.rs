//! Signs of life between the processes of one service: told to those who listen now, kept by nobody.

use std::pin::pin;
use std::time::Duration;

use futures_util::StreamExt;
use lapin::options::{
    BasicConsumeOptions, BasicPublishOptions, ConfirmSelectOptions, ExchangeDeclareOptions, QueueBindOptions,
    QueueDeclareOptions,
};
use lapin::types::{FieldTable, ShortString};
use lapin::{BasicProperties, Channel, Consumer, ExchangeKind};
use tokio::time::interval;

use super::deadline::{CALL, within};
use super::link::Link;
use super::names::Names;
use super::session::Session;
use crate::messaging::error::PublishError;
use crate::messaging::sign::SignOfLife;

/// How often a listener renews its binding: the exchange may have been deleted and declared again.
const BIND_AGAIN: Duration = Duration::from_secs(5);
/// Wait before a listener that ended is set up again.
const AGAIN: Duration = Duration::from_secs(1);

/// Sends a sign to every process of `service` that listens, within 2.5 s. Signs are rare: each has a channel of its own.
///
/// # Errors
/// [`PublishError::Unavailable`] when the broker did not confirm it.
pub(super) async fn tell(names: &Names, link: &Link, service: &str, sign: &SignOfLife) -> Result<(), PublishError> {
    let session = link.session().ok_or(PublishError::Unavailable)?;
    let telling = async {
        let channel = session.connection.create_channel().await?;
        channel.confirm_select(ConfirmSelectOptions::default()).await?;
        declare(&channel, names).await?;
        let confirm = channel
            .basic_publish(
                names.signs().into(),
                service.into(),
                BasicPublishOptions::default(),
                &sign.to_bytes(),
                BasicProperties::default(),
            )
            .await?;
        let confirmation = confirm.await?;
        channel.close(200, "told".into()).await?;
        Ok(confirmation)
    };
    match within(CALL, telling).await {
        Ok(confirmation) if confirmation.is_ack() => Ok(()),
        Ok(_) | Err(_) => Err(PublishError::Unavailable),
    }
}

/// Calls `heard` with each sign of the processes of `service`. Never returns.
pub(super) async fn hear(names: &Names, link: &Link, service: &str, mut heard: impl FnMut(SignOfLife)) {
    loop {
        let session = link.connected().await;
        match within(CALL, listen(names, &session, service)).await {
            Ok(Ears {
                channel,
                queue,
                mut signs,
            }) => {
                let mut broken = pin!(session.broken());
                let mut again = interval(BIND_AGAIN);
                loop {
                    tokio::select! {
                        () = &mut broken => break,
                        // An exchange that was deleted comes back without its bindings, and nobody would notice.
                        _ = again.tick() => if within(CALL, bind(&channel, names, &queue, service)).await.is_err() { break },
                        sign = signs.next() => match sign {
                            Some(Ok(sign)) => SignOfLife::read(&sign.data).into_iter().for_each(&mut heard),
                            Some(Err(_)) | None => break,
                        }
                    }
                }
            }
            Err(error) => tracing::debug!(%error, "signs of life can't be heard yet"),
        }
        tokio::time::sleep(AGAIN).await;
    }
}

/// A queue of this process alone, and the consumer that reads signs from it.
struct Ears {
    channel: Channel,
    queue: ShortString,
    signs: Consumer,
}

async fn listen(names: &Names, session: &Session, service: &str) -> Result<Ears, lapin::Error> {
    let channel = session.connection.create_channel().await?;
    let own = QueueDeclareOptions {
        exclusive: true,
        auto_delete: true,
        ..QueueDeclareOptions::default()
    };
    let queue = channel.queue_declare("".into(), own, FieldTable::default()).await?;
    let queue = queue.name().clone();
    bind(&channel, names, &queue, service).await?;
    let no_ack = BasicConsumeOptions {
        no_ack: true,
        ..BasicConsumeOptions::default()
    };
    let signs = channel
        .basic_consume(queue.clone(), "".into(), no_ack, FieldTable::default())
        .await?;
    Ok(Ears { channel, queue, signs })
}

/// Binds the queue to the signs of `service`; harmless when it is bound already.
async fn bind(channel: &Channel, names: &Names, queue: &ShortString, service: &str) -> Result<(), lapin::Error> {
    declare(channel, names).await?;
    channel
        .queue_bind(
            queue.clone(),
            names.signs().into(),
            service.into(),
            QueueBindOptions::default(),
            FieldTable::default(),
        )
        .await
}

/// Declares the exchange of signs. It is durable, though the signs are not: RabbitMQ 4 warns of what is neither durable nor
/// exclusive.
async fn declare(channel: &Channel, names: &Names) -> Result<(), lapin::Error> {
    let durable = ExchangeDeclareOptions {
        durable: true,
        ..ExchangeDeclareOptions::default()
    };
    channel
        .exchange_declare(
            names.signs().into(),
            ExchangeKind::Direct,
            durable,
            FieldTable::default(),
        )
        .await
}
