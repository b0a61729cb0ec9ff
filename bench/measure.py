"""Whole processes, measured: wall time in alternating runs, and peak anonymous memory."""

import statistics
import subprocess
import sys
import time

# What was wanted and not reached in this process.
_missed = []


def run(command):
    """Seconds from start to end of one process, which must succeed."""
    start = time.perf_counter()
    done = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    seconds = time.perf_counter() - start
    if done.returncode != 0:
        raise SystemExit(f"{' '.join(command)}\nended with {done.returncode}:\n{done.stderr.decode()}")
    return seconds


def alternate(commands, runs):
    """{name: seconds of each run} for {name: command}: one run of each after the other, so that what else the machine
    does hits all of them. One round before is not counted."""
    seconds = {name: [] for name in commands}
    for round in range(runs + 1):
        for name, command in commands.items():
            taken = run(command)
            if round > 0:
                seconds[name].append(taken)
    return seconds


def peak_anonymous(command, runs=5):
    """The most memory in MiB that was no file's, as seen by looking as often as possible while the process runs."""
    peak = 0
    for _ in range(runs):
        process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        while process.poll() is None:
            try:
                with open(f"/proc/{process.pid}/status") as status:
                    for line in status:
                        if line.startswith("RssAnon:"):
                            peak = max(peak, int(line.split()[1]))
            except (FileNotFoundError, ProcessLookupError):
                break
        process.wait()
    return peak / 1024


def wanted(met, goal):
    """Says what was wanted, and whether it was reached; `judged` fails if it was not."""
    if not met:
        _missed.append(goal)
    return f"wanted: {goal}: {'reached' if met else 'MISSED'}"


def judged(main):
    """Runs a benchmark, and ends the process: with 1 if something that was wanted is missed."""
    main()
    if _missed:
        sys.exit(f"missed: {'; '.join(_missed)}")


def row(name, seconds, note=""):
    low, middle = min(seconds), statistics.median(seconds)
    print(f"  {name:<34} min {low:8.4f} s   median {middle:8.4f} s   {len(seconds)} runs   {note}")


def ratio(what, ours, theirs, goal):
    """Compares medians and minima with what is wanted."""
    middle = statistics.median(ours) / statistics.median(theirs)
    low = min(ours) / min(theirs)
    verdict = wanted(middle <= goal, f"{what} at most {goal}")
    print(f"  {what:<34} {middle:.4f} by medians, {low:.4f} by minima; {verdict}")
