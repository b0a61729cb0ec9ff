"""The official Taskcluster client drives the embedded Taskcluster.

Where it is and with which credentials comes from the environment, as the official clients read it:
TASKCLUSTER_ROOT_URL, TASKCLUSTER_CLIENT_ID and TASKCLUSTER_ACCESS_TOKEN (which may do everything).
The Rust test `python_client` starts a server and runs this.
"""

import asyncio
import datetime
import os
import unittest

import requests
import taskcluster
import taskcluster.aio
from taskcluster.download import downloadArtifactToBuf
from taskcluster.exceptions import (
    TaskclusterArtifactError,
    TaskclusterAuthFailure,
    TaskclusterRestFailure,
)

ROOT = {
    "rootUrl": os.environ["TASKCLUSTER_ROOT_URL"],
    "credentials": {
        "clientId": os.environ["TASKCLUSTER_CLIENT_ID"],
        "accessToken": os.environ["TASKCLUSTER_ACCESS_TOKEN"],
    },
    "maxRetries": 0,
}
WORKER = {"workerGroup": "lab", "workerId": "bench-1"}


def options(**changes):
    # The client turns the credentials that it is given into bytes, in place.
    given = {**ROOT, **changes}
    return {**given, "credentials": dict(given["credentials"])}


def anonymous():
    return {"rootUrl": ROOT["rootUrl"], "maxRetries": 0}


def now():
    return datetime.datetime.now(datetime.timezone.utc)


def definition(**changes):
    task = {
        # A queue of its own for each task, so that tests don't claim each other's.
        "taskQueueId": "proj-lander/" + taskcluster.slugId().replace("_", "-").lower().strip("-"),
        "schedulerId": "lander-level-1",
        "created": taskcluster.fromNowJSON("0 seconds"),
        "deadline": taskcluster.fromNowJSON("1 hour"),
        "expires": taskcluster.fromNowJSON("1 day"),
        "payload": {},
        "metadata": {
            "name": "a task",
            "description": "made by the official client",
            "owner": "ann@example.org",
            "source": "https://example.org/lander",
        },
    }
    task.update(changes)
    return task


class Case(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.queue = taskcluster.Queue(options())
        cls.index = taskcluster.Index(options())
        cls.auth = taskcluster.Auth(options())

    def create(self, **changes):
        """Creates a task; its id and its definition."""
        task_id, task = taskcluster.slugId(), definition(**changes)
        self.queue.createTask(task_id, task)
        return task_id, task

    def claim(self, task_id, task):
        """Claims a pending task; a queue client with the run's credentials."""
        (claim,) = self.queue.claimWork(task["taskQueueId"], {**WORKER, "tasks": 1})["tasks"]
        self.assertEqual(claim["status"]["taskId"], task_id)
        return taskcluster.Queue(options(credentials=claim["credentials"])), claim

    def complete(self, task_id, task):
        worker, claim = self.claim(task_id, task)
        return worker.reportCompleted(task_id, str(claim["runId"]))["status"]

    def state(self, task_id):
        return self.queue.status(task_id)["status"]["state"]

    def refused(self, status, code, call, *args, **kwargs):
        """The call is refused with this status and this Taskcluster error code."""
        with self.assertRaises((TaskclusterRestFailure, TaskclusterAuthFailure)) as caught:
            call(*args, **kwargs)
        self.assertEqual((caught.exception.status_code, caught.exception.body["code"]), (status, code))
        return caught.exception


class LifeOfATask(Case):
    def test_from_creation_to_completion(self):
        task_id, task = self.create()
        self.assertEqual(self.state(task_id), "pending")
        self.assertEqual(self.queue.pendingTasks(task["taskQueueId"])["pendingTasks"], 1)
        worker, claim = self.claim(task_id, task)
        self.assertEqual(claim["runId"], 0)
        self.assertEqual(claim["task"]["metadata"], task["metadata"])
        self.assertEqual(self.state(task_id), "running")
        reclaimed = worker.reclaimTask(task_id, "0")
        self.assertGreaterEqual(reclaimed["takenUntil"], claim["takenUntil"])
        status = worker.reportCompleted(task_id, "0")["status"]
        self.assertEqual(status["state"], "completed")
        (run,) = status["runs"]
        self.assertEqual((run["reasonResolved"], run["workerId"]), ("completed", "bench-1"))
        self.assertEqual(self.queue.task(task_id)["taskGroupId"], task_id)

    def test_failure_rerun_and_exception(self):
        task_id, task = self.create()
        worker, _ = self.claim(task_id, task)
        worker.reportFailed(task_id, "0")
        self.assertEqual(self.state(task_id), "failed")
        status = self.queue.rerunTask(task_id)["status"]
        self.assertEqual((status["state"], status["runs"][1]["reasonCreated"]), ("pending", "rerun"))
        worker, claim = self.claim(task_id, task)
        self.assertEqual(claim["runId"], 1)
        # Lost machines are tried again without being asked, malformed payloads are not.
        status = worker.reportException(task_id, "1", {"reason": "worker-shutdown"})["status"]
        self.assertEqual((status["state"], status["runs"][2]["reasonCreated"]), ("pending", "retry"))
        worker, _ = self.claim(task_id, task)
        status = worker.reportException(task_id, "2", {"reason": "malformed-payload"})["status"]
        self.assertEqual((status["state"], len(status["runs"])), ("exception", 3))

    def test_a_cancelled_task_can_not_be_completed(self):
        task_id, task = self.create()
        worker, _ = self.claim(task_id, task)
        status = self.queue.cancelTask(task_id)["status"]
        self.assertEqual((status["state"], status["runs"][0]["reasonResolved"]), ("exception", "canceled"))
        self.refused(409, "RequestConflict", worker.reportCompleted, task_id, "0")
        self.refused(409, "RequestConflict", worker.reclaimTask, task_id, "0")

    def test_what_is_not_there(self):
        nothing = taskcluster.slugId()
        for call in (self.queue.task, self.queue.status, self.queue.cancelTask, self.queue.listTaskGroup):
            self.refused(404, "ResourceNotFound", call, nothing)

    def test_many_at_once(self):
        ids = [self.create()[0] for _ in range(3)]
        asked = {"taskIds": ids + [taskcluster.slugId()]}
        statuses = self.queue.statuses(asked)["statuses"]
        self.assertEqual({status["taskId"] for status in statuses}, set(ids))
        tasks = self.queue.tasks(asked)["tasks"]
        self.assertEqual({task["taskId"] for task in tasks}, set(ids))


class Creation(Case):
    def test_the_same_again_is_fine_and_something_else_is_not(self):
        task_id, task = self.create()
        again = self.queue.createTask(task_id, task)["status"]
        self.assertEqual(again["taskId"], task_id)
        # A default spelled out, and another spelling of the same moment.
        created = task["created"].replace("Z", "+00:00")
        self.queue.createTask(task_id, {**task, "priority": "lowest", "retries": 5, "created": created})
        other = {**task, "payload": {"changed": True}}
        self.refused(409, "RequestConflict", self.queue.createTask, task_id, other)
        self.assertEqual(self.queue.task(task_id)["payload"], {})

    def test_what_does_not_fit_the_schema(self):
        wrong = [
            {"colour": "red"},
            {"priority": "urgent"},
            {"retries": 50},
            {"routes": ["a", "a"]},
            {"metadata": {"name": "only a name"}},
            {"dependencies": ["short"]},
        ]
        for changes in wrong:
            with self.subTest(changes):
                task_id = taskcluster.slugId()
                self.refused(400, "InputValidationError", self.queue.createTask, task_id, definition(**changes))
                self.refused(404, "ResourceNotFound", self.queue.status, task_id)

    def test_times_that_can_not_be(self):
        wrong = [
            {"created": taskcluster.fromNowJSON("-20 minutes")},
            {"deadline": taskcluster.fromNowJSON("6 days"), "expires": taskcluster.fromNowJSON("7 days")},
            {"deadline": taskcluster.fromNowJSON("-1 minute")},
            {"expires": taskcluster.fromNowJSON("30 minutes")},
        ]
        for changes in wrong:
            with self.subTest(changes):
                self.refused(400, "InputError", self.queue.createTask, taskcluster.slugId(), definition(**changes))

    def test_a_group_has_one_scheduler_and_can_be_sealed(self):
        group, _ = self.create()
        self.create(taskGroupId=group)
        other = definition(taskGroupId=group, schedulerId="somebody-else")
        self.refused(409, "RequestConflict", self.queue.createTask, taskcluster.slugId(), other)
        self.assertIn("sealed", self.queue.sealTaskGroup(group))
        late = definition(taskGroupId=group)
        self.refused(409, "RequestConflict", self.queue.createTask, taskcluster.slugId(), late)
        cancelled = self.queue.cancelTaskGroup(group)
        self.assertEqual((cancelled["taskGroupSize"], cancelled["cancelledCount"]), (2, 2))


class Dependencies(Case):
    def test_a_task_waits_for_all_it_depends_on(self):
        first, second = self.create(), self.create()
        waiting, _ = self.create(dependencies=[first[0], second[0]])
        self.assertEqual(self.state(waiting), "unscheduled")
        self.complete(*first)
        self.assertEqual(self.state(waiting), "unscheduled")
        dependents = self.queue.listDependentTasks(first[0])["tasks"]
        self.assertEqual([task["status"]["taskId"] for task in dependents], [waiting])
        self.complete(*second)
        self.assertEqual(self.state(waiting), "pending")
        # Nothing is left to wait for: pending at once.
        at_once, _ = self.create(dependencies=[first[0], second[0]])
        self.assertEqual(self.state(at_once), "pending")

    def test_a_failure_releases_only_who_asked_for_that(self):
        task_id, task = self.create()
        patient, _ = self.create(dependencies=[task_id])
        content, _ = self.create(dependencies=[task_id], requires="all-resolved")
        worker, _ = self.claim(task_id, task)
        worker.reportFailed(task_id, "0")
        self.assertEqual((self.state(patient), self.state(content)), ("unscheduled", "pending"))
        self.assertEqual(self.queue.scheduleTask(patient)["status"]["state"], "pending")

    def test_dependencies_that_can_not_be(self):
        ghost = taskcluster.slugId()
        task_id = taskcluster.slugId()
        self.refused(400, "InputError", self.queue.createTask, task_id, definition(dependencies=[ghost]))
        self.refused(404, "ResourceNotFound", self.queue.status, task_id)
        soon, later = taskcluster.fromNowJSON("5 minutes"), taskcluster.fromNowJSON("6 minutes")
        brief, _ = self.create(deadline=soon, expires=later)
        self.refused(400, "InputError", self.queue.createTask, taskcluster.slugId(), definition(dependencies=[brief]))
        real, _ = self.create()
        twice = definition(dependencies=[real, real])
        self.refused(400, "InputValidationError", self.queue.createTask, taskcluster.slugId(), twice)


class Artifacts(Case):
    def running(self):
        task_id, task = self.create()
        worker, _ = self.claim(task_id, task)
        return task_id, task, worker

    def put(self, worker, task_id, name, content, content_type="text/plain"):
        request = {"storageType": "s3", "contentType": content_type, "expires": taskcluster.fromNowJSON("2 hours")}
        answer = worker.createArtifact(task_id, "0", name, request)
        response = requests.put(answer["putUrl"], data=content, headers={"Content-Type": answer["contentType"]})
        response.raise_for_status()

    def test_a_file_goes_up_and_comes_down(self):
        task_id, _, worker = self.running()
        content = os.urandom(100_000)
        self.put(worker, task_id, "public/blob", content, "application/x-blob")
        for queue in (self.queue, taskcluster.Queue(anonymous())):
            found, content_type = downloadArtifactToBuf(taskId=task_id, name="public/blob", queueService=queue)
            self.assertEqual((bytes(found), content_type), (content, "application/x-blob"))
        self.assertEqual(self.queue.getLatestArtifact(task_id, "public/blob")["storageType"], "s3")
        self.assertEqual(self.queue.artifactInfo(task_id, "0", "public/blob")["contentType"], "application/x-blob")
        self.refused(404, "ResourceNotFound", self.queue.getArtifact, task_id, "0", "public/none")
        self.refused(404, "ResourceNotFound", self.queue.getArtifact, task_id, "7", "public/blob")

    def test_references_become_links_and_nothing_else(self):
        task_id, _, worker = self.running()
        until = taskcluster.fromNowJSON("2 hours")
        where = "https://example.org/log"
        reference = {"storageType": "reference", "url": where, "contentType": "text/plain", "expires": until}
        worker.createArtifact(task_id, "0", "public/live.log", reference)
        self.assertEqual(self.queue.getLatestArtifact(task_id, "public/live.log")["url"], where)
        s3 = {"storageType": "s3", "contentType": "text/plain", "expires": until}
        self.refused(409, "RequestConflict", worker.createArtifact, task_id, "0", "public/live.log", s3)
        self.put(worker, task_id, "public/backing.log", b"the whole log")
        link = {"storageType": "link", "artifact": "public/backing.log", "contentType": "text/plain", "expires": until}
        worker.createArtifact(task_id, "0", "public/live.log", link)
        content, _ = downloadArtifactToBuf(taskId=task_id, name="public/live.log", queueService=self.queue)
        self.assertEqual(bytes(content), b"the whole log")

    def test_an_error_artifact_says_why_there_is_none(self):
        task_id, _, worker = self.running()
        error = {
            "storageType": "error",
            "reason": "file-missing-on-worker",
            "message": "there is nothing at out/a",
            "expires": taskcluster.fromNowJSON("2 hours"),
        }
        worker.createArtifact(task_id, "0", "public/a", error)
        self.assertEqual(self.refused_artifact(task_id, "public/a"), 424)
        with self.assertRaises(TaskclusterArtifactError):
            downloadArtifactToBuf(taskId=task_id, name="public/a", queueService=self.queue)

    def refused_artifact(self, task_id, name):
        with self.assertRaises(TaskclusterRestFailure) as caught:
            self.queue.getLatestArtifact(task_id, name)
        return caught.exception.status_code

    def test_listings_have_pages(self):
        task_id, _, worker = self.running()
        names = [f"public/{n}" for n in range(7)]
        for name in names:
            self.put(worker, task_id, name, b"x")
        found, pages = [], []

        def page(answer):
            pages.append(len(answer["artifacts"]))
            found.extend(artifact["name"] for artifact in answer["artifacts"])

        self.queue.listArtifacts(task_id, "0", paginationHandler=page, paginationLimit=3)
        self.assertEqual((sorted(found), pages), (names, [3, 3, 1]))
        latest = self.queue.listLatestArtifacts(task_id)["artifacts"]
        self.assertEqual(len(latest), 7)

    def test_private_artifacts_need_a_scope_and_a_signed_url_carries_it(self):
        task_id, _, worker = self.running()
        self.put(worker, task_id, "private/secret", b"hidden")
        for name in ("private/secret", "private/none"):
            self.refused(403, "InsufficientScopes", taskcluster.Queue(anonymous()).getLatestArtifact, task_id, name)
        url = self.queue.buildSignedUrl("getLatestArtifact", task_id, "private/secret")
        response = requests.get(url)
        self.assertEqual((response.status_code, response.content), (200, b"hidden"))
        for wrong in (url[:-4] + "AAAA", url.replace("private%2Fsecret", "private%2Fother")):
            self.assertEqual(requests.get(wrong).status_code, 401, wrong)
        over = self.queue.buildSignedUrl("getLatestArtifact", task_id, "private/secret", expiration=-120)
        self.assertEqual(requests.get(over).status_code, 401)
        signed = self.queue.buildSignedUrl("task", task_id)
        self.assertEqual(requests.get(signed).json()["schedulerId"], "lander-level-1")

    def test_only_the_run_itself_may_publish_and_only_while_it_runs(self):
        task_id, task, worker = self.running()
        s3 = {"storageType": "s3", "contentType": "text/plain", "expires": taskcluster.fromNowJSON("2 hours")}
        other_id, _, _ = self.running()
        self.refused(403, "InsufficientScopes", worker.createArtifact, other_id, "0", "public/a", s3)
        for name in ("public/../private/a", "../a", "./a"):
            self.refused(400, "InputError", worker.createArtifact, task_id, "0", name, s3)
        late = {**s3, "expires": taskcluster.fromNowJSON("2 days")}
        self.refused(400, "InputError", worker.createArtifact, task_id, "0", "public/a", late)
        worker.reportCompleted(task_id, "0")
        self.refused(409, "RequestConflict", worker.createArtifact, task_id, "0", "public/a", s3)


class Index(Case):
    def test_paths_are_found_listed_and_ranked(self):
        root = "lander." + taskcluster.slugId().replace("-", "_")
        ids = [self.create()[0] for _ in range(3)]
        until = taskcluster.fromNowJSON("1 day")

        def insert(path, task_id, rank):
            entry = {"taskId": task_id, "rank": rank, "data": {"n": rank}, "expires": until}
            self.index.insertTask(f"{root}.{path}", entry)

        insert("builds.linux", ids[0], 1)
        insert("builds.mac", ids[1], 1)
        insert("builds.mac.debug", ids[2], 1)
        self.assertEqual(self.index.findTask(f"{root}.builds.linux")["taskId"], ids[0])
        insert("builds.linux", ids[1], 0)
        self.assertEqual(self.index.findTask(f"{root}.builds.linux")["taskId"], ids[0], "a lower rank is ignored")
        insert("builds.linux", ids[2], 1)
        self.assertEqual(self.index.findTask(f"{root}.builds.linux")["taskId"], ids[2], "an equal rank replaces")

        tasks = self.index.listTasks(f"{root}.builds")["tasks"]
        self.assertEqual([task["namespace"] for task in tasks], [f"{root}.builds.linux", f"{root}.builds.mac"])
        names = self.index.listNamespaces(root)["namespaces"]
        self.assertEqual([name["namespace"] for name in names], [f"{root}.builds"])
        found = self.index.findTasksAtIndex({"indexes": [f"{root}.builds.mac", f"{root}.nothing"]})["tasks"]
        self.assertEqual([task["taskId"] for task in found], [ids[1]])
        self.refused(404, "ResourceNotFound", self.index.findTask, f"{root}.nothing")

    def test_routes_are_inserted_on_completion_and_artifacts_found_through_them(self):
        path = "lander." + taskcluster.slugId().replace("-", "_")
        task_id, task = self.create(routes=[f"index.{path}"], extra={"index": {"rank": 7, "data": {"why": "route"}}})
        self.refused(404, "ResourceNotFound", self.index.findTask, path)
        worker, _ = self.claim(task_id, task)
        reference = {
            "storageType": "reference",
            "url": "https://example.org/a",
            "contentType": "text/plain",
            "expires": taskcluster.fromNowJSON("2 hours"),
        }
        worker.createArtifact(task_id, "0", "public/a", reference)
        worker.reportCompleted(task_id, "0")
        found = self.index.findTask(path)
        self.assertEqual((found["taskId"], found["rank"], found["data"]), (task_id, 7, {"why": "route"}))
        url = self.index.buildUrl("findArtifactFromTask", path, "public/a")
        response = requests.get(url, allow_redirects=False)
        self.assertEqual((response.status_code, response.headers["Location"]), (303, "https://example.org/a"))


class Pages(Case):
    def test_a_group_is_listed_page_by_page_and_completely(self):
        group, _ = self.create()
        ids = {group} | {self.create(taskGroupId=group)[0] for _ in range(10)}
        found, pages = [], []

        def page(answer):
            self.assertEqual(answer["taskGroupId"], group)
            pages.append(len(answer["tasks"]))
            found.extend(task["status"]["taskId"] for task in answer["tasks"])

        self.queue.listTaskGroup(group, paginationHandler=page, paginationLimit=4)
        self.assertEqual((set(found), len(found), pages), (ids, 11, [4, 4, 3]))
        wrong = {"continuationToken": "nonsense"}
        self.refused(400, "InputError", self.queue.listTaskGroup, group, query=wrong)


class Authority(Case):
    def limited(self, scopes, **more):
        """Options with the credentials of a new client that has only these scopes."""
        name = "lander/" + taskcluster.slugId()
        request = {"expires": taskcluster.fromNowJSON("1 day"), "description": "", "scopes": scopes, **more}
        token = self.auth.createClient(name, request)["accessToken"]
        self.addCleanup(self.auth.deleteClient, name)
        return options(credentials={"clientId": name, "accessToken": token})

    def creating(self, task):
        queue = task["taskQueueId"]
        return [
            "queue:scheduler-id:lander-level-1",
            "queue:create-task:project:none",
            f"queue:create-task:lowest:{queue}",
        ]

    def test_each_missing_scope_is_missed(self):
        task = definition(scopes=["secrets:get:lander"], routes=["notify.lander"])
        needed = self.creating(task) + ["secrets:get:lander", "queue:route:notify.lander"]
        self.refused(
            403, "InsufficientScopes", taskcluster.Queue(anonymous()).createTask, taskcluster.slugId(), task
        )
        for missing in needed:
            with self.subTest(missing=missing):
                queue = taskcluster.Queue(self.limited([scope for scope in needed if scope != missing]))
                error = self.refused(403, "InsufficientScopes", queue.createTask, taskcluster.slugId(), task)
                self.assertIn(missing, str(error))
        taskcluster.Queue(self.limited(needed)).createTask(taskcluster.slugId(), task)

    def test_authorized_scopes_narrow(self):
        task = definition()
        narrow = options(authorizedScopes=["queue:scheduler-id:lander-level-1"])
        self.refused(403, "InsufficientScopes", taskcluster.Queue(narrow).createTask, taskcluster.slugId(), task)
        enough = options(authorizedScopes=self.creating(task))
        taskcluster.Queue(enough).createTask(taskcluster.slugId(), task)
        current = taskcluster.Auth(narrow).currentScopes()["scopes"]
        self.assertIn("queue:scheduler-id:lander-level-1", current)
        self.assertNotIn("*", current)

    def test_wrong_signatures(self):
        wrong = {
            "token": {**ROOT["credentials"], "accessToken": taskcluster.slugId() * 2},
            "client": {**ROOT["credentials"], "clientId": "nobody"},
            "certificate": {**ROOT["credentials"], "certificate": '{"version": 1}'},
        }
        for what, credentials in wrong.items():
            with self.subTest(what):
                queue = taskcluster.Queue(options(credentials=credentials))
                self.refused(401, "AuthenticationFailed", queue.createTask, taskcluster.slugId(), definition())

    def test_temporary_credentials_hold_what_they_say_until_they_expire(self):
        task = definition()

        def temporary(start, expiry, scopes, **kwargs):
            return taskcluster.createTemporaryCredentials(
                ROOT["credentials"]["clientId"], ROOT["credentials"]["accessToken"], start, expiry, scopes, **kwargs
            )

        hour = datetime.timedelta(hours=1)
        good = temporary(now() - hour, now() + hour, self.creating(task))
        taskcluster.Queue(options(credentials=good)).createTask(taskcluster.slugId(), task)
        named = temporary(now() - hour, now() + hour, self.creating(task), name="lander/named")
        taskcluster.Queue(options(credentials=named)).createTask(taskcluster.slugId(), task)
        few = temporary(now() - hour, now() + hour, ["queue:scheduler-id:*"])
        few = taskcluster.Queue(options(credentials=few))
        self.refused(403, "InsufficientScopes", few.createTask, taskcluster.slugId(), task)
        over = taskcluster.Queue(options(credentials=temporary(now() - 2 * hour, now() - hour, ["*"])))
        self.refused(401, "AuthenticationFailed", over.createTask, taskcluster.slugId(), task)
        certificate = good["certificate"].replace("queue:scheduler-id:lander-level-1", "*")
        self.assertNotEqual(certificate, good["certificate"])
        forged = taskcluster.Queue(options(credentials={**good, "certificate": certificate}))
        self.refused(401, "AuthenticationFailed", forged.createTask, taskcluster.slugId(), task)

    def test_a_limited_client_can_not_give_away_more_than_it_has(self):
        hour = datetime.timedelta(hours=1)
        own = self.limited(["secrets:get:lander"])["credentials"]
        more = taskcluster.createTemporaryCredentials(
            own["clientId"], own["accessToken"], now() - hour, now() + hour, ["secrets:get:*"]
        )
        auth = taskcluster.Auth(options(credentials=more))
        self.refused(401, "AuthenticationFailed", auth.currentScopes)

    def test_roles_expand_and_clients_can_be_disabled(self):
        role = "repo:lander/" + taskcluster.slugId()
        self.auth.createRole(role, {"description": "", "scopes": ["secrets:get:lander"]})
        self.addCleanup(self.auth.deleteRole, role)
        credentials = self.limited([f"assume:{role}"])
        auth = taskcluster.Auth(options(**credentials))
        self.assertIn("secrets:get:lander", auth.currentScopes()["scopes"])
        expanded = self.auth.expandScopes({"scopes": [f"assume:{role}"]})["scopes"]
        self.assertEqual(expanded, sorted([f"assume:{role}", "secrets:get:lander"]))
        name = credentials["credentials"]["clientId"]
        self.auth.disableClient(name)
        self.refused(401, "AuthenticationFailed", auth.currentScopes)
        self.auth.enableClient(name)
        token = self.auth.resetAccessToken(name)["accessToken"]
        self.refused(401, "AuthenticationFailed", auth.currentScopes)
        renewed = options(credentials={"clientId": name, "accessToken": token})
        self.assertIn("secrets:get:lander", taskcluster.Auth(renewed).currentScopes()["scopes"])

    def test_services_say_that_they_live(self):
        for service in (self.queue, self.index, self.auth):
            self.assertTrue(service.ping()["alive"])
        self.refused(
            403, "InsufficientScopes", taskcluster.Auth(anonymous()).createRole, "x", {"description": "", "scopes": []}
        )


class Hooks(Case):
    GROUP = "project-lander"

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.hooks = taskcluster.Hooks(options())

    def hook(self, **changes):
        """A new hook with a role that suffices; its id, and its request."""
        task = {key: definition()[key] for key in ("taskQueueId", "schedulerId", "metadata")}
        task["payload"] = {"by": "${firedBy}", "input": {"$eval": "payload.input"}, "id": {"$eval": "taskId"}}
        request = {
            "metadata": {"name": "n", "description": "", "owner": "ann@example.org"},
            "task": task,
            "triggerSchema": {"type": "object", "properties": {"input": {"type": "string"}}, "required": ["input"]},
            **changes,
        }
        hook_id = "in-tree-action-1-generic/" + taskcluster.slugId()
        self.hooks.createHook(self.GROUP, hook_id, request)
        self.addCleanup(self.hooks.removeHook, self.GROUP, hook_id)
        role = f"hook-id:{self.GROUP}/{hook_id}"
        scopes = [
            "queue:scheduler-id:lander-level-1",
            "queue:create-task:project:none",
            f"queue:create-task:lowest:{task['taskQueueId']}",
        ]
        self.auth.createRole(role, {"description": "", "scopes": scopes})
        self.addCleanup(self.auth.deleteRole, role)
        return hook_id, request

    def test_a_hook_is_made_changed_listed_and_removed(self):
        hook_id, request = self.hook(bindings=[{"exchange": "exchange/x/v1/y", "routingKeyPattern": "#"}])
        look = taskcluster.Hooks(anonymous())
        made = look.hook(self.GROUP, hook_id)
        self.assertEqual((made["hookId"], made["task"], made["schedule"]), (hook_id, request["task"], []))
        self.assertIn(self.GROUP, look.listHookGroups()["groups"])
        self.assertIn(hook_id, [hook["hookId"] for hook in look.listHooks(self.GROUP)["hooks"]])
        self.hooks.createHook(self.GROUP, hook_id, made)
        changed = self.hooks.updateHook(self.GROUP, hook_id, {**request, "schedule": ["@daily"]})
        self.assertEqual(changed["bindings"], made["bindings"])
        self.assertTrue(look.getHookStatus(self.GROUP, hook_id)["nextScheduledDate"].endswith("T00:00:00.000Z"))
        self.refused(409, "RequestConflict", self.hooks.createHook, self.GROUP, hook_id, request)
        self.hooks.removeHook(self.GROUP, hook_id)
        self.refused(404, "ResourceNotFound", look.hook, self.GROUP, hook_id)

    def test_a_trigger_makes_a_task_of_the_template(self):
        hook_id, _ = self.hook()
        given = "$(x) ${payload} {{y}} '\"\n" + "(" * 10_000
        task_id = self.hooks.triggerHook(self.GROUP, hook_id, {"input": given})["taskId"]
        payload = self.queue.task(task_id)["payload"]
        self.assertEqual(payload, {"by": "triggerHook", "input": given, "id": task_id})
        self.assertEqual(self.queue.status(task_id)["status"]["state"], "pending")
        self.refused(400, "InputError", self.hooks.triggerHook, self.GROUP, hook_id, {})
        self.refused(404, "ResourceNotFound", self.hooks.triggerHook, self.GROUP, hook_id + "x", {})
        stranger = taskcluster.Hooks(anonymous())
        self.refused(403, "InsufficientScopes", stranger.triggerHook, self.GROUP, hook_id, {"input": ""})
        token = self.hooks.getTriggerToken(self.GROUP, hook_id)["token"]
        by_token = stranger.triggerHookWithToken(self.GROUP, hook_id, token, {"input": ""})["taskId"]
        self.assertEqual(self.queue.task(by_token)["payload"]["by"], "triggerHookWithToken")
        self.assertNotEqual(self.hooks.resetTriggerToken(self.GROUP, hook_id)["token"], token)
        self.refused(
            401, "AuthenticationFailed", stranger.triggerHookWithToken, self.GROUP, hook_id, token, {"input": ""}
        )
        fires = self.hooks.listLastFires(self.GROUP, hook_id)["lastFires"]
        self.assertEqual([fire["taskId"] for fire in fires], [by_token, task_id])


class Asynchronous(Case):
    def test_the_asynchronous_client_does_the_same(self):
        async def at_once():
            async with taskcluster.aio.createSession() as session:
                queue = taskcluster.aio.Queue(options(), session=session)
                ids = [taskcluster.slugId() for _ in range(8)]
                await asyncio.gather(*(queue.createTask(task_id, definition()) for task_id in ids))
                statuses = await asyncio.gather(*(queue.status(task_id) for task_id in ids))
                return [status["status"]["state"] for status in statuses]

        self.assertEqual(asyncio.run(at_once()), ["pending"] * 8)


if __name__ == "__main__":
    unittest.main()
