//! Messages that come together.

use std::time::Duration;

use futures_util::stream::Fuse;
use futures_util::{Stream, StreamExt};
use lapin::message::Delivery;
use tokio::time::{Instant, timeout_at};

/// How long a message waits at most for others that share its change.
const GATHER: Duration = Duration::from_millis(5);

/// Messages that came close together, as they are to be taken in.
pub(super) struct Gathered {
    /// They may share a change.
    pub(super) together: Vec<Delivery>,
    /// One that came behind them and is taken in by itself.
    pub(super) alone: Option<Delivery>,
}

/// The first message and those that come within 5 ms after it, `most` at most.
///
/// One that was handed out before is alone: it may be the reason why the consumer that had it did not settle it.
///
/// The stream is fused because lapin tells its end only once and gives nothing from then on. When the end comes in here,
/// the caller meets it again at the next read.
pub(super) async fn gather<S>(first: Delivery, most: usize, stream: &mut Fuse<S>) -> Gathered
where
    S: Stream<Item = Result<Delivery, lapin::Error>> + Unpin,
{
    let most = if first.redelivered { 1 } else { most };
    let mut together = vec![first];
    let end = Instant::now() + GATHER;
    while together.len() < most {
        match timeout_at(end, stream.next()).await {
            Ok(Some(Ok(delivery))) if delivery.redelivered => {
                let alone = Some(delivery);
                return Gathered { together, alone };
            }
            Ok(Some(Ok(delivery))) => together.push(delivery),
            Ok(Some(Err(_)) | None) | Err(_) => break,
        }
    }
    Gathered { together, alone: None }
}

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;
    use std::pin::Pin;
    use std::task::{Context, Poll};

    use futures_util::FutureExt;

    use super::*;

    /// What lapin hands out: messages, then its end, once.
    struct Broker(VecDeque<Option<Delivery>>);

    impl Stream for Broker {
        type Item = Result<Delivery, lapin::Error>;

        fn poll_next(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Self::Item>> {
            match self.0.pop_front() {
                Some(next) => Poll::Ready(next.map(Ok)),
                None => Poll::Pending,
            }
        }
    }

    fn delivery(tag: u64, redelivered: bool) -> Delivery {
        Delivery::mock(tag, "".into(), "".into(), redelivered, Vec::new())
    }

    fn broker(next: impl IntoIterator<Item = Option<Delivery>>) -> Fuse<Broker> {
        Broker(next.into_iter().collect()).fuse()
    }

    fn tags(gathered: &Gathered) -> (Vec<u64>, Option<u64>) {
        let tag = |delivery: &Delivery| delivery.delivery_tag;
        (
            gathered.together.iter().map(tag).collect(),
            gathered.alone.as_ref().map(tag),
        )
    }

    #[tokio::test]
    async fn the_end_of_the_stream_is_met_again_by_whoever_reads_on() {
        let mut stream = broker([Some(delivery(2, false)), None]);
        let gathered = gather(delivery(1, false), 10, &mut stream).await;
        assert_eq!(tags(&gathered), (vec![1, 2], None));
        assert!(matches!(stream.next().now_or_never(), Some(None)));
    }

    #[tokio::test]
    async fn what_was_handed_out_before_is_taken_in_by_itself() {
        let mut stream = broker([2, 3, 4, 5].map(|tag| Some(delivery(tag, tag == 3))));
        let gathered = gather(delivery(1, false), 10, &mut stream).await;
        assert_eq!(tags(&gathered), (vec![1, 2], Some(3)));
        let gathered = gather(delivery(6, true), 10, &mut stream).await;
        assert_eq!(tags(&gathered), (vec![6], None));
        let gathered = gather(delivery(7, false), 2, &mut stream).await;
        assert_eq!(tags(&gathered), (vec![7, 4], None), "no more than may share");
    }
}
