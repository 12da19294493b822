//! PostgreSQL's protocol, version 3: which statements a client runs, in which transaction, and when they are done.

use std::collections::HashMap;

use super::message::{Message, Reads, number, take};

/// What a client says instead of a version, to ask for TLS.
const WISH_FOR_TLS: usize = 80_877_103;

/// A client's side. A statement says its text, behind the texts of those before it in its transaction, without quotes.
#[derive(Default)]
pub(super) struct Requests {
    has_begun: bool,
    /// The texts of prepared statements, by their names.
    prepared: HashMap<String, String>,
    said: String,
    in_transaction: bool,
}

impl Reads for Requests {
    fn next(&mut self, came: &mut Vec<u8>) -> Option<Message> {
        // A message has no kind until the client has said who it is.
        let length_at = usize::from(self.has_begun);
        let length = number(came, length_at)?;
        let bytes = take(came, length_at + length)?;
        let says = if self.has_begun {
            self.statement(&bytes)
        } else {
            self.has_begun = number(&bytes, 4) != Some(WISH_FOR_TLS);
            String::new()
        };
        Some(Message {
            bytes,
            says,
            is_last: false,
        })
    }
}

impl Requests {
    /// What a message runs.
    fn statement(&mut self, bytes: &[u8]) -> String {
        let mut words = bytes[5..].split(|byte| *byte == 0).map(String::from_utf8_lossy);
        let mut word = || words.next().unwrap_or_default().into_owned();
        match bytes[0] {
            b'Q' => {
                let text = word();
                self.runs(&text)
            }
            // Parse: a name and a text.
            b'P' => {
                let (name, text) = (word(), word());
                self.prepared.insert(name, text);
                String::new()
            }
            // Bind: a portal and a statement's name.
            b'B' => {
                let (_, name) = (word(), word());
                let text = self.prepared.get(&name).cloned().unwrap_or_default();
                self.runs(&text)
            }
            _ => String::new(),
        }
    }

    fn runs(&mut self, text: &str) -> String {
        let text = text.replace('"', "");
        let begins = text.starts_with("BEGIN");
        if self.in_transaction && !begins {
            self.said.push_str("; ");
        } else {
            self.said.clear();
        }
        self.said.push_str(&text);
        let ends = text.starts_with("COMMIT") || text.starts_with("ROLLBACK");
        self.in_transaction = (self.in_transaction || begins) && !ends;
        self.said.clone()
    }
}

/// A server's side. Of a statement that is done it says which and with how many rows, `UPDATE 1`.
#[derive(Default)]
pub(super) struct Replies {
    has_begun: bool,
}

impl Reads for Replies {
    fn next(&mut self, came: &mut Vec<u8>) -> Option<Message> {
        let kind = *came.first()?;
        // One letter answers the wish for TLS, before all else.
        let is_letter = !self.has_begun && matches!(kind, b'N' | b'S');
        let bytes = if is_letter {
            take(came, 1)?
        } else {
            let length = number(came, 1)?;
            take(came, 1 + length)?
        };
        self.has_begun = true;
        let says = match kind {
            b'C' if !is_letter => String::from_utf8_lossy(&bytes[5..]).into_owned(),
            _ => String::new(),
        };
        Some(Message {
            bytes,
            says,
            // Ready for the next statement: what was done is committed, unless a transaction is open.
            is_last: kind == b'Z',
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(kind: u8, words: &[&str]) -> Vec<u8> {
        let text: Vec<u8> = words
            .iter()
            .flat_map(|word| [word.as_bytes(), b"\0"].concat())
            .collect();
        let length = u32::try_from(text.len() + 4).unwrap().to_be_bytes();
        [&[kind], &length[..], &text].concat()
    }

    #[test]
    fn a_statement_says_its_text_and_what_came_before_it_in_its_transaction() {
        let mut requests = Requests {
            has_begun: true,
            ..Requests::default()
        };
        let mut came = [
            message(b'P', &["s1", "INSERT INTO \"t\""]),
            message(b'B', &["", "s1"]),
            message(b'Q', &["BEGIN"]),
            message(b'B', &["", "s1"]),
            message(b'Q', &["COMMIT"]),
            message(b'Q', &["SELECT 1"]),
        ]
        .concat();
        let half = came.split_off(came.len() - 3);
        let mut said = Vec::new();
        while let Some(message) = requests.next(&mut came) {
            said.push(message.says);
        }
        came.extend(half);
        said.push(requests.next(&mut came).unwrap().says);
        let transaction = "BEGIN; INSERT INTO t; COMMIT";
        let expected = [
            "",
            "INSERT INTO t",
            "BEGIN",
            &transaction[..20],
            transaction,
            "SELECT 1",
        ];
        assert_eq!(said, expected);
    }

    #[test]
    fn the_first_messages_of_a_connection_have_no_kind() {
        let mut requests = Requests::default();
        let wish = [8_u32.to_be_bytes(), 80_877_103_u32.to_be_bytes()].concat();
        let hello = [9_u32.to_be_bytes(), (3_u32 << 16).to_be_bytes()].concat();
        let mut came = [&wish[..], &hello, b"\0", &message(b'Q', &["BEGIN"])].concat();
        let mut lengths = Vec::new();
        while let Some(message) = requests.next(&mut came) {
            lengths.push((message.bytes.len(), message.says));
        }
        assert_eq!(
            lengths,
            [(8, ""), (9, ""), (11, "BEGIN")].map(|(length, says)| (length, says.to_owned()))
        );

        let mut replies = Replies::default();
        let mut came = [
            b"N".to_vec(),
            message(b'N', &["a notice"]),
            message(b'C', &["UPDATE 1"]),
        ]
        .concat();
        let says: Vec<_> = std::iter::from_fn(|| replies.next(&mut came))
            .map(|message| message.says)
            .collect();
        assert_eq!(says, ["", "", "UPDATE 1\0"]);
    }
}
