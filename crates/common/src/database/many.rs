//! Many values in one parameter: a statement's text is then the same whatever their number, and stays prepared.
//!
//! A list of placeholders has a length of its own each time; each length is a statement that every connection
//! prepares and keeps.

use std::fmt::Display;

use sea_orm::{DbBackend, Value};
use uuid::Uuid;

/// Values that a statement takes as one parameter.
#[derive(Debug, Clone)]
pub struct Many {
    list: String,
    kind: Kind,
}

#[derive(Debug, Clone, Copy)]
enum Kind {
    Ids,
    Numbers,
    Words,
    Texts,
}

impl Many {
    /// Ids, as a UUID column holds them.
    pub fn ids(ids: impl IntoIterator<Item = Uuid>) -> Self {
        Self::of(Kind::Ids, ids.into_iter().map(Uuid::simple))
    }

    /// Whole numbers.
    pub fn numbers(numbers: impl IntoIterator<Item = i64>) -> Self {
        Self::of(Kind::Numbers, numbers)
    }

    /// Words: names of ours. One with a comma or a quote would be no such name, and is left out.
    pub fn words<'a>(words: impl IntoIterator<Item = &'a str>) -> Self {
        let is_word = |word: &&str| !word.contains([',', '"', '\\']);
        Self::of(Kind::Words, words.into_iter().filter(is_word))
    }

    /// Texts of any kind, such as recipients.
    pub fn texts<'a>(texts: impl IntoIterator<Item = &'a str>) -> Self {
        let list = serde_json::Value::from_iter(texts).to_string();
        Self {
            list,
            kind: Kind::Texts,
        }
    }

    fn of(kind: Kind, values: impl IntoIterator<Item = impl Display>) -> Self {
        let values: Vec<_> = values.into_iter().map(|value| value.to_string()).collect();
        Self {
            list: values.join(","),
            kind,
        }
    }

    /// What the parameter is bound to.
    pub fn value(&self) -> Value {
        self.list.as_str().into()
    }

    /// SQL for: `column` is one of the values, which are bound to the parameter with this number.
    pub fn hold(&self, backend: DbBackend, column: &str, parameter: usize) -> String {
        match backend {
            DbBackend::Postgres => format!("{column} = ANY ({})", self.array(parameter)),
            _ => format!("{column} IN ({})", self.rows(parameter)),
        }
    }

    /// SQL for: `column` is none of them.
    pub fn lack(&self, backend: DbBackend, column: &str, parameter: usize) -> String {
        match (backend, self.kind) {
            // The planner does not see the values. It would take `<> ALL` for true of hardly any row, and read and sort all
            // rows first instead of ending at the limit; that a number is not another number, it takes for usual. Words and
            // texts are few, so it costs little to look for each.
            (DbBackend::Postgres, Kind::Words | Kind::Texts) => {
                let position = format!("array_position({}, {column})", self.array(parameter));
                format!("CASE WHEN {position} IS NULL THEN 0 ELSE 1 END <> 1")
            }
            (DbBackend::Postgres, _) => format!("{column} <> ALL ({})", self.array(parameter)),
            _ => format!("{column} NOT IN ({})", self.rows(parameter)),
        }
    }

    /// The values as an array. With the cast around it the subquery counts as an array, which is made once and not for
    /// each row.
    fn array(&self, parameter: usize) -> String {
        let of = match self.kind {
            Kind::Ids => "uuid[]",
            Kind::Numbers => "bigint[]",
            Kind::Words => "text[]",
            Kind::Texts => {
                return format!(
                    "(SELECT ARRAY(SELECT jsonb_array_elements_text(CAST(${parameter} AS jsonb))))::text[]"
                );
            }
        };
        format!("(SELECT CAST(string_to_array(${parameter}, ',') AS {of}))::{of}")
    }

    /// The values as rows, in a column `value`.
    fn rows(&self, parameter: usize) -> String {
        match self.kind {
            Kind::Numbers => format!("SELECT value FROM json_each('[' || ${parameter} || ']')"),
            Kind::Texts => format!("SELECT value FROM json_each(${parameter})"),
            Kind::Ids | Kind::Words => {
                let value = if matches!(self.kind, Kind::Ids) {
                    "unhex(value) AS value"
                } else {
                    "value"
                };
                format!("SELECT {value} FROM json_each('[\"' || replace(${parameter}, ',', '\",\"') || '\"]')")
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_statement_is_the_same_whatever_the_number_of_values() {
        for backend in [DbBackend::Postgres, DbBackend::Sqlite] {
            let texts = [0, 1, 7, 1_000].map(|count| Many::numbers(0..count).hold(backend, "id", 2));
            assert!(
                texts.iter().all(|text| *text == texts[0] && text.contains("$2")),
                "{texts:?}"
            );
        }
    }

    #[test]
    fn a_word_that_would_be_two_is_left_out() {
        assert_eq!(Many::words(["a.v1", "b,c", "d\"", "e"]).list, "a.v1,e");
    }
}
