//! A task's definition as it is sent: defaults, checks that no schema can make, and the one way it is stored.
//!
//! What is filled in here is filled into the request's body itself, because errors show it to the caller.

use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::Offset;
use serde_json::{Map, Value};
use taskgraft_core::api::queue::{Priority, TaskDefinition};
use taskgraft_core::ids::TaskId;
use taskgraft_core::scopes::ScopeExpression;
use taskgraft_core::time::{Millis, format_ms, parse};

use super::task::split_queue_id;
use crate::http::ApiError;

/// How far the clocks of a task's maker and of the queue may differ.
const DRIFT_MS: i64 = 15 * 60 * 1000;

/// How far away a deadline may be.
const DEADLINE_DAYS: i64 = 5;

/// Makes the two ways to name a task queue agree: `provisionerId` with `workerType`, or `taskQueueId`.
pub(super) fn fill_in_queue_id(body: &mut Map<String, Value>) -> Result<(), ApiError> {
    let text = |key: &str| body.get(key).and_then(Value::as_str);
    let joined = text("provisionerId").zip(text("workerType")).map(|(left, right)| format!("{left}/{right}"));
    let queue = text("taskQueueId").map(str::to_owned);
    match (joined, queue) {
        (Some(joined), Some(queue)) if joined != queue => {
            Err(ApiError::input("taskQueueId must match \"provisionerId/workerType\""))
        }
        (Some(joined), _) => {
            body.insert("taskQueueId".to_owned(), joined.into());
            Ok(())
        }
        (None, Some(queue)) => {
            let (provisioner, worker_type) = split_queue_id(&queue);
            body.insert("provisionerId".to_owned(), provisioner.into());
            body.insert("workerType".to_owned(), worker_type.into());
            Ok(())
        }
        (None, None) => {
            Err(ApiError::input("at least a provisionerId and a workerType or a taskQueueId must be provided\""))
        }
    }
}

/// What creating this task needs. Priorities above the task's own are as good as its own.
pub(super) fn needed_scopes(body: &Value) -> ScopeExpression {
    let one = |text: String| ScopeExpression::Scope(text);
    let text = |key: &str| body.get(key).and_then(Value::as_str).unwrap_or_default();
    let texts = |key: &str| body.get(key).and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str);
    let mut all: Vec<_> = texts("scopes").map(|scope| one(scope.to_owned())).collect();
    all.extend(texts("routes").map(|route| one(format!("queue:route:{route}"))));
    all.push(one(format!("queue:create-task:project:{}", text("projectId"))));
    all.push(one(format!("queue:scheduler-id:{}", text("schedulerId"))));
    let own: Priority = text("priority").parse().unwrap_or_default();
    let queue = text("taskQueueId");
    let enough = Priority::ALL.into_iter().rev().filter(|priority| *priority >= own);
    all.push(ScopeExpression::AnyOf(
        enough.map(|priority| one(format!("queue:create-task:{priority}:{queue}"))).collect(),
    ));
    ScopeExpression::AllOf(all)
}

/// Checks the three moments, fills in `taskGroupId` and `expires`, and writes the moments as the queue does.
pub(super) fn fill_in_times(body: &mut Map<String, Value>, task_id: TaskId, now: Timestamp) -> Result<(), ApiError> {
    if !body.contains_key("taskGroupId") {
        body.insert("taskGroupId".to_owned(), task_id.as_str().into());
    }
    let (created, deadline) = (moment(body, "created")?, moment(body, "deadline")?);
    let (made, due, at) = (created.as_millisecond(), deadline.as_millisecond(), now.as_millisecond());
    let wrong = [
        (made < at - DRIFT_MS, "`created` cannot be in the past (max 15min drift)"),
        (made > at + DRIFT_MS, "`created` cannot be in the future (max 15min drift)"),
        (made > due, "`deadline` cannot be later than `created`"),
        (due < at, "`deadline` cannot be in the past"),
        (due - at > DEADLINE_DAYS * 86_400_000 + DRIFT_MS, "`deadline` cannot be more than 5 days into the future"),
    ];
    if let Some((_, message)) = wrong.into_iter().find(|(is, _)| *is) {
        return Err(ApiError::input(message));
    }
    if !body.contains_key("expires") {
        body.insert("expires".to_owned(), format_ms(a_year_after(deadline)).into());
    }
    let expires = moment(body, "expires")?;
    if due > expires.as_millisecond() {
        return Err(ApiError::input("`expires` cannot be before `deadline`"));
    }
    for (key, at) in [("created", created), ("deadline", deadline), ("expires", expires)] {
        body.insert(key.to_owned(), format_ms(at).into());
    }
    Ok(())
}

fn moment(body: &Map<String, Value>, key: &str) -> Result<Timestamp, ApiError> {
    let text = body.get(key).and_then(Value::as_str).unwrap_or_default();
    let moment = parse(text).map_err(|error| ApiError::input(format!("`{key}`: {error}")))?;
    Ok(Millis::from(moment).0)
}

/// The same day of the next year, or the first of March where there is none.
fn a_year_after(moment: Timestamp) -> Timestamp {
    let here: DateTime = Offset::UTC.to_datetime(moment);
    let next = here.with().year(here.year().saturating_add(1)).build();
    let next = next.or_else(|_| here.with().year(here.year().saturating_add(1)).month(3).day(1).build());
    next.ok().and_then(|date| Offset::UTC.to_timestamp(date).ok()).unwrap_or(moment)
}

/// What no schema says: a scope may end in one star only.
pub(super) fn check_scopes(task: &TaskDefinition) -> Result<(), ApiError> {
    match task.scopes.iter().any(|scope| scope.ends_with("**")) {
        true => Err(ApiError::input("scopes must not end with `**`")),
        false => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn object(value: Value) -> Map<String, Value> {
        value.as_object().cloned().unwrap()
    }

    #[test]
    fn a_queue_is_named_in_either_way_or_both_if_they_agree() {
        let mut body = object(json!({"taskQueueId": "p/w"}));
        fill_in_queue_id(&mut body).unwrap();
        assert_eq!(body, object(json!({"taskQueueId": "p/w", "provisionerId": "p", "workerType": "w"})));
        let mut body = object(json!({"provisionerId": "p", "workerType": "w"}));
        fill_in_queue_id(&mut body).unwrap();
        assert_eq!(body["taskQueueId"], "p/w");
        assert!(
            fill_in_queue_id(&mut object(json!({"taskQueueId": "p/w", "provisionerId": "p", "workerType": "x"})))
                .is_err()
        );
        assert!(fill_in_queue_id(&mut object(json!({"provisionerId": "p"}))).is_err());
    }

    #[test]
    fn a_leap_day_expires_on_the_first_of_march() {
        let day = |text: &str| parse(text).unwrap();
        assert_eq!(a_year_after(day("2028-02-29T12:00:00Z")), day("2029-03-01T12:00:00Z"));
        assert_eq!(a_year_after(day("2026-11-22T12:00:00.5Z")), day("2027-11-22T12:00:00.5Z"));
    }
}
