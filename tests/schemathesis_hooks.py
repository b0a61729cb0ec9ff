"""Signs schemathesis' calls with Taskcluster credentials, as `taskcluster`'s own client does."""

import os

import mohawk
import schemathesis


class Hawk:
    """Authentication of `requests`: sees each call as it will be sent."""

    def __call__(self, call):
        credentials = {
            "id": os.environ["TASKCLUSTER_CLIENT_ID"],
            "key": os.environ["TASKCLUSTER_ACCESS_TOKEN"],
            "algorithm": "sha256",
        }
        body = call.body or b""
        content_type = call.headers.get("Content-Type", "")
        if isinstance(content_type, bytes):
            content_type = content_type.decode("latin-1")
        sender = mohawk.Sender(credentials, call.url, call.method, content=body, content_type=content_type)
        call.headers["Authorization"] = sender.request_header
        return call


schemathesis.auth.set_from_requests(Hawk())
