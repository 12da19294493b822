//! What an exercise is: a name, a check, and how it is proved that the check tells right from wrong.

use futures_util::future::BoxFuture;

/// What a check found, as a sentence: what was seen when the exercise is done, else what is missing.
pub type Verdict = Result<String, String>;

/// Whose code is judged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Whose {
    /// What the learner edits: `skeleton.rs`.
    Learner,
    /// What the guide shows in the end: `solution.rs`.
    Solution,
}

/// What is judged: code, an answer or a Waypost that runs.
#[derive(Debug, Clone)]
pub struct Attempt {
    /// Whose code, where there is any.
    pub whose: Whose,
    /// What was answered, where the exercise asks something.
    pub answer: Option<String>,
    /// `host:port` of the operations port of the user-api that the check looks at, in exercises that have one run.
    pub at: String,
}

/// How tests prove that the check fails as it is meant to, and passes.
#[derive(Debug, Clone, Copy)]
pub enum Proof {
    /// The skeleton fails with these words; the solution passes.
    Code {
        /// Words of the intended message.
        says: &'static str,
    },
    /// A wrong answer is refused, the right one passes.
    Answer {
        /// One that people give.
        wrong: &'static str,
        /// The right one.
        right: &'static str,
    },
    /// The page itself has a command after which the check fails, and one after which it passes; both are run.
    Commands,
}

/// An exercise.
#[derive(Debug, Clone, Copy)]
pub struct Exercise {
    /// Its name on the command line: `cache-1`.
    pub name: &'static str,
    /// What judges an attempt.
    pub check: fn(Attempt) -> BoxFuture<'static, Verdict>,
    /// How the check itself is proved.
    pub proof: Proof,
}

impl Attempt {
    /// An attempt over this code, with no answer and no address.
    pub fn of(whose: Whose) -> Self {
        Self {
            whose,
            answer: None,
            at: String::new(),
        }
    }

    /// The answer, as it is compared: without spaces, in lower case.
    ///
    /// # Errors
    /// A sentence that says how to answer, when nothing was.
    pub(crate) fn answered(&self, name: &str) -> Result<String, String> {
        let answer = self.answer.as_deref().unwrap_or_default();
        let answer: String = answer.to_lowercase().split_whitespace().collect();
        if answer.is_empty() {
            return Err(format!(
                "Nothing is answered yet: `make exercise E={name} A=..` with your answer."
            ));
        }
        Ok(answer)
    }
}
