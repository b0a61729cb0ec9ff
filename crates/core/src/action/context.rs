//! Which tasks an action is for (wire.md, "actions.json version 1").

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use super::table::{ACTIONS, Action, Context};

/// A task's tags.
pub type Tags = BTreeMap<String, String>;

/// The tag sets of an action: the tasks it is for have all tags of any one set; without a set it is for groups.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct TagSets(Vec<Tags>);

/// A `context` that is no list of tag sets.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("read the action's context: it must be a list of tag sets: objects whose values are texts")]
pub struct BadContext;

impl TagSets {
    /// Reads the `context` of an entry of actions.json; absent is empty.
    ///
    /// # Errors
    /// If it is no list of objects of texts.
    pub fn read(context: Option<&Value>) -> Result<Self, BadContext> {
        match context {
            None => Ok(Self::default()),
            Some(Value::Array(sets)) => sets.iter().map(tags).collect::<Result<_, _>>().map(Self),
            Some(Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Object(_)) => {
                Err(BadContext)
            }
        }
    }

    /// Whether the action is for the task that has these tags, or, without any, for its group.
    #[must_use]
    pub fn fits(&self, task: Option<&Tags>) -> bool {
        match task {
            None => self.0.is_empty(),
            Some(tags) => self.0.iter().any(|set| set.iter().all(|(name, value)| tags.get(name) == Some(value))),
        }
    }

    /// As actions.json has it.
    #[must_use]
    pub fn to_json(&self) -> Value {
        let set = |set: &Tags| {
            Value::Object(
                set.iter().map(|(name, value)| (name.clone(), Value::from(value.as_str()))).collect::<Map<_, _>>(),
            )
        };
        self.0.iter().map(set).collect()
    }
}

impl From<Context> for TagSets {
    fn from(context: Context) -> Self {
        let text = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
        Self(context.iter().map(|set| set.iter().map(text).collect()).collect())
    }
}

fn tags(set: &Value) -> Result<Tags, BadContext> {
    let fields = set.as_object().ok_or(BadContext)?;
    let text = |(name, value): (&String, &Value)| Some((name.clone(), value.as_str()?.to_owned()));
    fields.iter().map(text).collect::<Option<_>>().ok_or(BadContext)
}

/// The action that people mean by `name` on the task with these tags, or, without any, on its group: the first that fits.
#[must_use]
pub fn by_name(name: &str, task: Option<&Tags>) -> Option<&'static Action> {
    ACTIONS.iter().find(|action| action.name == name && TagSets::from(action.context).fits(task))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn tags(pairs: &[(&str, &str)]) -> Tags {
        pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    }

    fn fits(context: Value, task: Option<&Tags>) -> bool {
        TagSets::read(Some(&context)).unwrap().fits(task)
    }

    #[test]
    fn any_one_set_must_be_had_whole() {
        let context = json!([{"k": "b", "p": "l"}, {"k": "t"}]);
        assert!(fits(context.clone(), Some(&tags(&[("k", "b"), ("p", "l"), ("x", "y")]))));
        assert!(fits(context.clone(), Some(&tags(&[("k", "t")]))));
        assert!(!fits(context.clone(), Some(&tags(&[("k", "b")]))));
        assert!(!fits(context, None), "an action for tasks is not for the group");
    }

    #[test]
    fn the_empty_set_is_every_task_and_no_set_is_the_group() {
        assert!(fits(json!([{}]), Some(&tags(&[]))) && !fits(json!([{}]), None));
        assert!(fits(json!([]), None) && !fits(json!([]), Some(&tags(&[("k", "v")]))));
        assert!(TagSets::read(None).unwrap().fits(None));
    }

    #[test]
    fn a_context_is_a_list_of_objects_of_texts() {
        for context in
            [json!({}), json!(null), json!("kind"), json!([1]), json!([["kind", "x"]]), json!([{"retrigger": true}])]
        {
            assert_eq!(TagSets::read(Some(&context)), Err(BadContext), "{context}");
        }
    }

    #[test]
    fn of_several_with_one_name_the_first_that_fits_is_meant() {
        let found = |pairs: &[(&str, &str)]| by_name("retrigger", Some(&tags(pairs))).map(|action| action.cb_name);
        assert_eq!(found(&[("kind", "cron-task"), ("retrigger", "true")]), Some("retrigger-decision"));
        assert_eq!(found(&[("kind", "test"), ("retrigger", "true")]), Some("retrigger"));
        assert_eq!(found(&[("kind", "build")]), Some("retrigger-disabled"));
        assert!(by_name("retrigger", None).is_none());
        assert_eq!(by_name("cancel-all", None).map(|action| action.cb_name), Some("cancel-all"));
    }

    #[test]
    fn contexts_are_written_as_they_are_read() {
        for action in ACTIONS {
            let sets = TagSets::from(action.context);
            assert_eq!(TagSets::read(Some(&sets.to_json())), Ok(sets), "{}", action.cb_name);
        }
    }
}
