"""A post-receive hook of git that notifies hookbot as GitHub does.  usage: webhook.py URL SECRET FULL-NAME"""

from __future__ import annotations

import hashlib
import hmac
import json
import sys
import time
import urllib.request

url, secret, name = sys.argv[1:]
for line in sys.stdin:
    before, after, ref = line.split()
    repository = {"full_name": name, "pushed_at": int(time.time())}
    push = {"ref": ref, "before": before, "after": after, "repository": repository, "pusher": {"name": "lab"}}
    body = json.dumps(push).encode()
    headers = {
        "Content-Type": "application/json",
        "X-GitHub-Event": "push",
        "X-GitHub-Delivery": "1",
        "X-Hub-Signature": "sha1=" + hmac.new(secret.encode(), body, hashlib.sha1).hexdigest(),
        "X-Hub-Signature-256": "sha256=" + hmac.new(secret.encode(), body, hashlib.sha256).hexdigest(),
    }
    urllib.request.urlopen(urllib.request.Request(url, body, headers), timeout=60).close()
