"""The pulse listener before a real RabbitMQ: messages a second into the journal, each acknowledged, and its memory.

100,000 clicks, of which one in twenty comes twice, and garbage for each hundredth. The messages wait in their queue before
the listener starts; each is on disk before it is acknowledged. Each click is about a push of its own: at the end the journal
has a request for each of these pushes, and none twice. Memory is flat if four fifths of the messages add no more
than a tenth to what the first fifth took. Other sizes may be given: bench/bench_pulse.py 2000 4000
"""

import json
import os
import re
import signal
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import time

from measure import judged, row, wanted

HERE = os.path.dirname(os.path.abspath(__file__))
WORKSPACE = os.path.dirname(HERE)
PROFILE = os.environ.get("PROFILE", "release")
TASKGRAFT = os.path.join(WORKSPACE, "target", PROFILE, "taskgraft")
LOAD = os.path.join(WORKSPACE, "target", PROFILE, "examples/pulse_load")
SIZES = [100000]
RUNS = 3
WANTED = 5000
FLAT = 1.1
EXCHANGE = "exchange/treeherder/v1/resultset-runnable-job-actions"


def anonymous(pid):
    """Memory in MiB that is no file's."""
    with open(f"/proc/{pid}/status") as status:
        return next(int(line.split()[1]) for line in status if line.startswith("RssAnon:")) / 1024


def count(journal):
    """How many requests and dead letters are there."""
    try:
        with sqlite3.connect(f"file:{journal}?mode=ro", uri=True, timeout=5) as db:
            # Row ids have no gaps while nothing is forgotten, and counting rows would take the time that is measured.
            last = "SELECT coalesce(max(rowid), 0) FROM"
            return [db.execute(f"{last} {table}").fetchone()[0] for table in ("requests", "letters")]
    except sqlite3.OperationalError:
        return [0, 0]


def pushes(journal):
    """How many requests there are, about how many pushes, and the lowest and highest of Treeherder's numbers of them."""
    number = "json_extract(asked, '$.push.resultset.id')"
    with sqlite3.connect(f"file:{journal}?mode=ro", uri=True, timeout=5) as db:
        return db.execute(
            f"SELECT count(*), count(DISTINCT {number}), min({number}), max({number}) FROM requests"
        ).fetchone()


def listen(directory, port, clicks, published):
    """Seconds from the first message to the last, and the most memory while the first fifth came, and while all did."""
    journal = os.path.join(directory, "journal")
    config = os.path.join(directory, "service.toml")
    with open(config, "w") as file:
        file.write(f'journal = "journal"\n[pulse]\nurl = "amqp://127.0.0.1:{port}"\nuser = "guest"\n')
        file.write(f'[[pulse.handler]]\nexchange = "{EXCHANGE}"\n')
    listener = subprocess.Popen(
        [TASKGRAFT, "listen", "--config", config],
        env={**os.environ, "TASKGRAFT_PULSE_PASSWORD": "guest", "TASKGRAFT_LOG": "error"},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    garbage = (clicks + 99) // 100
    start, early, peak = None, 0, 0
    while True:
        requests, letters = count(journal)
        now = time.perf_counter()
        start = start or (now if requests else None)
        memory = anonymous(listener.pid)
        peak = max(peak, memory)
        early = early if requests > clicks / 5 else peak
        if requests == clicks and letters == garbage:
            break
        if listener.poll() is not None:
            raise SystemExit(f"the listener has ended: {listener.stderr.read()}")
        time.sleep(0.05)
    # What comes after that is known; the listener tells of all when it is stopped.
    time.sleep(1)
    listener.send_signal(signal.SIGTERM)
    said = listener.communicate()[1]
    received, known, dead = map(int, re.search(r"(\d+) received, (\d+) known before, (\d+) not", said).groups())
    if (received, dead) != (clicks, garbage) or received + known + dead != published:
        raise SystemExit(f"{published} messages were published, and the listener tells: {said}")
    if pushes(journal) != (clicks, clicks, 1, clicks):
        raise SystemExit(f"{clicks} clicks on as many pushes, and the journal has {pushes(journal)}")
    return now - start, early, peak


def main():
    sizes = [int(size) for size in sys.argv[1:]] or SIZES
    flags = ["--release"] if PROFILE == "release" else []
    build = ["cargo", "build", *flags, "--locked", "--package", "taskgraft-client", "--example", "pulse_load"]
    subprocess.run(build, cwd=WORKSPACE, check=True)
    for clicks in sizes:
        runs = []
        for _ in range(RUNS):
            load = subprocess.Popen([LOAD, str(clicks)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
            try:
                ready = json.loads(load.stdout.readline())
                with tempfile.TemporaryDirectory() as directory:
                    runs.append(listen(directory, ready["port"], clicks, ready["published"]))
            finally:
                load.stdin.close()
                load.wait()
        seconds = [taken for taken, _, _ in runs]
        rate = ready["published"] / statistics.median(seconds)
        verdict = wanted(rate >= WANTED, f"{WANTED} messages/s")
        row(f"{ready['published']} messages into the journal", seconds, f"{rate:.0f} messages/s; {verdict}")
        print(f"  each of {clicks} clicks is one request, none is lost and none there twice")
        early, peak = max(((early, peak) for _, early, peak in runs), key=lambda run: run[1] / run[0])
        verdict = wanted(peak <= early * FLAT, f"memory grows by at most {FLAT}")
        told = f"{early:.1f} MiB at most in the first fifth, {peak:.1f} MiB at most in all"
        print(f"  {'  anonymous memory is flat':<34} {told} ({peak / early:.2f}); {verdict}")


if __name__ == "__main__":
    judged(main)
