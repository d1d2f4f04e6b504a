"""Words that people type as commands, from other programs: each is refused with the command that hanoverd has for it.

Otherwise the word would be taken for the name of an image, and its daemon started.  Words that are likely names of apps,
such as ``login`` or ``search``, are not among them.
"""

from __future__ import annotations

from collections.abc import Sequence

from hanoverd.runtime.errors import UsageError

_START = "to serve an app, write `hanoverd [OPTIONS] IMAGE`, as in `hanoverd -p 8080:80 nginx`"
_DEPLOY = "to start a handover to the next version, write `hanoverd deploy APP`"
_STOP = "to stop an app, write `hanoverd stop APP`"
_LIST = "to list the apps on this host, write `hanoverd list`"
_STATUS = "to show an app's status, write `hanoverd status APP`"
_LOGS = "to show an app's log, write `hanoverd logs APP`"
_BUILD = "to build the current folder and serve it, write `hanoverd [OPTIONS] @`"
_DOCKER = "use docker itself for that: `hanoverd status APP` shows the name of the live container"

#: What to write instead of each.
VERBS = {
    **dict.fromkeys(("ps", "ls"), _LIST),
    **dict.fromkeys(("run", "start", "up", "serve", "create"), _START),
    **dict.fromkeys(("down", "kill", "rm", "remove", "delete"), _STOP),
    **dict.fromkeys(("restart", "reload", "redeploy", "update", "upgrade", "pull"), _DEPLOY),
    **dict.fromkeys(("inspect", "show"), _STATUS),
    **dict.fromkeys(("log", "attach"), _LOGS),
    **dict.fromkeys(("undo", "revert"), "to go back to an earlier version, write `hanoverd rollback APP`"),
    **dict.fromkeys(("unpause", "continue"), "to end a pause, write `hanoverd resume APP`"),
    "build": _BUILD,
    "images": "to list an app's versions with their images, write `hanoverd versions APP`",
    **dict.fromkeys(("exec", "top", "stats", "cp", "push", "rmi", "compose"), _DOCKER),
}


def refuse_verb(argv: Sequence[str]) -> None:
    """Raise UsageError if the first argument is a word that other programs use as a command."""
    if argv and argv[0] in VERBS:
        word = argv[0]
        raise UsageError(
            f'there is no command "{word}": {VERBS[word]} (`hanoverd help` shows all commands). '
            f"For an image of this name write {word}:latest"
        )
