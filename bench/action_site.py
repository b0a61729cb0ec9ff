"""A `taskgraft up` with pushes of one large graph, and what one asks of them; for bench_action.py."""

import calendar
import concurrent.futures
import contextlib
import gzip
import json
import os
import re
import subprocess
import sys
import tempfile
import time

import requests
import slugid
import taskcluster

from bench_plan import TASKGRAFT, WORKSPACE

GROUP, LABELS, NEW, AT_ONCE = 5_000, 10, 50, 10
QUEUE, SCHEDULER = "proj-lander/decision", "lander-level-3"
INDEX = "lander.v2.lander.latest.taskgraph.decision"
REPOSITORY = "repo:github.com/example/lander"
LANDER = os.path.join(WORKSPACE, "examples/lander")


class Graph:
    """The dependencies of full-task-graph.json."""

    def __init__(self, directory):
        with open(os.path.join(directory, "full-task-graph.json")) as file:
            self.needs = {label: list(task["dependencies"].values()) for label, task in json.load(file).items()}
        self.tests = {}
        for label, needs in self.needs.items():
            build = next((need for need in needs if label.startswith("test-") and need.startswith("build-")), None)
            if build:
                self.tests.setdefault(build, []).append(label)

    def closure(self, labels):
        found, queue = set(), list(labels)
        while queue:
            label = queue.pop()
            if label not in found:
                found.add(label)
                queue += self.needs[label]
        return found


class Push:
    """What of a graph exists on a push, and what wasn't asked for yet."""

    def __init__(self, graph):
        self.graph = graph
        # What nearly everything needs ran long ago.
        images = [label for label in graph.needs if label.startswith("image-")]
        self.ran = graph.closure([f"toolchain-{n}" for n in range(16)] + images)
        self.there = set(self.ran)
        self.builds = sorted(graph.tests)
        # Jobs that many tests of one build are: what each needs is there once the first was asked for.
        self.small = iter(graph.tests[self.builds.pop()])

    def ask(self):
        """Ten labels, each of a build that nobody asked for yet, that make NEW tasks: each takes its share of them."""
        labels, new = [], set()
        for n in range(LABELS):
            share = len(new) + (NEW - len(new)) / (LABELS - n)
            count = lambda build: len(self.added(self.label(build, n)) | new)
            build = min(self.builds, key=lambda build: abs(count(build) - share))
            self.builds.remove(build)
            labels.append(self.label(build, n))
            new |= self.added(labels[-1])
        self.there |= new - set(labels)
        return labels

    def added(self, label):
        return self.graph.closure([label]) - self.there

    def label(self, build, n):
        """Something of a build that nothing else needs: a test, or what repackages it."""
        return self.graph.tests[build][n] if n % 2 else build.replace("build", "repackage")

    def ask_at_once(self):
        """What AT_ONCE people ask for that need the same five builds."""
        builds = [self.builds.pop() for _ in range(5)]
        return [[self.graph.tests[build][2 * n + m] for build in builds for m in (0, 1)] for n in range(AT_ONCE)]


class Log:
    """What a server's log says about when calls were answered."""

    LINE = re.compile(r'^(\S+)Z .*method="(\w+)" status=200')

    def __init__(self, path):
        self.path, self.at = path, 0

    def answers(self):
        """(seconds, method) of the calls answered since the last time."""
        with open(self.path) as file:
            file.seek(self.at)
            text = file.read()
            end = text.rfind("\n") + 1
            self.at += len(text[:end].encode())
        found = (self.LINE.match(line) for line in text[:end].splitlines())
        return [(seconds(match[1]), match[2]) for match in found if match]


def seconds(stamp):
    whole, part = stamp.split(".")
    return calendar.timegm(time.strptime(whole, "%Y-%m-%dT%H:%M:%S")) + float(f"0.{part}")


def taking(answers, begin):
    """Seconds from the first answer to `begin` to the last one to createTask, and how many of those there were."""
    start = min(at for at, method in answers if method == begin)
    creates = [at for at, method in answers if method == "createTask" and at > start]
    return max(creates) - start, len(creates)


def times():
    return {name: taskcluster.stringDate(taskcluster.fromNow(after)) for name, after in
            (("created", "0 seconds"), ("deadline", "1 day"), ("expires", "1 year"))}


def definition(name, queue, group, **more):
    metadata = {"name": name, "description": "", "owner": "ann@lander.test", "source": "https://lander.test/lander"}
    filler = {f"LANDER_SETTING_{n}": "a value of usual length" for n in range(30)}
    return {"taskQueueId": queue, "schedulerId": SCHEDULER, "taskGroupId": group, "metadata": metadata, **times(),
            "priority": "low", "payload": {"env": filler}, "tags": {"label": name}, **more}


class Site:
    """A server with pushes on it, of which the newest is asked."""

    def __init__(self, directory, home):
        self.home, self.directory = home, directory
        env_file, log = os.path.join(home, "env"), os.path.join(home, "log")
        options = ["--data-dir", os.path.join(home, "data"), "--env-file", env_file, "--project", LANDER, "--no-worker"]
        environment = {**os.environ, "TASKGRAFT_LOG": "taskgraft_local::http::app=debug"}
        with open(log, "w") as stderr:
            up = [TASKGRAFT, "up", *options]
            self.server = subprocess.Popen(up, env=environment, stdout=subprocess.DEVNULL, stderr=stderr)
        while not os.path.exists(env_file):
            if self.server.poll() is not None:
                raise SystemExit("taskgraft up ended before it was ready")
            time.sleep(0.05)
        with open(env_file) as file:
            os.environ.update(re.findall(r"^export (\w+)='?([^'\n]*)'?$", file.read(), re.M))
        self.log = Log(log)
        options = taskcluster.optionsFromEnvironment()
        self.queue, self.hooks = taskcluster.Queue(options), taskcluster.Hooks(options)
        # The tasks of the made-up graph use a secret.
        auth, role = taskcluster.Auth(options), f"{REPOSITORY}:action:generic"
        scopes = [*auth.role(role)["scopes"], "secrets:get:project/lander/level-3"]
        auth.updateRole(role, {"description": "", "scopes": scopes})
        with open(os.path.join(LANDER, "pushes/2/actions.json")) as file:
            self.action = next(action for action in json.load(file)["actions"] if action["name"] == "add-new-jobs")
        self.graph = Graph(directory)

    def new_push(self):
        """A push that nobody knows. The first one who asks something of it asks for `self.first`, then somebody for what is
        missing, then for what failed once more."""
        self.push, self.group, self.revision = Push(self.graph), slugid.nice(), os.urandom(20).hex()
        self.first, self.missing, self.failed = (self.push.ask() for _ in range(3))
        self.schedule()
        self.decide()

    def claim(self, queue, count=1):
        """(claim, its queue) of tasks that are pending."""
        claims = self.queue.claimWork(queue, {"workerGroup": "bench", "workerId": "bench", "tasks": count})["tasks"]
        for claim in claims:
            credentials = {"rootUrl": os.environ["TASKCLUSTER_ROOT_URL"], "credentials": claim["credentials"]}
            yield claim, taskcluster.Queue(credentials)

    def schedule(self):
        """The decision task, and what it scheduled: some has run, some failed, the rest waits."""
        decision = definition("Decision", "bench/decision", self.group, scopes=[f"assume:{REPOSITORY}:branch:main"],
                              routes=[f"index.{INDEX}"])
        self.queue.createTask(self.group, decision)
        ran = sorted(self.push.ran)
        waiting = (label for tests in self.graph.tests.values() for label in tests[-20:])
        waiting = [label for _, label in zip(range(GROUP - 1 - len(ran) - len(self.failed)), waiting)]
        queues = {**dict.fromkeys(waiting, "bench/linux"), **dict.fromkeys(ran, "bench/done"),
                  **dict.fromkeys(self.failed, "bench/fails")}
        self.ids = {label: slugid.nice() for label in queues}

        def create(label):
            self.queue.createTask(self.ids[label], definition(label, queues[label], self.group))

        with concurrent.futures.ThreadPoolExecutor(8) as pool:
            list(pool.map(create, queues))
        self.resolve("bench/done", len(ran), lambda queue, *run: queue.reportCompleted(*run))
        self.resolve("bench/fails", len(self.failed), lambda queue, *run: queue.reportFailed(*run))

    def resolve(self, name, count, report):
        while count:
            for claim, queue in self.claim(name, 20):
                report(queue, claim["status"]["taskId"], claim["runId"])
                count -= 1

    def decide(self):
        """Stores the decision's artifacts, gzipped, as decision tasks do."""
        with open(os.path.join(LANDER, "pushes/2/parameters.yml")) as file:
            parameters = file.read().replace(self.action["hookPayload"]["decision"]["push"]["revision"], self.revision)
        with open(os.path.join(self.directory, "full-task-graph.json"), "rb") as file:
            whole = file.read()
        texts = {"full-task-graph.json": whole, "label-to-taskid.json": json.dumps(self.ids).encode(),
                 "target-tasks.json": json.dumps([*self.ids, *self.missing]).encode(),
                 "parameters.yml": parameters.encode()}
        (claim, queue), = self.claim("bench/decision")
        for name, text in texts.items():
            request = {"storageType": "s3", "expires": times()["deadline"], "contentType": "application/json"}
            answer = queue.createArtifact(self.group, 0, f"public/{name}", request)
            headers = {"Content-Type": "application/json", "Content-Encoding": "gzip"}
            requests.put(answer["putUrl"], data=gzip.compress(text, 6), headers=headers).raise_for_status()
        queue.reportCompleted(claim["status"]["taskId"], claim["runId"])

    @contextlib.contextmanager
    def worker(self, name, *options):
        """A worker with an empty cache, and the file that it logs to."""
        home = os.path.join(self.home, name)
        os.makedirs(home)
        environment = {**os.environ, "HOME": home, "XDG_CACHE_HOME": home, "XDG_STATE_HOME": home}
        command = [TASKGRAFT, "worker", "--task-queue-id", QUEUE, "--worker-id", name, "--capacity", str(AT_ONCE)]
        log = os.path.join(home, "log")
        with open(log, "w") as stderr:
            worker = subprocess.Popen([*command, *options], env=environment, stderr=stderr)
        try:
            yield log
        finally:
            worker.terminate()
            worker.wait()

    def prefetched(self, log):
        """Waits until a worker has fetched what the newest decision task left."""
        while True:
            with open(log) as file:
                if any(self.group in line and "fetched what a decision task left" in line for line in file):
                    return
            time.sleep(0.1)

    def trigger(self, name, given):
        # The in-tree hook is one for all actions of a permission: the payload says which is meant.
        decision = self.action["hookPayload"]["decision"]
        decision = {**decision, "push": {**decision["push"], "revision": self.revision},
                    "action": {**decision["action"], "cb_name": name, "taskGroupId": self.group}}
        payload = {"decision": decision, "user": {"input": given, "taskId": None, "taskGroupId": self.group}}
        return self.hooks.triggerHook(self.action["hookGroupId"], self.action["hookId"], payload)["taskId"]

    def add(self, labels):
        return self.trigger("add-new-jobs", {"tasks": labels})

    def completed(self, task):
        while (status := self.queue.status(task)["status"])["state"] in ("unscheduled", "pending", "running"):
            time.sleep(0.05)
        if status["state"] != "completed":
            log = self.queue.getLatestArtifact(task, "public/logs/live_backing.log")
            raise SystemExit(f"action {task}: {status['state']}\n{requests.get(log['url']).text}")

    def act(self, trigger):
        """Seconds of one action, and how many tasks it created."""
        self.log.answers()
        self.completed(trigger())
        return taking(self.log.answers(), "triggerHook")

    def act_at_once(self):
        """Seconds of several actions that need the same, and how many tasks they created."""
        asks = self.push.ask_at_once()
        before = self.members()
        self.log.answers()
        with concurrent.futures.ThreadPoolExecutor(AT_ONCE) as pool:
            for task in list(pool.map(self.add, asks)):
                self.completed(task)
        took, _ = taking(self.log.answers(), "triggerHook")
        made = {name: count - before.get(name, 0) for name, count in self.members().items()}
        made = {name: count for name, count in made.items() if count and not name.startswith("Action")}
        more = [name for name, count in made.items() if count > 1]
        asked = [label for labels in asks for label in labels]
        if more or any(made.get(label) != 1 for label in asked):
            missing = [label for label in asked if label not in made]
            raise SystemExit(f"made more than once: {more}; not made: {missing}")
        return took, sum(made.values())

    def members(self):
        counts, query = {}, {}
        while True:
            page = self.queue.listTaskGroup(self.group, query=query)
            for member in page["tasks"]:
                name = member["task"]["metadata"]["name"]
                counts[name] = counts.get(name, 0) + 1
            if "continuationToken" not in page:
                return counts
            query = {"continuationToken": page["continuationToken"]}

    def refer(self):
        """The same by the reference, from the start of its process."""
        task = self.add(self.push.ask())
        (claim, queue), = self.claim(QUEUE)
        credentials = claim["credentials"]
        environment = {**os.environ, **claim["task"]["payload"]["env"], "TASK_ID": task,
                       "TASKCLUSTER_CLIENT_ID": credentials["clientId"],
                       "TASKCLUSTER_ACCESS_TOKEN": credentials["accessToken"],
                       "TASKCLUSTER_CERTIFICATE": credentials["certificate"]}
        self.log.answers()
        start = time.time()
        script = "import sys; from taskgraph.main import main; sys.exit(main(sys.argv[1:]))"
        command = [sys.executable, "-c", script, "action-callback", "--root", os.path.join(LANDER, "taskcluster")]
        place = tempfile.mkdtemp(dir=self.home)
        done = subprocess.run(command, cwd=place, env=environment, capture_output=True, text=True)
        if done.returncode != 0:
            raise SystemExit(f"the reference failed:\n{done.stderr[-3000:]}")
        answers = self.log.answers()
        queue.reportCompleted(task, 0)
        return taking([(start, "start"), *answers], "start")
