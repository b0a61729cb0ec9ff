//! What can go wrong while a template is rendered, and where.

use std::fmt;

/// A template that can't be rendered: what is wrong, and at which place of the template (or, for
/// [`Problem::Nul`], of the result).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RenderError {
    /// From the outermost step to the innermost; empty for the whole template.
    place: Vec<Step>,
    problem: Box<Problem>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Step {
    Field(String),
    Item(usize),
}

/// What is wrong with a template. The first four are JSON-e's own kinds of error, with its names.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Problem {
    /// An expression that can't be read.
    #[error("SyntaxError: {0}")]
    Syntax(String),
    /// An expression that has no value.
    #[error("InterpreterError: {0}")]
    Interpreter(String),
    /// An operator used wrongly.
    #[error("TemplateError: {0}")]
    Template(String),
    /// A function called with what it doesn't take.
    #[error("BuiltinError: {0}")]
    Builtin(String),
    /// More than a bound of this module allows.
    #[error("LimitError: {what} is more than {limit} allowed")]
    Limit {
        /// What there is too much of.
        what: &'static str,
        /// How much may be.
        limit: u64,
    },
    /// A NUL character in the result: no queue stores one.
    #[error("TemplateError: a NUL character can't be part of a task")]
    Nul,
}

impl RenderError {
    /// What is wrong, apart from the place.
    #[must_use]
    pub fn problem(&self) -> &Problem {
        &self.problem
    }

    /// The same error, seen from the object whose field `name` has it.
    pub(super) fn in_field(mut self, name: &str) -> Self {
        self.place.insert(0, Step::Field(name.chars().take(100).collect()));
        self
    }

    /// The same error, seen from the array whose item `index` has it.
    pub(super) fn in_item(mut self, index: usize) -> Self {
        self.place.insert(0, Step::Item(index));
        self
    }
}

impl From<Problem> for RenderError {
    fn from(problem: Problem) -> Self {
        Self { place: Vec::new(), problem: Box::new(problem) }
    }
}

impl fmt::Display for RenderError {
    /// As JSON-e says it: `InterpreterError at template.payload.env: unknown context value x`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = self.problem.to_string();
        let (name, message) = text.split_once(": ").unwrap_or(("TemplateError", &text));
        f.write_str(name)?;
        if !self.place.is_empty() {
            f.write_str(" at template")?;
        }
        for step in &self.place {
            match step {
                Step::Item(index) => write!(f, "[{index}]")?,
                Step::Field(name) if super::scope::is_identifier(name) => write!(f, ".{name}")?,
                Step::Field(name) => write!(f, "[{}]", serde_json::Value::from(name.as_str()))?,
            }
        }
        write!(f, ": {message}")
    }
}

impl std::error::Error for RenderError {}

/// A text from outside as a message quotes it: not longer than a line.
pub(super) fn quoted(text: &str) -> String {
    const MOST: usize = 120;
    if text.chars().nth(MOST).is_none() { text.to_owned() } else { text.chars().take(MOST).chain(['…']).collect() }
}
