"""How long an action takes: from triggerHook's answer to the last createTask's, as the server's own log has them.

One `taskgraft up` has a push of 40,000 tasks, 5,000 of them scheduled. Each action asks for ten labels that need about
forty other new tasks. A `taskgraft worker` performs them: warm, that is on a push that it knows; cold, with an empty
cache and the graph gzipped; and ten at once. Beside it the reference's `action-callback` on the same server and data,
from its start: no image, no checkout, no claim.
"""

import calendar
import concurrent.futures
import contextlib
import gzip
import json
import os
import re
import statistics
import subprocess
import sys
import tempfile
import time

import requests
import slugid
import taskcluster

from bench_plan import TASKGRAFT, WORKSPACE, graph
from measure import row

TASKS, GROUP, EARLIER = 40_000, 5_000, 20
WARM, COLD, REFERENCE, AT_ONCE = 30, 3, 3, 10
LABELS, NEW = 10, 50
QUEUE, SCHEDULER = "proj-lander/decision", "lander-level-3"
ROLE = "assume:repo:github.com/example/lander:branch:main"
LANDER = os.path.join(WORKSPACE, "examples/lander")


class Push:
    """The dependencies of a graph, and what of them exists."""

    def __init__(self, directory):
        with open(os.path.join(directory, "full-task-graph.json")) as file:
            self.graph = {label: list(task["dependencies"].values()) for label, task in json.load(file).items()}
        self.tests = {}
        for label, needs in self.graph.items():
            build = next((need for need in needs if label.startswith("test-") and need.startswith("build-")), None)
            if build:
                self.tests.setdefault(build, []).append(label)
        # What nearly everything needs ran long ago.
        images = [label for label in self.graph if label.startswith("image-")]
        self.there = self.closure([f"toolchain-{n}" for n in range(16)] + images)
        self.builds = iter(sorted(self.tests))

    def closure(self, labels):
        found, queue = set(), list(labels)
        while queue:
            label = queue.pop()
            if label not in found:
                found.add(label)
                queue += self.graph[label]
        return found

    def ask(self, new_tasks=NEW):
        """Ten labels of builds that nobody asked for yet, as many builds as make about that many new tasks of it."""
        builds, labels, new = [], [], set()
        while len(new) < new_tasks - 3 and len(builds) < LABELS:
            builds.append(next(self.builds))
            labels = [self.label(builds[n % len(builds)], n) for n in range(LABELS)]
            new = self.closure(labels) - self.there
        self.there |= new - set(labels)
        return labels

    def label(self, build, n):
        """Something of a build that nothing else needs: tests, and what repackages it."""
        return self.tests[build][n] if n % 2 else build.replace("build", "repackage")


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
    """A server with the push on it."""

    def __init__(self, directory, home):
        self.home = home
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
        auth, role = taskcluster.Auth(options), "repo:github.com/example/lander:action:generic"
        scopes = [*auth.role(role)["scopes"], "secrets:get:project/lander/level-3"]
        auth.updateRole(role, {"description": "", "scopes": scopes})
        self.push = Push(directory)
        self.group = slugid.nice()
        self.schedule()
        self.decide(directory)
        with open(os.path.join(LANDER, "pushes/2/actions.json")) as file:
            actions = json.load(file)["actions"]
        self.action = next(action for action in actions if action["name"] == "add-new-jobs")
        self.action["hookPayload"]["decision"]["action"]["taskGroupId"] = self.group

    def claim(self, queue, count=1):
        """(claim, its queue) of tasks that are pending."""
        claims = self.queue.claimWork(queue, {"workerGroup": "bench", "workerId": "bench", "tasks": count})["tasks"]
        for claim in claims:
            credentials = {"rootUrl": os.environ["TASKCLUSTER_ROOT_URL"], "credentials": claim["credentials"]}
            yield claim, taskcluster.Queue(credentials)

    def schedule(self):
        """The decision task, and what it scheduled: what is there has run, the rest waits."""
        self.queue.createTask(self.group, definition("Decision", "bench/decision", self.group, scopes=[ROLE]))
        labels = sorted(self.push.there)
        waiting = (label for tests in self.push.tests.values() for label in tests[-20:])
        labels += [label for _, label in zip(range(GROUP - 1 - len(labels)), waiting)]
        self.ids = {label: slugid.nice() for label in labels}

        def create(label):
            queue = "bench/done" if label in self.push.there else "bench/linux"
            self.queue.createTask(self.ids[label], definition(label, queue, self.group))

        with concurrent.futures.ThreadPoolExecutor(8) as pool:
            list(pool.map(create, labels))
        done = 0
        while done < len(self.push.there):
            for claim, queue in self.claim("bench/done", 20):
                queue.reportCompleted(claim["status"]["taskId"], claim["runId"])
                done += 1

    def decide(self, directory):
        """Stores the decision's artifacts, gzipped, as decision tasks do."""
        with open(os.path.join(LANDER, "pushes/2/parameters.yml")) as file:
            parameters = file.read()
        with open(os.path.join(directory, "full-task-graph.json"), "rb") as file:
            whole = file.read()
        texts = {"full-task-graph.json": whole, "label-to-taskid.json": json.dumps(self.ids).encode(),
                 "parameters.yml": parameters.encode()}
        (claim, queue), = self.claim("bench/decision")
        for name, text in texts.items():
            request = {"storageType": "s3", "expires": times()["deadline"], "contentType": "application/json"}
            answer = queue.createArtifact(self.group, 0, f"public/{name}", request)
            headers = {"Content-Type": "application/json", "Content-Encoding": "gzip"}
            requests.put(answer["putUrl"], data=gzip.compress(text, 6), headers=headers).raise_for_status()
        queue.reportCompleted(claim["status"]["taskId"], claim["runId"])

    @contextlib.contextmanager
    def worker(self, name):
        """A worker with an empty cache."""
        home = os.path.join(self.home, name)
        os.makedirs(home)
        environment = {**os.environ, "HOME": home, "XDG_CACHE_HOME": home, "XDG_STATE_HOME": home}
        command = [TASKGRAFT, "worker", "--task-queue-id", QUEUE, "--worker-id", name, "--capacity", str(AT_ONCE)]
        with open(os.path.join(home, "log"), "w") as stderr:
            worker = subprocess.Popen(command, env=environment, stderr=stderr)
        try:
            yield
        finally:
            worker.terminate()
            worker.wait()

    def trigger(self, labels):
        user = {"input": {"tasks": labels}, "taskId": None, "taskGroupId": self.group}
        payload = {**self.action["hookPayload"], "user": user}
        return self.hooks.triggerHook(self.action["hookGroupId"], self.action["hookId"], payload)["taskId"]

    def completed(self, task):
        while (status := self.queue.status(task)["status"])["state"] in ("unscheduled", "pending", "running"):
            time.sleep(0.05)
        if status["state"] != "completed":
            log = self.queue.getLatestArtifact(task, "public/logs/live_backing.log")
            raise SystemExit(f"action {task}: {status['state']}\n{requests.get(log['url']).text}")

    def act(self, new_tasks=NEW):
        """Seconds of one action, and how many tasks it created."""
        labels = self.push.ask(new_tasks)
        self.log.answers()
        self.completed(self.trigger(labels))
        return taking(self.log.answers(), "triggerHook")

    def act_at_once(self):
        """Seconds of ten actions that need the same, and how many tasks they created."""
        builds = [next(self.push.builds) for _ in range(5)]
        asks = [[self.push.tests[build][2 * n + m] for build in builds for m in (0, 1)] for n in range(AT_ONCE)]
        before = self.members()
        self.log.answers()
        with concurrent.futures.ThreadPoolExecutor(AT_ONCE) as pool:
            for task in list(pool.map(self.trigger, asks)):
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
        task = self.trigger(self.push.ask())
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


def main():
    directory = graph(TASKS)
    with tempfile.TemporaryDirectory() as home:
        site = Site(directory, home)
        try:
            measure(site)
        finally:
            site.server.terminate()
            site.server.wait()


def measure(site):
    print(f"{LABELS} labels of {TASKS} tasks, a group of {GROUP}, {EARLIER} earlier actions and more with each run")
    cold = []
    for n in range(COLD + 1):
        with site.worker(f"cold-{n}"):
            cold.append(site.act())
    with site.worker("warm"):
        for _ in range(EARLIER - len(cold)):
            site.act(LABELS)
        warm = [site.act() for _ in range(WARM)]
        at_once = [site.act_at_once() for _ in range(3)]
    reference = [site.refer() for _ in range(REFERENCE)]
    made = statistics.mean(count for _, count in warm)
    row("warm action", [took for took, _ in warm], f"{made:.0f} new tasks on average; wanted: 0.3 s")
    slowest = sorted(took for took, _ in warm)[max(0, -(-len(warm) * 99 // 100) - 1)]
    print(f"  its 99th percentile                    {slowest:8.4f} s; wanted: under 1 s")
    row("cold action", [took for took, _ in cold[1:]], "wanted: 2 s")
    row("reference's action-callback", [took for took, _ in reference],
        f"{statistics.mean(count for _, count in reference):.0f} new tasks on average")
    row(f"{AT_ONCE} actions at once", [took for took, _ in at_once],
        f"{at_once[0][1]} new tasks, none twice; wanted: under 3 s")


if __name__ == "__main__":
    main()
