//! A typed view of a decision's parameters. Reading YAML is the engine's.

use serde_json::{Map, Value};

/// The parameters that a decision task ran with.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Parameters(Map<String, Value>);

/// Parameters that can't be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ParametersError {
    /// Not an object.
    #[error("parameters must be an object")]
    NotAnObject,
    /// One that is needed is absent, or of another type.
    #[error("parameter `{name}` must be {expected}")]
    Bad {
        /// Its name.
        name: &'static str,
        /// What it should be.
        expected: &'static str,
    },
}

impl Parameters {
    /// Takes an object; what is in it is looked at when it is used.
    ///
    /// # Errors
    ///
    /// Not an object.
    pub fn new(value: Value) -> Result<Self, ParametersError> {
        match value {
            Value::Object(fields) => Ok(Self(fields)),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_) => {
                Err(ParametersError::NotAnObject)
            }
        }
    }

    /// One parameter as it is.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&Value> {
        self.0.get(name)
    }

    /// All of them.
    #[must_use]
    pub fn fields(&self) -> &Map<String, Value> {
        &self.0
    }

    /// A parameter that must be text.
    ///
    /// # Errors
    ///
    /// It is absent or something else.
    pub fn text(&self, name: &'static str) -> Result<&str, ParametersError> {
        self.get(name).and_then(Value::as_str).ok_or(ParametersError::Bad { name, expected: "a text" })
    }

    /// `level` as text; some write it as a number.
    ///
    /// # Errors
    ///
    /// It is absent or neither.
    pub fn level(&self) -> Result<String, ParametersError> {
        self.text_or_number("level")
    }

    /// `pushlog_id` as text; some write it as a number.
    ///
    /// # Errors
    ///
    /// It is absent or neither.
    pub fn pushlog_id(&self) -> Result<String, ParametersError> {
        self.text_or_number("pushlog_id")
    }

    fn text_or_number(&self, name: &'static str) -> Result<String, ParametersError> {
        match self.get(name) {
            Some(Value::String(text)) => Ok(text.clone()),
            Some(Value::Number(number)) if !number.is_f64() => Ok(number.to_string()),
            Some(Value::Null | Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_)) | None => {
                Err(ParametersError::Bad { name, expected: "a text" })
            }
        }
    }

    /// The paths that the push changed.
    ///
    /// # Errors
    ///
    /// No list of texts.
    pub fn files_changed(&self) -> Result<Vec<&str>, ParametersError> {
        let bad = ParametersError::Bad { name: "files_changed", expected: "a list of paths" };
        let list = self.get("files_changed").and_then(Value::as_array).ok_or(bad.clone())?;
        list.iter().map(|path| path.as_str().ok_or(bad.clone())).collect()
    }

    /// Whether head and base are one revision, so that there is nothing to compare: cron and action tasks.
    #[must_use]
    pub fn has_no_delta(&self) -> bool {
        let base = self.get("base_rev").filter(|base| !matches!(base, Value::Null) && base.as_str() != Some(""));
        base.is_some() && base == self.get("head_rev")
    }
}
