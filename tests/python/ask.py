"""One signed call of taskgraft's HTTP API, as a page makes it with a user's Taskcluster credentials.

Arguments: method, URL, body (JSON or nothing), and an idempotency key (or nothing). Prints {"status": N, "body": ...}.
"""

import json
import os
import sys

import mohawk
import requests

method, url, body, key = sys.argv[1:5]
credentials = {
    "id": os.environ["TASKCLUSTER_CLIENT_ID"],
    "key": os.environ["TASKCLUSTER_ACCESS_TOKEN"],
    "algorithm": "sha256",
}
content_type = "application/json" if body else ""
sender = mohawk.Sender(credentials, url, method, content=body, content_type=content_type)
headers = {"Authorization": sender.request_header}
if body:
    headers["Content-Type"] = content_type
if key:
    headers["Idempotency-Key"] = key
answer = requests.request(method, url, data=body.encode(), headers=headers, timeout=90)
print(json.dumps({"status": answer.status_code, "body": answer.json()}))
