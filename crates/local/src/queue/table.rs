//! The queue's endpoints, as its published reference lists them, and two of our own for artifacts' bytes.

use super::artifacts::{create, fetch, list, store};
use super::{claim, control, create as creation, groups, lists, queues, report, workers};
use crate::http::{Access, Endpoint, PAGED, Query, Service};

const SLUG: &str = "^[A-Za-z0-9_-]{8}[Q-T][A-Za-z0-9_-][CGKOSWaeimquy26-][A-Za-z0-9_-]{10}[AQgw]$";
const ID: &str = "^[a-zA-Z0-9-_]{1,38}$";

/// The queue.
pub(crate) const SERVICE: Service = Service {
    name: "queue",
    params: &[
        ("taskId", SLUG),
        ("taskGroupId", SLUG),
        ("taskQueueId", "^[a-zA-Z0-9-_]{1,38}\\/[a-z]([-a-z0-9]{0,36}[a-z0-9])?$"),
        ("provisionerId", ID),
        ("workerType", ID),
        ("workerGroup", ID),
        ("workerId", ID),
        ("runId", "^[1-9]*[0-9]+$"),
        ("name", "^[\\x20-\\x7e]+$"),
        ("blob", "^[A-Za-z0-9_-]{22}$"),
    ],
    endpoints: ENDPOINTS,
};

/// The query of a URL that we signed.
const SIGNED: &[Query] = &[("until", "^[0-9]+$"), ("signature", "^[A-Za-z0-9_-]+$")];

const LIST_WORKERS: &[Query] = &[("continuationToken", "."), ("limit", "^[0-9]+$"), ("quarantined", "^(true|false)$")];

const fn scope(template: &'static str) -> Access {
    Access::Scope(template)
}

#[rustfmt::skip]
const ENDPOINTS: &[Endpoint] = &[
    Endpoint::post("tasks", "/tasks", Access::Handler, |ctx, call| Box::pin(lists::tasks(ctx, call))).json("queue/v1/tasks-request.json").query(PAGED),
    Endpoint::post("statuses", "/tasks/status", Access::Handler, |ctx, call| Box::pin(lists::statuses(ctx, call))).json("queue/v1/tasks-request.json").query(PAGED),
    Endpoint::get("status", "/task/<taskId>/status", scope("queue:status:<taskId>"), |ctx, call| Box::pin(lists::status(ctx, call))),
    Endpoint::get("listTaskGroup", "/task-group/<taskGroupId>/list", scope("queue:list-task-group:<taskGroupId>"), |ctx, call| Box::pin(groups::list_task_group(ctx, call))).query(PAGED),
    Endpoint::post("cancelTaskGroup", "/task-group/<taskGroupId>/cancel", Access::Handler, |ctx, call| Box::pin(groups::cancel_task_group(ctx, call))),
    Endpoint::get("getTaskGroup", "/task-group/<taskGroupId>", scope("queue:list-task-group:<taskGroupId>"), |ctx, call| Box::pin(groups::get_task_group(ctx, call))),
    Endpoint::post("sealTaskGroup", "/task-group/<taskGroupId>/seal", Access::Handler, |ctx, call| Box::pin(groups::seal_task_group(ctx, call))),
    Endpoint::post("changeTaskGroupPriority", "/task-group/<taskGroupId>/priority", Access::Handler, |ctx, call| Box::pin(groups::change_task_group_priority(ctx, call))).json("queue/v1/change-task-priority-request.json"),
    Endpoint::get("listDependentTasks", "/task/<taskId>/dependents", scope("queue:list-dependent-tasks:<taskId>"), |ctx, call| Box::pin(groups::list_dependent_tasks(ctx, call))).query(PAGED),
    Endpoint::get("task", "/task/<taskId>", scope("queue:get-task:<taskId>"), |ctx, call| Box::pin(lists::task(ctx, call))),
    Endpoint::put("createTask", "/task/<taskId>", Access::Handler, |ctx, call| Box::pin(creation::create_task(ctx, call))).json("queue/v1/create-task-request.json"),
    Endpoint::post("scheduleTask", "/task/<taskId>/schedule", Access::Handler, |ctx, call| Box::pin(control::schedule_task(ctx, call))),
    Endpoint::post("rerunTask", "/task/<taskId>/rerun", Access::Handler, |ctx, call| Box::pin(control::rerun_task(ctx, call))),
    Endpoint::post("cancelTask", "/task/<taskId>/cancel", Access::Handler, |ctx, call| Box::pin(control::cancel_task(ctx, call))),
    Endpoint::post("changeTaskPriority", "/task/<taskId>/priority", Access::Handler, |ctx, call| Box::pin(control::change_task_priority(ctx, call))).json("queue/v1/change-task-priority-request.json"),
    Endpoint::post("claimWork", "/claim-work/<*taskQueueId>", Access::Handler, |ctx, call| Box::pin(claim::claim_work(ctx, call))).json("queue/v1/claim-work-request.json"),
    Endpoint::post("claimTask", "/task/<taskId>/runs/<runId>/claim", Access::Handler, |ctx, call| Box::pin(claim::claim_task(ctx, call))).json("queue/v1/task-claim-request.json"),
    Endpoint::post("reclaimTask", "/task/<taskId>/runs/<runId>/reclaim", scope("queue:reclaim-task:<taskId>/<runId>"), |ctx, call| Box::pin(claim::reclaim_task(ctx, call))),
    Endpoint::post("reportCompleted", "/task/<taskId>/runs/<runId>/completed", scope("queue:resolve-task:<taskId>/<runId>"), |ctx, call| Box::pin(report::completed(ctx, call))),
    Endpoint::post("reportFailed", "/task/<taskId>/runs/<runId>/failed", scope("queue:resolve-task:<taskId>/<runId>"), |ctx, call| Box::pin(report::failed(ctx, call))),
    Endpoint::post("reportException", "/task/<taskId>/runs/<runId>/exception", scope("queue:resolve-task:<taskId>/<runId>"), |ctx, call| Box::pin(report::exception(ctx, call))).json("queue/v1/task-exception-request.json"),
    Endpoint::post("createArtifact", "/task/<taskId>/runs/<runId>/artifacts/<*name>", scope("queue:create-artifact:<taskId>/<runId>"), |ctx, call| Box::pin(create::create_artifact(ctx, call))).json("queue/v1/post-artifact-request.json"),
    Endpoint::put("finishArtifact", "/task/<taskId>/runs/<runId>/artifacts/<*name>", scope("queue:create-artifact:<taskId>/<runId>"), |ctx, call| Box::pin(create::finish_artifact(ctx, call))).json("queue/v1/finish-artifact-request.json"),
    Endpoint::get("listArtifacts", "/task/<taskId>/runs/<runId>/artifacts", scope("queue:list-artifacts:<taskId>:<runId>"), |ctx, call| Box::pin(list::list_artifacts(ctx, call))).query(PAGED),
    Endpoint::get("getArtifact", "/task/<taskId>/runs/<runId>/artifacts/<*name>", Access::Handler, |ctx, call| Box::pin(fetch::get_artifact(ctx, call))),
    Endpoint::get("listLatestArtifacts", "/task/<taskId>/artifacts", scope("queue:list-artifacts:<taskId>"), |ctx, call| Box::pin(list::list_latest_artifacts(ctx, call))).query(PAGED),
    Endpoint::get("getLatestArtifact", "/task/<taskId>/artifacts/<*name>", Access::Handler, |ctx, call| Box::pin(fetch::get_latest_artifact(ctx, call))),
    Endpoint::get("artifactInfo", "/task/<taskId>/runs/<runId>/artifact-info/<*name>", scope("queue:list-artifacts:<taskId>:<runId>"), |ctx, call| Box::pin(list::artifact_info(ctx, call))),
    Endpoint::get("latestArtifactInfo", "/task/<taskId>/artifact-info/<*name>", scope("queue:list-artifacts:<taskId>"), |ctx, call| Box::pin(list::latest_artifact_info(ctx, call))),
    Endpoint::get("artifact", "/task/<taskId>/runs/<runId>/artifact-content/<*name>", Access::Handler, |ctx, call| Box::pin(fetch::artifact(ctx, call))),
    Endpoint::get("latestArtifact", "/task/<taskId>/artifact-content/<*name>", Access::Handler, |ctx, call| Box::pin(fetch::latest_artifact(ctx, call))),
    Endpoint::put("putArtifactBytes", "/artifact-store/<blob>", Access::Open, |ctx, call| Box::pin(store::put_bytes(ctx, call))).stream().query(SIGNED),
    Endpoint::get("getArtifactBytes", "/artifact-store/<blob>", Access::Open, |ctx, call| Box::pin(store::get_bytes(ctx, call))).query(SIGNED),
    Endpoint::get("pendingTasks", "/pending/<*taskQueueId>", scope("queue:pending-count:<taskQueueId>"), |ctx, call| Box::pin(queues::pending_tasks(ctx, call))),
    Endpoint::get("taskQueueCounts", "/task-queues/<taskQueueId>/counts", Access::Handler, |ctx, call| Box::pin(queues::task_queue_counts(ctx, call))),
    Endpoint::get("listPendingTasks", "/task-queues/<taskQueueId>/pending", scope("queue:pending-list:<taskQueueId>"), |ctx, call| Box::pin(queues::list_pending_tasks(ctx, call))).query(PAGED),
    Endpoint::get("listClaimedTasks", "/task-queues/<taskQueueId>/claimed", scope("queue:claimed-list:<taskQueueId>"), |ctx, call| Box::pin(queues::list_claimed_tasks(ctx, call))).query(PAGED),
    Endpoint::get("listTaskQueues", "/task-queues", scope("queue:list-task-queues"), |ctx, call| Box::pin(queues::list_task_queues(ctx, call))).query(PAGED),
    Endpoint::get("getTaskQueue", "/task-queues/<taskQueueId>", scope("queue:get-task-queue:<taskQueueId>"), |ctx, call| Box::pin(queues::get_task_queue(ctx, call))),
    Endpoint::get("listProvisioners", "/provisioners", scope("queue:list-provisioners"), |ctx, call| Box::pin(queues::list_provisioners(ctx, call))).query(PAGED),
    Endpoint::get("getProvisioner", "/provisioners/<provisionerId>", scope("queue:get-provisioner:<provisionerId>"), |ctx, call| Box::pin(queues::get_provisioner(ctx, call))),
    Endpoint::get("listWorkerTypes", "/provisioners/<provisionerId>/worker-types", scope("queue:list-worker-types:<provisionerId>"), |ctx, call| Box::pin(queues::list_worker_types(ctx, call))).query(PAGED),
    Endpoint::get("getWorkerType", "/provisioners/<provisionerId>/worker-types/<workerType>", scope("queue:get-worker-type:<provisionerId>/<workerType>"), |ctx, call| Box::pin(queues::get_worker_type(ctx, call))),
    Endpoint::get("listWorkers", "/provisioners/<provisionerId>/worker-types/<workerType>/workers", scope("queue:list-workers:<provisionerId>/<workerType>"), |ctx, call| Box::pin(workers::list_workers(ctx, call))).query(LIST_WORKERS),
    Endpoint::get("getWorker", "/provisioners/<provisionerId>/worker-types/<workerType>/workers/<workerGroup>/<workerId>", scope("queue:get-worker:<provisionerId>/<workerType>/<workerGroup>/<workerId>"), |ctx, call| Box::pin(workers::get_worker(ctx, call))),
    Endpoint::put("quarantineWorker", "/provisioners/<provisionerId>/worker-types/<workerType>/workers/<workerGroup>/<workerId>", scope("queue:quarantine-worker:<provisionerId>/<workerType>/<workerGroup>/<workerId>"), |ctx, call| Box::pin(workers::quarantine_worker(ctx, call))).json("queue/v1/quarantine-worker-request.json"),
];
