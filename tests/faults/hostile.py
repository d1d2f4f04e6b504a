"""Have the peers of hanoverd misbehave on a host that serves an app under load: not one request may fail.

usage: python -m tests.faults.hostile [--faults N | --seconds N] [--seed N] [--only NAME]... [--tree DIR]
(as root, from the project's root)

The peers are a git host, a registry, a server of archives, a hookbot, the receiver of notifications, a hook, and the app
itself (hostilities.py); the host and the load are those of the other campaign (campaign.py). They send endless data, or
nothing, or garbage, lie about lengths, redirect, reset connections, flood the log and send escape sequences. Each handover
that one of them spoils must end in time, and the next good one must succeed; hanoverd's memory must not grow by more than a
limit. Prints a line for each, and a table; the exit status is 1 if there were failures.
"""

from __future__ import annotations

from tests.faults.campaign import main
from tests.faults.hostilities import HOSTILITIES

if __name__ == "__main__":
    main(HOSTILITIES)
