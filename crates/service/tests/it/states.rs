//! Queue exchanges of a real RabbitMQ, heard.

use std::time::Duration;

use serde_json::json;
use taskgraft_client::pulse::{Broker, Outgoing, Topology};
use taskgraft_client::{Client, Credentials};
use taskgraft_core::ids::TaskId;
use taskgraft_core::state::TaskState;
use taskgraft_engine::Cache;
use taskgraft_service::config::{Config, Secrets};
use taskgraft_service::pulse::{ListenError, hear_states};
use taskgraft_service::{Live, LiveEvent, MakeError, Parts, Service, StartError, TaskEvent};
use taskgraft_testkit::LATE;
use taskgraft_testkit::rabbit::{self, Rabbit};
use tokio::sync::watch;

/// The queue's exchanges, as a deployment has them.
fn exchanges() -> Vec<String> {
    let of_tasks = ["task-defined", "task-pending", "task-running", "task-completed", "task-failed", "task-exception"];
    of_tasks
        .iter()
        .chain(&["task-group-resolved"])
        .map(|kind| format!("exchange/taskcluster-queue/v1/{kind}"))
        .collect()
}

fn message(kind: &str, task: TaskId) -> Outgoing {
    let at = "2026-11-22T12:00:00.000Z";
    let state = kind.strip_prefix("task-").unwrap();
    let body = json!({"version": 1, "runId": 0, "status": {
        "taskId": task, "provisionerId": "a", "workerType": "b", "taskQueueId": "a/b", "schedulerId": "s",
        "projectId": "none", "taskGroupId": task, "priority": "low", "deadline": at, "expires": at, "retriesLeft": 5,
        "state": state, "runs": [{"runId": 0, "state": state, "reasonCreated": "scheduled", "scheduled": at}],
    }});
    Outgoing {
        exchange: format!("exchange/taskcluster-queue/v1/{kind}"),
        routing_key: format!("primary.{task}.0._._.a.b.s.{task}._"),
        body: body.to_string().into_bytes(),
        ..Outgoing::default()
    }
}

fn resolved(group: TaskId) -> Outgoing {
    let body = json!({"version": 1, "taskGroupId": group, "schedulerId": "s", "expires": "2026-11-22T12:00:00.000Z"});
    Outgoing {
        exchange: "exchange/taskcluster-queue/v1/task-group-resolved".to_owned(),
        routing_key: format!("primary.{group}.s._"),
        body: body.to_string().into_bytes(),
        ..Outgoing::default()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_queues_exchanges_say_reaches_who_follows() {
    let broker = Broker::new(rabbit::shared().parse().unwrap(), b"").unwrap();
    let mut publisher = broker.publisher(Topology { exchanges: exchanges(), ..Topology::default() });
    publisher.publish(&[]).await.unwrap();
    let (live, (stop, stopping)) = (Live::default(), watch::channel(false));
    let mut follower = live.follow();
    let hearing = tokio::spawn({
        let live = live.clone();
        async move { hear_states(&broker, &live, stopping).await }
    });
    let first = TaskId::from_bytes([1; 16]);
    // Before the listener has bound its queue nobody keeps a message: it is sent until it is heard.
    let heard = async {
        loop {
            publisher.publish(&[message("task-pending", first)]).await.unwrap();
            if let Ok(event) = tokio::time::timeout(Duration::from_millis(100), follower.recv()).await {
                return event.unwrap();
            }
        }
    };
    let event = tokio::time::timeout(LATE, heard).await.unwrap();
    let pending = TaskEvent { task: first, group: first, state: TaskState::Pending, run: Some(0) };
    assert_eq!(event, LiveEvent::Task(pending));
    let second = TaskId::from_bytes([2; 16]);
    let messages = [message("task-running", second), message("task-completed", second), resolved(second)];
    publisher.publish(&messages).await.unwrap();
    let told = async {
        // Exchanges are told apart, but which comes first is not promised between them.
        let (mut states, mut resolved) = (Vec::new(), false);
        while states.len() < 2 || !resolved {
            match follower.recv().await.unwrap() {
                LiveEvent::Task(event) if event.task == second => states.push(event.state),
                LiveEvent::GroupResolved(group) => resolved = group == second,
                LiveEvent::Task(_) => {}
            }
        }
        states.sort_unstable_by_key(|state| state.as_str());
        states
    };
    let states = tokio::time::timeout(LATE, told).await.unwrap();
    assert_eq!(states, [TaskState::Completed, TaskState::Running]);
    stop.send_replace(true);
    hearing.await.unwrap().unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_without_handlers_hears_states_and_takes_no_clicks() {
    let rabbit = Rabbit::start();
    let broker = Broker::new(rabbit.url().parse().unwrap(), b"").unwrap();
    let mut publisher = broker.publisher(Topology { exchanges: exchanges(), ..Topology::default() });
    publisher.publish(&[]).await.unwrap();
    let dir = tempfile::tempdir().unwrap();
    let pulse = format!("url = \"amqp://{}\"\nuser = \"guest\"", rabbit.address());
    let config =
        |more: &str| Config::read(&format!("http.listen = \"127.0.0.1:0\"\n[pulse]\n{pulse}\n{more}\n")).unwrap();
    let live = Live::default();
    let parts = |config| Parts {
        config,
        secrets: Secrets { pulse: Some("guest".to_owned()), ..Secrets::default() },
        reader: Client::new(taskgraft_client::Config::new("http://127.0.0.1:9")).unwrap(),
        credentials: Credentials::new("service", "none"),
        cache: Cache::remembering(&dir.path().join("cache"), 1 << 20, 1 << 20).unwrap(),
        journal: dir.path().join("journal.sqlite"),
        live: live.clone(),
        keeper: None,
    };
    let Err(StartError::Unmade(wrong)) = Service::start(parts(config(""))).await else {
        panic!("a broker of whom nothing is wanted")
    };
    assert!(matches!(&*wrong, [MakeError::Pulse(ListenError::Nothing("[[pulse.handler]]"))]), "{wrong:?}");
    let mut follower = live.follow();
    let service = Service::start(parts(config("task_events = true"))).await.unwrap();
    let task = TaskId::from_bytes([4; 16]);
    let heard = async {
        loop {
            publisher.publish(&[message("task-running", task)]).await.unwrap();
            if let Ok(event) = tokio::time::timeout(Duration::from_millis(100), follower.recv()).await {
                return event.unwrap();
            }
        }
    };
    let event = tokio::time::timeout(LATE, heard).await.unwrap();
    assert_eq!(event, LiveEvent::Task(TaskEvent { task, group: task, state: TaskState::Running, run: Some(0) }));
    service.stop().await;
}
