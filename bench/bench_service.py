"""How long a preview takes over HTTP: `POST /plan` for ten labels of a push of 40,000 tasks, 200 times a second, warm.

One `taskgraft up` has the push, 5,000 of its tasks scheduled; one `taskgraft serve` beside it is asked. Each call is due at a
moment of its own, and its time counts from then, whether or not somebody was free to send it. What was looked up counts for the
five seconds that are the default, so the load meets the service while it looks things up anew. What else the machine does makes
calls wait, but costs no more processor time: that is told by process, with the load average at the end.
"""

import http.client
import json
import multiprocessing
import os
import socket
import statistics
import subprocess
import tempfile
import time

from action_site import LABELS, Site
from bench_plan import TASKGRAFT, graph
from measure import judged, wanted

TASKS, RATE, SECONDS, ASKS = 40_000, 200, 20, 20
# So many send, each on a connection of its own.
SENDERS = 16
GOAL = 0.020


def main(tasks=TASKS, rate=RATE):
    directory = graph(tasks)
    with tempfile.TemporaryDirectory() as home:
        site = Site(directory, home)
        try:
            site.new_push()
            bodies = [json.dumps({"push": site.group, "labels": site.push.ask()}) for _ in range(ASKS)]
            with Service(home) as service:
                for what, took, count in (("first preview of a push", *service.ask(bodies[0])),
                                          ("second", *service.ask(bodies[1]))):
                    print(f"  {what:<34} {took:8.4f} s   {count} new tasks")
                before = service.memory()
                processes = {"service": service.process.pid, "Taskcluster": site.server.pid}
                begun = {name: processor(pid) for name, pid in processes.items()}
                took, failed, spent = load(service.port, bodies, rate)
                each = {name: processor(pid) - begun[name] for name, pid in processes.items()} | {"load": spent}
                tell(took, failed, rate)
                told = ", ".join(f"{name} {1000 * spent / (rate * SECONDS):.2f} ms" for name, spent in each.items())
                print(f"  processor time of one preview: {told}; load average {os.getloadavg()[0]:.1f}")
                print(f"  memory that is no file's: {before:.0f} MiB before, {service.memory():.0f} MiB after")
        finally:
            site.server.terminate()
            site.server.wait()


def tell(took, failed, rate):
    took.sort()
    middle, late = statistics.median(took), took[-(-len(took) * 99 // 100) - 1]
    verdict = wanted(middle < GOAL and not failed, f"all answered, median under {GOAL} s")
    print(f"{LABELS} labels, {rate} previews a second for {SECONDS} s: {len(took)} answered, {failed} not")
    print(f"  median {middle:.4f} s   99th percentile {late:.4f} s   longest {took[-1]:.4f} s; {verdict}")


def processor(pid):
    """Seconds of processor time that a process has had."""
    with open(f"/proc/{pid}/stat") as stat:
        fields = stat.read().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


class Service:
    """`taskgraft serve` on a port of its own."""

    def __init__(self, home):
        self.home = os.path.join(home, "service")
        os.makedirs(self.home)
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self.config = os.path.join(self.home, "service.toml")
        with open(self.config, "w") as file:
            file.write('journal = "journal.sqlite"\n[http]\n'
                       f'listen = "127.0.0.1:{self.port}"\nrequests_per_minute = 1_000_000\n'
                       '[project.lander]\nlevel = "3"\n')

    def __enter__(self):
        environment = {**os.environ, "HOME": self.home, "XDG_CACHE_HOME": self.home, "XDG_STATE_HOME": self.home}
        with open(os.path.join(self.home, "log"), "w") as stderr:
            command = [TASKGRAFT, "serve", "--config", self.config]
            self.process = subprocess.Popen(command, env=environment, stderr=stderr)
        while True:
            try:
                connection = http.client.HTTPConnection("127.0.0.1", self.port)
                connection.request("GET", "/ready")
                if connection.getresponse().status == 200:
                    return self
            except OSError:
                if self.process.poll() is not None:
                    raise SystemExit(f"taskgraft serve ended: see {self.home}/log") from None
            time.sleep(0.05)

    def __exit__(self, *_):
        self.process.terminate()
        self.process.wait()

    def ask(self, body):
        """Seconds of one preview, and how many tasks it would create."""
        start = time.perf_counter()
        status, text = send(http.client.HTTPConnection("127.0.0.1", self.port), body)
        took = time.perf_counter() - start
        if status != 200:
            raise SystemExit(f"{status}: {text.decode()}")
        return took, len(json.loads(text)["tasks"])

    def memory(self):
        with open(f"/proc/{self.process.pid}/status") as status:
            return next(int(line.split()[1]) for line in status if line.startswith("RssAnon:")) / 1024


def send(connection, body):
    headers = {"Content-Type": "application/json"}
    connection.request("POST", "/api/taskgraft/v1/plan", body, headers)
    answer = connection.getresponse()
    return answer.status, answer.read()


def load(port, bodies, rate):
    """Seconds of each preview that was answered, how many were not, and the seconds of processor time that asking took."""
    begin = time.time() + 1
    shares = [(port, bodies, rate, begin, n) for n in range(SENDERS)]
    with multiprocessing.Pool(SENDERS) as pool:
        results = pool.starmap(sender, shares)
    times, failed, spent = zip(*results)
    return [took for times in times for took in times], sum(failed), sum(spent)


def sender(port, bodies, rate, begin, first):
    """Every SENDERS-th call of the load."""
    connection, took, failed = http.client.HTTPConnection("127.0.0.1", port), [], 0
    begun = time.process_time()
    for n in range(first, rate * SECONDS, SENDERS):
        due = begin + n / rate
        time.sleep(max(0, due - time.time()))
        status, _ = send(connection, bodies[n % len(bodies)])
        took, failed = (took + [time.time() - due], failed) if status == 200 else (took, failed + 1)
    return took, failed, time.process_time() - begun


if __name__ == "__main__":
    judged(main)
