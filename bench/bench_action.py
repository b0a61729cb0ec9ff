"""How long an action takes: from triggerHook's answer to the last createTask's, as the server's own log has them.

One `taskgraft up` has pushes of 40,000 tasks, 5,000 of them scheduled. Each action asks for ten labels that need forty
other new tasks. A `taskgraft worker` performs them: warm, that is on a push that it knows; the first of a push, whose
artifacts it fetched when the decision task completed; those that list the group; ten at once; and cold, with an empty
cache and the graph gzipped. Beside it the reference's `action-callback` on the same server and data, from its start: no
image, no checkout, no claim.
"""

import statistics
import tempfile

from action_site import AT_ONCE, GROUP, INDEX, LABELS, Site
from bench_plan import graph
from measure import judged, row, wanted

TASKS, EARLIER = 40_000, 20
# A push of that size has builds for some forty actions that need as many new tasks each.
PUSHES, WARM_EACH, COLD, REFERENCE, TIMES_AT_ONCE = 3, 34, 3, 3, 3


def main():
    directory = graph(TASKS)
    with tempfile.TemporaryDirectory() as home:
        site = Site(directory, home)
        try:
            tell(*measure(site))
        finally:
            site.server.terminate()
            site.server.wait()


def measure(site):
    """{what: (seconds, new tasks) of each run}, and how large groups were when the first and last warm action came."""
    found = {name: [] for name in ("first", "missing", "failed", "warm", "cold", "at once", "reference")}
    sizes = []
    add = lambda labels: lambda: site.add(labels)
    with site.worker("warm", "--prefetch", INDEX) as log:
        for _ in range(PUSHES):
            site.new_push()
            site.prefetched(log)
            found["first"].append(site.act(add(site.first)))
            found["missing"].append(site.act(lambda: site.trigger("run-missing-jobs", {})))
            found["failed"].append(site.act(lambda: site.trigger("retrigger-failed", {})))
            for _ in range(EARLIER - 3):
                site.act(add([next(site.push.small)]))
            sizes.append(sum(site.members().values()))
            found["warm"] += [site.act(add(site.push.ask())) for _ in range(WARM_EACH)]
            sizes.append(sum(site.members().values()))
        found["at once"] += [site.act_at_once() for _ in range(TIMES_AT_ONCE)]
    for n in range(COLD):
        with site.worker(f"cold-{n}"):
            found["cold"].append(site.act(add(site.push.ask())))
    found["reference"] += [site.refer() for _ in range(REFERENCE)]
    return found, sizes


def tell(found, sizes):
    print(f"{LABELS} labels of {TASKS} tasks, groups of {GROUP} and what actions added: {min(sizes)} to {max(sizes)}, "
          f"{EARLIER} earlier actions and more with each run")

    def tell_one(name, what, goal=None):
        took = [took for took, _ in found[what]]
        new = statistics.mean(count for _, count in found[what])
        verdict = f"; {wanted(statistics.median(took) <= goal, f'{name} in {goal} s')}" if goal else ""
        row(name, took, f"{new:.1f} new tasks on average{verdict}")

    tell_one("warm action", "warm", 0.3)
    warm = sorted(took for took, _ in found["warm"])
    late = warm[-(-len(warm) * 99 // 100) - 1]
    print(f"  its 99th percentile                    {late:8.4f} s; {wanted(late < 1, 'its 99th percentile under 1 s')}")
    tell_one("first of a push, with --prefetch", "first")
    tell_one("run-missing-jobs, lists the group", "missing")
    tell_one("retrigger-failed, lists the group", "failed")
    tell_one(f"{AT_ONCE} actions at once", "at once", 3)
    tell_one("cold action", "cold", 2)
    tell_one("reference's action-callback", "reference")


if __name__ == "__main__":
    judged(main)
