//! A push's parameters: `parameters.yml`, as the reference writes it, or JSON.

use serde_json::{Map, Value};

use crate::yaml::{self, YamlError};

/// A push's parameters, by name.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Parameters(Map<String, Value>);

/// Why bytes are no parameters.
#[derive(Debug, thiserror::Error)]
pub enum ParametersError {
    /// Neither YAML nor JSON.
    #[error("read the parameters: {0}")]
    Yaml(#[from] YamlError),
    /// Not text.
    #[error("read the parameters: they are not UTF-8")]
    Encoding,
    /// Something else than names with values.
    #[error("read the parameters: they are not a mapping")]
    Shape,
}

impl Parameters {
    /// Reads YAML, of which JSON is a part.
    ///
    /// # Errors
    /// If it is neither, or no mapping.
    pub fn read(bytes: &[u8]) -> Result<Self, ParametersError> {
        // The YAML parser is slower, and less exact about what JSON may hold.
        if let Ok(map) = serde_json::from_slice(bytes) {
            return Ok(Self(map));
        }
        match yaml::parse(std::str::from_utf8(bytes).map_err(|_| ParametersError::Encoding)?)? {
            Value::Object(map) => Ok(Self(map)),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_) => {
                Err(ParametersError::Shape)
            }
        }
    }

    /// All of them.
    #[must_use]
    pub fn as_map(&self) -> &Map<String, Value> {
        &self.0
    }

    /// A parameter as text, as it is spliced into index paths: numbers in decimal, absent and null as nothing.
    #[must_use]
    pub fn text(&self, name: &str) -> Option<String> {
        match self.0.get(name)? {
            Value::String(text) => Some(text.clone()),
            Value::Number(number) => Some(number.to_string()),
            Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => None,
        }
    }

    /// The project's short name, such as `lander`.
    #[must_use]
    pub fn project(&self) -> Option<String> {
        self.text("project")
    }

    /// The revision that was pushed.
    #[must_use]
    pub fn revision(&self) -> Option<String> {
        self.text("head_rev")
    }

    /// The repository's level, `1` to `3`.
    #[must_use]
    pub fn level(&self) -> Option<String> {
        self.text("level")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn yaml_and_json_are_read_alike() {
        let yaml =
            Parameters::read(b"level: '3'\nhead_rev: 12345e6789012345678901234567890123456789\nid: 12\n").unwrap();
        let json = Parameters::read(
            b"{\"level\": \"3\", \"head_rev\": \"12345e6789012345678901234567890123456789\", \"id\": 12}",
        );
        assert_eq!(yaml, json.unwrap());
        assert_eq!(yaml.level().as_deref(), Some("3"));
        assert_eq!(yaml.text("id").as_deref(), Some("12"));
        assert_eq!(yaml.project(), None);
    }

    #[test]
    fn what_is_no_mapping_is_refused() {
        for bytes in [&b"- a\n"[..], b"text", b"\xff", b"{a: ", b""] {
            assert!(Parameters::read(bytes).is_err(), "{bytes:?}");
        }
    }
}
