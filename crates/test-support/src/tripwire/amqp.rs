//! AMQP 0-9-1: publishes, and what acknowledges or refuses a message, from either side.

use super::message::{Message, Reads, number, take};

/// The first words of a connection, which are no frame.
const GREETING: &[u8] = b"AMQP";
/// A frame's kind, channel and length, and the byte that ends it.
const AROUND: usize = 8;
/// The frame that holds a method.
const METHOD: u8 = 1;

/// Either side: `basic.publish <exchange> <key>`; `basic.ack`, which a broker says to confirm a publish, and `basic.nack`, to refuse it.
pub(super) struct Frames;

impl Reads for Frames {
    fn next(&mut self, came: &mut Vec<u8>) -> Option<Message> {
        if came.starts_with(GREETING) {
            return Some(Message {
                bytes: take(came, 8)?,
                says: String::new(),
                is_last: false,
            });
        }
        let length = number(came, 3)?;
        let bytes = take(came, length + AROUND)?;
        let says = if bytes[0] == METHOD {
            method(&bytes[7..])
        } else {
            String::new()
        };
        let is_last = matches!(says.as_str(), "basic.ack" | "basic.nack");
        Some(Message { bytes, says, is_last })
    }
}

fn method(text: &[u8]) -> String {
    match text {
        // The class `basic`; two bytes that nobody uses, then two short texts.
        [0, 60, 0, 40, _, _, texts @ ..] => {
            let (exchange, rest) = short(texts);
            format!("basic.publish {exchange} {}", short(rest).0)
        }
        [0, 60, 0, 80, ..] => "basic.ack".to_owned(),
        [0, 60, 0, 120, ..] => "basic.nack".to_owned(),
        _ => String::new(),
    }
}

/// A text of at most 255 bytes, and what stands behind it.
fn short(bytes: &[u8]) -> (String, &[u8]) {
    let Some((length, rest)) = bytes.split_first() else {
        return (String::new(), bytes);
    };
    let (text, rest) = rest.split_at(rest.len().min(usize::from(*length)));
    (String::from_utf8_lossy(text).into_owned(), rest)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_publish_says_where_to_and_an_acknowledgement_what_it_is() {
        let frame = |kind: u8, text: &[u8]| {
            let length = u32::try_from(text.len()).unwrap().to_be_bytes();
            [&[kind, 0, 1], &length[..], text, &[0xCE]].concat()
        };
        let mut came = [
            b"AMQP\0\0\x09\x01".to_vec(),
            frame(1, b"\0\x3c\0\x28\0\0\x06events\x03a.b\x01"),
            frame(3, b"basic.ack"),
            frame(1, b"\0\x3c\0\x50\0\0\0\0\0\0\0\x01\0"),
        ]
        .concat();
        let half = came.split_off(came.len() - 2);
        let says: Vec<_> = std::iter::from_fn(|| Frames.next(&mut came))
            .map(|message| message.says)
            .collect();
        assert_eq!(says, ["", "basic.publish events a.b", ""]);
        came.extend(half);
        let last = Frames.next(&mut came).unwrap();
        assert_eq!((last.says.as_str(), last.is_last, came.len()), ("basic.ack", true, 0));
        came.extend(frame(1, b"\0\x3c\0\x78\0\0\0\0\0\0\0\x01\0"));
        let refusal = Frames.next(&mut came).unwrap();
        assert_eq!((refusal.says.as_str(), refusal.is_last), ("basic.nack", true));
    }
}
