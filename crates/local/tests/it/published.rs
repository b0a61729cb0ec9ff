//! What Taskcluster publishes about its answers.

use std::collections::HashMap;

use serde_json::Value;
use taskgraft_testkit::recorded::shared;

use crate::requests::Answer;

/// The published references and schemas, by path.
pub(crate) struct Published(HashMap<String, Value>);

impl Published {
    pub(crate) fn read() -> Option<Self> {
        let text = std::fs::read_to_string(shared()?.join("data/taskcluster-api.json")).unwrap();
        let files: Vec<Value> = serde_json::from_str(&text).unwrap();
        let entry = |file: Value| (file["filename"].as_str().unwrap().to_owned(), file["content"].clone());
        Some(Self(files.into_iter().map(entry).collect()))
    }

    /// What validates the answers of an endpoint.
    fn validator(&self, service: &str, name: &str) -> jsonschema::Validator {
        let entries = self.0[&format!("references/{service}/v1/api.json")]["entries"].as_array().unwrap();
        let entry = entries.iter().find(|entry| entry["name"] == name).unwrap();
        self.schema(service, &entry["output"])
    }

    fn schema(&self, service: &str, path: &Value) -> jsonschema::Validator {
        let path = path.as_str().unwrap().trim_end_matches('#');
        let mut schema = self.0[&format!("schemas/{service}/{path}")].clone();
        self.inline(service, &mut schema);
        jsonschema::options().should_validate_formats(true).build(&schema).unwrap()
    }

    /// Puts what `$ref` names in its place; the schemas name each other by file, and never themselves.
    fn inline(&self, service: &str, schema: &mut Value) {
        while let Some(reference) = schema.get("$ref").and_then(Value::as_str) {
            let (file, pointer) = reference.split_once('#').unwrap();
            let file = &self.0[&format!("schemas/{service}/v1/{}", file.trim_start_matches("./"))];
            *schema = file.pointer(pointer).unwrap().clone();
        }
        if let Some(fields) = schema.as_object_mut() {
            fields.retain(|key, _| key != "$id" && key != "$schema");
            fields.values_mut().for_each(|value| self.inline(service, value));
        } else if let Some(items) = schema.as_array_mut() {
            items.iter_mut().for_each(|value| self.inline(service, value));
        }
    }

    /// That a message is as its exchange has it, and addressed so.
    pub(crate) fn check_message(&self, service: &str, exchange: &str, routing_key: &str, body: &Value) {
        let reference = &self.0[&format!("references/{service}/v1/exchanges.json")];
        let name = exchange.strip_prefix(reference["exchangePrefix"].as_str().unwrap()).unwrap();
        let entry = reference["entries"].as_array().unwrap().iter().find(|entry| entry["exchange"] == name).unwrap();
        let mistakes: Vec<String> =
            self.schema(service, &entry["schema"]).iter_errors(body).map(|it| it.to_string()).collect();
        assert!(mistakes.is_empty(), "{name}: {mistakes:?} in {body}");
        let places = entry["routingKey"].as_array().unwrap();
        let words: Vec<&str> = routing_key.split('.').collect();
        assert_eq!(words.len(), places.len(), "{name}: {routing_key}");
        for (place, word) in places.iter().zip(words) {
            let told = &body[place["name"].as_str().unwrap()];
            let told = if told.is_null() { &body["status"][place["name"].as_str().unwrap()] } else { told };
            let expected = match (place["constant"].as_str(), told) {
                (Some(constant), _) => constant.to_owned(),
                (None, Value::String(text)) => text.clone(),
                (None, Value::Number(number)) => number.to_string(),
                (None, _) => "_".to_owned(),
            };
            assert_eq!(word, expected, "{name}: {} in {routing_key}", place["name"]);
        }
    }

    /// That an endpoint was answered as its schema has it.
    pub(crate) fn check(&self, service: &str, name: &str, answer: &Answer) {
        let text = String::from_utf8_lossy(&answer.body);
        assert!([200, 303].contains(&answer.status), "{name}: {} {text}", answer.status);
        let answered: Value = serde_json::from_str(&text).unwrap();
        let validator = self.validator(service, name);
        let mistakes: Vec<String> = validator.iter_errors(&answered).map(|it| it.to_string()).collect();
        assert!(mistakes.is_empty(), "{name}: {mistakes:?} in {text}");
    }
}
