"""Command lines without their secrets: every user of a host can list the processes and their arguments (proc(5), cmdline).

A process whose arguments have secrets executes its program again with masked ones. The real ones are in an environment
variable, which only the same user and root can read (proc(5), environ). Until then, for a moment, all can see them.
"""

from __future__ import annotations

import json
import re
from collections.abc import MutableMapping, Sequence

from hanoverd.cli.options.option import Option, Secret

#: The environment variable: a JSON object with the masked arguments and the real ones.
VARIABLE = "HANOVERD_ARGUMENTS"

_MASK = "***"

#: The user name and password, and the query, of a URL.
_IN_URL = re.compile(r"(?<=://)[^/@\s]+(?=@)|(?<=\?)\S+")


def masked(option: Option, text: str) -> str:
    """Return the text of an option as all users may see it."""
    if option.secret is Secret.ALL:
        return _MASK
    if option.secret is Secret.IN_URL:
        return masked_url(text)
    if option.secret is Secret.AFTER_EQUALS:
        name, assigned, _ = text.partition("=")
        return f"{name}={_MASK}" if assigned else text
    if option.secret is Secret.AFTER_COLON:
        # Without the colon, which was forgotten, the secret may be anywhere.
        name, colon, _ = text.partition(":")
        return f"{name}: {_MASK}" if colon else _MASK
    return text


def masked_url(text: str) -> str:
    """Return a URL without user name, password and query; another text stays."""
    return _IN_URL.sub(_MASK, text) if "://" in text else text


def environment_for(arguments: Sequence[str], shown: Sequence[str]) -> dict[str, str]:
    """Return the variable for a process with the arguments ``shown``, which means the same as ``arguments``."""
    return {VARIABLE: json.dumps({"shown": list(shown), "arguments": list(arguments)})}


def take_arguments(shown: Sequence[str], environ: MutableMapping[str, str]) -> Sequence[str]:
    """Return the real arguments of a process with the arguments ``shown``, and remove the variable: it is for no child."""
    try:
        found = json.loads(environ.pop(VARIABLE, "{}"))
        return [str(one) for one in found["arguments"]] if found["shown"] == list(shown) else shown
    except (ValueError, KeyError, TypeError):
        return shown
