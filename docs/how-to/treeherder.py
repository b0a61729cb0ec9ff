#!/usr/bin/env python3
"""Adds jobs to a push, as a page such as Treeherder does when somebody clicks: a whole program to begin with.

    treeherder.py hook  DECISION LABEL...    reads what the push offers, and triggers the hook of its add-new-jobs
    treeherder.py pulse DECISION LABEL...    publishes a message that `taskgraft listen` or `taskgraft serve` hears

DECISION is the id of the push's decision task. Where Taskcluster is and who asks comes from TASKCLUSTER_ROOT_URL,
TASKCLUSTER_CLIENT_ID, TASKCLUSTER_ACCESS_TOKEN and TASKCLUSTER_CERTIFICATE; `hook` needs the right to trigger the hook,
`pulse` none at all, but a broker's URL in PULSE_URL. Where TASKGRAFT_URL says where `taskgraft serve` is, it is asked what
became of the message. Needs `taskcluster` (Taskcluster's official client), `json-e` for `hook` and `pika` for `pulse`. Ends with 0 when the jobs are there, with --wait when they are green.
"""

import argparse
import json
import os
import sys
import time
import uuid

import requests
import taskcluster
from taskcluster.utils import scopeMatch

# Treeherder's exchange for jobs that somebody adds.
EXCHANGE = "exchange/treeherder/v1/resultset-runnable-job-actions"
UNRESOLVED = ("unscheduled", "pending", "running")


def artifact(queue, task_id, name):
    """A public artifact, read as JSON."""
    answer = requests.get(queue.buildUrl("getLatestArtifact", task_id, name), timeout=60)
    answer.raise_for_status()
    return answer.json()


def tasks(queue, group):
    """The tasks of a group, by their ids."""
    found = {}

    def page(answer):
        found.update((task["status"]["taskId"], task) for task in answer["tasks"])

    queue.listTaskGroup(group, paginationHandler=page)
    return found


def trigger(options, queue, decision, wanted):
    """Triggers the push's action add-new-jobs; the action task's id."""
    import jsone

    offered = artifact(queue, decision, "public/actions.json")
    # Of several actions of one name the first counts.
    action = next((action for action in offered["actions"] if action["name"] == "add-new-jobs"), None)
    if action is None or action["kind"] != "hook":
        sys.exit("the push offers no hook to add jobs with")
    group, hook = action["hookGroupId"], action["hookId"]
    # Anybody can write an actions.json: a hook that the push itself may not offer is not triggered.
    scopes = taskcluster.Auth(options).expandScopes({"scopes": queue.task(decision)["scopes"]})["scopes"]
    if not scopeMatch(scopes, [[f"in-tree:hook-action:{group}/{hook}"]]):
        sys.exit(f"the push may not offer the hook {group}/{hook}")
    context = {"taskGroupId": decision, "taskId": None, "input": wanted, **offered["variables"]}
    payload = jsone.render(action["hookPayload"], context)
    # Triggering twice makes two action tasks: an answer that is lost is not asked for again.
    return taskcluster.Hooks({**options, "maxRetries": 0}).triggerHook(group, hook, payload)["taskId"]


def publish(decision, wanted, args):
    """Publishes the click; whoever listens does the rest. The click's id."""
    import pika

    click = str(uuid.uuid4())
    message = {
        "version": 1,
        "project": args.project,
        "requester": args.requester,
        "requested_jobs": wanted["tasks"],
        "decision_task_id": decision,
        "timestamp": int(time.time()),
    }
    if args.resultset is not None:
        # Has to be the number of the same push.
        message["resultset_id"] = str(args.resultset)
    connection = pika.BlockingConnection(pika.URLParameters(os.environ["PULSE_URL"]))
    channel = connection.channel()
    # The broker then says that it has the message, and that there is a queue for it.
    channel.confirm_delivery()
    # The same message_id is the same click, however often it is delivered.
    properties = pika.BasicProperties(content_type="application/json", delivery_mode=2, message_id=click)
    try:
        channel.basic_publish(args.exchange, args.project, json.dumps(message).encode(), properties, mandatory=True)
    except pika.exceptions.UnroutableError:
        sys.exit(f"nobody listens to {args.exchange} with the key {args.project}")
    except pika.exceptions.ChannelClosedByBroker as refused:
        sys.exit(f"the broker refuses: {refused.reply_text}")
    connection.close()
    return click


def refusal(service, click):
    """What the service says of a click that came to nothing; None while it has not."""
    answer = requests.get(f"{service}/api/taskgraft/v1/requests", params={"key": click}, timeout=60)
    answer.raise_for_status()
    for request in answer.json()["requests"]:
        if request["state"] in ("refused", "failed", "cancelled"):
            return f"request {request['id']} {request['state']}: {request['error']}"
    return None


def new_jobs(queue, decision, labels, before):
    """The tasks with these labels that were not there before: their labels and states, by id."""
    return {
        task_id: (task["task"]["metadata"]["name"], task["status"]["state"])
        for task_id, task in tasks(queue, decision).items()
        if task_id not in before and task["task"]["metadata"]["name"] in labels
    }


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("flow", choices=["hook", "pulse"])
    parser.add_argument("decision", metavar="DECISION")
    parser.add_argument("labels", metavar="LABEL", nargs="+")
    parser.add_argument("--wait", action="store_true", help="follow the jobs to their end")
    parser.add_argument("--patience", type=float, default=600, metavar="SECONDS", help="in all [default: 600]")
    pulse = parser.add_argument_group("pulse")
    pulse.add_argument("--project", default="", help="the push's project")
    pulse.add_argument("--requester", default="", help="who asks, as the policy has to know them")
    pulse.add_argument("--resultset", type=int, help="Treeherder's number of the push, if it has one")
    pulse.add_argument("--exchange", default=EXCHANGE, help="where to publish [default: Treeherder's]")
    args = parser.parse_args()

    options = taskcluster.optionsFromEnvironment()
    queue = taskcluster.Queue({"rootUrl": options["rootUrl"]})
    before, wanted = set(tasks(queue, args.decision)), {"tasks": args.labels}
    action = click = None
    if args.flow == "hook":
        action = trigger(options, queue, args.decision, wanted)
        print(f"action task {action}", flush=True)
    else:
        click = publish(args.decision, wanted, args)
        print(f"published click {click}", flush=True)
    service = os.environ.get("TASKGRAFT_URL")

    told, end = {}, time.monotonic() + args.patience
    while time.monotonic() < end:
        jobs = new_jobs(queue, args.decision, args.labels, before)
        for task_id, (label, state) in jobs.items():
            if told.get(task_id) != state:
                print(f"{label} {task_id} {state}", flush=True)
                told[task_id] = state
        there = {label for label, _ in jobs.values()} == set(args.labels)
        if there and not (args.wait and any(state in UNRESOLVED for _, state in jobs.values())):
            return 0 if not args.wait or all(state == "completed" for _, state in jobs.values()) else 1
        if action and not there and queue.status(action)["status"]["state"] in ("failed", "exception"):
            sys.exit(f"the action task failed: see {queue.buildUrl('getLatestArtifact', action, 'public/logs/live.log')}")
        if click and service and not there and (why := refusal(service, click)):
            sys.exit(why)
        time.sleep(1)
    sys.exit("the jobs did not come in time")


if __name__ == "__main__":
    sys.exit(main())
