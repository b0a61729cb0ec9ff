//! A push's parameters: `parameters.yml`, as the reference writes it, or JSON.

use serde_json::Value;
use taskgraft_core::params::{self, Parameters};

use crate::yaml::{self, YamlError};

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
    #[error("read the parameters: {0}")]
    Shape(#[from] params::ParametersError),
}

/// Reads parameters from YAML or JSON.
///
/// # Errors
/// If it is neither, or no mapping.
pub fn read_parameters(bytes: &[u8]) -> Result<Parameters, ParametersError> {
    // JSON is a part of YAML, but its own parser is faster, and exact about numbers.
    let value = match serde_json::from_slice::<Value>(bytes) {
        Ok(value) => value,
        Err(_) => yaml::parse(std::str::from_utf8(bytes).map_err(|_| ParametersError::Encoding)?)?,
    };
    Ok(Parameters::new(value)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn yaml_and_json_are_read_alike() {
        let yaml = b"level: '3'\nhead_rev: 12345e6789012345678901234567890123456789\nid: 12\n";
        let json = b"{\"level\": \"3\", \"head_rev\": \"12345e6789012345678901234567890123456789\", \"id\": 12}";
        let read = read_parameters(yaml).unwrap();
        assert_eq!(read, read_parameters(json).unwrap());
        assert_eq!(read.text("head_rev").unwrap().len(), 40);
    }

    #[test]
    fn what_is_no_mapping_is_refused() {
        for bytes in [&b"- a\n"[..], b"text", b"\xff", b"{a: ", b""] {
            assert!(read_parameters(bytes).is_err(), "{bytes:?}");
        }
    }
}
