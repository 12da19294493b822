//! The operations of a statement, in its order, each with the tables that it names.

use super::tokens::Token;

/// The words of SQL that say where an operation begins, where its tables stand, and where their list ends.
const WORDS: [&str; 15] = [
    "SELECT",
    "INSERT",
    "UPDATE",
    "DELETE",
    "FROM",
    "INTO",
    "JOIN",
    "SET",
    "WHERE",
    "GROUP",
    "ORDER",
    "LIMIT",
    "RETURNING",
    "ON",
    "VALUES",
];

/// All operations of a statement; a part of one, as `ON CONFLICT DO UPDATE` is of an INSERT, is none.
pub(super) fn acts<'a>(tokens: &[Token<'a>]) -> Vec<Act<'a>> {
    let mut reader = Reader::new(tokens);
    (0..tokens.len()).for_each(|at| reader.read(at));
    reader.acts
}

/// One operation in a statement.
pub(super) struct Act<'a> {
    pub(super) operation: &'static str,
    pub(super) tables: Vec<&'a str>,
    /// How many parentheses are open around it.
    depth: usize,
    /// Whether a comma leads to another table here.
    lists_tables: bool,
}

impl<'a> Act<'a> {
    pub(super) fn is_same(&self, other: &Self) -> bool {
        (self.operation, &self.tables) == (other.operation, &other.tables)
    }

    pub(super) fn only_table(&self) -> Option<&'a str> {
        match self.tables.as_slice() {
            [table] => Some(table),
            _ => None,
        }
    }

    pub(super) fn words(&self) -> String {
        let words: Vec<&str> = std::iter::once(self.operation)
            .chain(self.tables.iter().copied())
            .collect();
        words.join(" ")
    }
}

/// Goes through a statement once.
struct Reader<'t, 'a> {
    tokens: &'t [Token<'a>],
    acts: Vec<Act<'a>>,
    /// Indices of the acts whose end has not come yet, the innermost last.
    open: Vec<usize>,
    depth: usize,
    /// Names that the statement gives itself: `WITH name AS (`.
    given: Vec<&'a str>,
}

impl<'t, 'a> Reader<'t, 'a> {
    fn new(tokens: &'t [Token<'a>]) -> Self {
        let mut reader = Self {
            tokens,
            acts: Vec::new(),
            open: Vec::new(),
            depth: 0,
            given: Vec::new(),
        };
        reader.given = (0..tokens.len()).filter_map(|at| reader.given_at(at)).collect();
        reader
    }

    fn read(&mut self, at: usize) {
        match self.tokens[at] {
            Token::Open => self.depth += 1,
            Token::Close => {
                self.depth = self.depth.saturating_sub(1);
                let (acts, depth) = (&self.acts, self.depth);
                self.open.retain(|act| acts[*act].depth <= depth);
            }
            Token::Comma => {
                if self.current().is_some_and(|act| act.lists_tables) {
                    self.table(at + 1, true);
                }
            }
            Token::Word(word) => {
                let known = WORDS.iter().find(|known| known.eq_ignore_ascii_case(word));
                if let Some(word) = known.copied() {
                    self.word(at, word);
                }
            }
            Token::Name(_) | Token::Dot | Token::Other => {}
        }
    }

    fn word(&mut self, at: usize, word: &'static str) {
        let follows = |words: &[&str]| at > 0 && words.iter().any(|before| self.is_word(at - 1, before));
        match word {
            "SELECT" | "INSERT" | "DELETE" => self.begin(word),
            // `ON CONFLICT DO UPDATE` and `FOR NO KEY UPDATE` are parts of another operation.
            "UPDATE" if !follows(&["DO", "FOR", "KEY"]) => {
                self.begin(word);
                self.table(at + 1, false);
            }
            "INTO" => self.table(at + 1, false),
            "JOIN" => self.table(at + 1, true),
            "FROM" if !follows(&["DISTINCT"]) => {
                self.lists_tables(true);
                self.table(at + 1, true);
            }
            "SET" | "WHERE" | "GROUP" | "ORDER" | "LIMIT" | "RETURNING" | "ON" | "VALUES" => self.lists_tables(false),
            _ => {}
        }
    }

    fn begin(&mut self, operation: &'static str) {
        self.open.push(self.acts.len());
        self.acts.push(Act {
            operation,
            tables: Vec::new(),
            depth: self.depth,
            lists_tables: false,
        });
    }

    /// The operation to which a word at this depth belongs; none within a function's arguments: `extract(epoch FROM ..)`.
    fn current(&mut self) -> Option<&mut Act<'a>> {
        let innermost = self.open.last().copied()?;
        let depth = self.depth;
        self.acts.get_mut(innermost).filter(|act| act.depth == depth)
    }

    fn lists_tables(&mut self, so: bool) {
        if let Some(act) = self.current() {
            act.lists_tables = so;
        }
    }

    /// Notes the table whose name begins at `at`, if one does: not a subquery, a function or a name that the statement
    /// gave itself.
    fn table(&mut self, mut at: usize, may_be_function: bool) {
        while self.is_word(at, "ONLY") || self.is_word(at, "LATERAL") {
            at += 1;
        }
        let Some(mut name) = self.name_at(at) else { return };
        while let (Some(Token::Dot), Some(part)) = (self.tokens.get(at + 1), self.name_at(at + 2)) {
            name = part;
            at += 2;
        }
        let is_function = may_be_function && self.tokens.get(at + 1) == Some(&Token::Open);
        if is_function || self.given.contains(&name) {
            return;
        }
        if let Some(act) = self.current().filter(|act| !act.tables.contains(&name)) {
            act.tables.push(name);
        }
    }

    fn given_at(&self, at: usize) -> Option<&'a str> {
        let name = self.name_at(at)?;
        if !self.is_word(at + 1, "AS") {
            return None;
        }
        let mut behind = at + 2;
        while self.is_word(behind, "NOT") || self.is_word(behind, "MATERIALIZED") {
            behind += 1;
        }
        (self.tokens.get(behind) == Some(&Token::Open)).then_some(name)
    }

    fn name_at(&self, at: usize) -> Option<&'a str> {
        match self.tokens.get(at)? {
            Token::Word(name) | Token::Name(name) => Some(name),
            _ => None,
        }
    }

    fn is_word(&self, at: usize, word: &str) -> bool {
        matches!(self.tokens.get(at), Some(Token::Word(there)) if there.eq_ignore_ascii_case(word))
    }
}
