"""A Buildbot master and its worker, real ones, in one process on this machine; it ends when its standard input does.

Arguments: a directory (made if it isn't there; what is in it survives), and JSON: {"builders": {NAME: COMMAND},
"served": [NAME], "user": NAME or null, "password": TEXT}. When both are up, a line of JSON says where: {"port": N}.
"""

import json
import os
import subprocess
import sys
import threading
from pathlib import Path

from buildbot.master import BuildMaster
from buildbot.plugins import schedulers, steps, util, worker
from buildbot_worker.bot import Worker
from twisted.internet import defer, reactor
from twisted.python import log

base, wanted = Path(sys.argv[1]), json.loads(sys.argv[2])
LOOPBACK = "tcp:0:interface=127.0.0.1"


def configuration():
    def builder(name, command):
        factory = util.BuildFactory([steps.ShellCommand(command=command)])
        return util.BuilderConfig(name=name, workernames=["worker"], factory=factory)

    www = {"port": LOOPBACK}
    if wanted["user"]:
        user = wanted["user"]
        www["auth"] = util.UserPasswordAuth({user: wanted["password"]})
        www["authz"] = util.Authz(
            allowRules=[util.AnyControlEndpointMatcher(role="forcer")],
            roleMatchers=[util.RolesFromUsername(roles=["forcer"], usernames=[user])],
        )
    return {
        "workers": [worker.Worker("worker", "secret")],
        "protocols": {"pb": {"port": LOOPBACK}},
        "builders": [builder(name, command) for name, command in wanted["builders"].items()],
        "schedulers": [
            schedulers.ForceScheduler(name="force", builderNames=wanted["served"]),
            # A master wants each builder to have some scheduler.
            schedulers.Triggerable(name="other", builderNames=list(wanted["builders"])),
        ],
        "www": www,
        "db": {"db_url": "sqlite:///state.sqlite"},
        "buildbotURL": "http://buildbot.example.com/",
        "buildbotNetUsageData": None,
        # Else of two copies that wait for the worker only one is built.
        "collapseRequests": False,
    }


@defer.inlineCallbacks
def main():
    master = BuildMaster(str(base), "master.cfg")
    yield master.startService()
    pb = next(iter(master.pbmanager.dispatchers.values()))
    port = pb.port.getHost().port
    Worker("127.0.0.1", port, "worker", "secret", str(base / "worker"), 600).startService()
    print(json.dumps({"port": master.www.getPortnum()}), flush=True)


def end_with_input():
    sys.stdin.read()
    os._exit(0)


(base / "worker").mkdir(parents=True, exist_ok=True)
(base / "master.cfg").write_text("import __main__\nBuildmasterConfig = __main__.configuration()\n")
if not (base / "state.sqlite").exists():
    command = [Path(sys.executable).parent / "buildbot", "create-master", "--quiet", base]
    subprocess.run(command, check=True, stdin=subprocess.DEVNULL, stdout=sys.stderr)
threading.Thread(target=end_with_input, daemon=True).start()
log.startLogging(sys.stderr, setStdout=False)
reactor.callWhenRunning(lambda: main().addErrback(lambda failure: (failure.printTraceback(), os._exit(1))))
reactor.run()
