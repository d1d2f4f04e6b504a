"""Many apps without an engine: their control sockets answer as hanoverd does.  usage: fake_apps.py FOLDER COUNT HANDOVERS

For tests of ``hanoverd web`` with many apps and long histories.  ``POST /deploy`` starts a handover that stays in progress until
``POST /cancel``.  Only here: ``POST /print`` adds lines to the log, and ``POST /change`` replaces values of the status.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from twisted.internet import reactor
from twisted.web.resource import Resource
from twisted.web.server import NOT_DONE_YET, Request, Site

from tests.fakes.app_reports import NOW, failed, handover, many_handovers

_TIMES = frozenset({"began", "created", "since"})


def shifted(value: Any, seconds: float) -> Any:
    """Return a report with its times ``seconds`` later."""
    if isinstance(value, (list, tuple)):
        return [shifted(one, seconds) for one in value]
    if isinstance(value, Mapping):
        return {key: one + seconds if key in _TIMES else shifted(one, seconds) for key, one in value.items()}
    return value


class App(Resource):
    """The control socket of an app."""

    isLeaf = True  # noqa: N815  # Resource's name for it

    def __init__(self, name: str, handovers: int, *, has_failed: bool) -> None:
        super().__init__()
        state = failed(name) if has_failed else many_handovers(handovers, name)
        self._name = name
        self._status: dict[str, Any] = shifted(state.status, time.time() - NOW)
        self._history: list[Any] = shifted(state.handovers, time.time() - NOW)
        self._lines = [f"{name}-1  | line {number}" for number in range(50)]
        self._streams: dict[Request, Callable[[str], bytes]] = {}
        self._events = 0

    def render(self, request: Request) -> bytes | int:
        """Answer a request."""
        arguments = request.args or {}
        path = request.path.decode()
        if request.method == b"POST":
            body = json.loads(request.content.read() or b"{}") if request.content else {}
            return json.dumps(getattr(self, f"_{path[1:]}")(body)).encode()
        if path == "/events":
            self._follow(request, lambda _: self._event())
            request.setHeader("Content-Type", "text/event-stream")
            request.write(self._event())
            return NOT_DONE_YET
        if path == "/logs":
            tail = int(arguments.get(b"tail", [b"100"])[0])
            text = "".join(f"{line}\n" for line in self._lines[-tail:]).encode()
            if b"follow" not in arguments:
                return text
            self._follow(request, lambda line: f"{line}\n".encode() if line else b"")
            request.write(text)
            return NOT_DONE_YET
        if path == "/metrics":
            return f'hanoverd_connections{{app="{self._name}",role="live"}} 12.0\n'.encode()
        limit = int(arguments.get(b"limit", [b"100"])[0])
        return json.dumps(self._status if path == "/status" else self._history[-limit:]).encode()

    def _follow(self, request: Request, made: Callable[[str], bytes]) -> None:
        self._streams[request] = made
        request.notifyFinish().addBoth(lambda _: self._streams.pop(request, None))

    def _event(self) -> bytes:
        self._events += 1
        return f"id: run-{self._events}\nevent: trigger\ndata: {{}}\n\n".encode()

    def _send(self, line: str = "") -> None:
        for request, made in list(self._streams.items()):
            data = made(line)
            if data:
                request.write(data)

    def _deploy(self, _body: Any) -> Any:
        number = self._history[-1]["id"] + 1
        record = handover(number, "under way", self._name, began=time.time())
        self._history.append(record)
        self._status |= {"state": "handing over", "handover": record}
        self._send()
        return {"handover": number}

    _rollback = _deploy

    def _cancel(self, _body: Any) -> Any:
        record = self._history[-1]
        record |= {"outcome": "cancelled", "took": time.time() - record["began"]}
        self._status |= {"state": "live", "handover": record}
        self._send()
        return {"handover": record}

    def _pause(self, _body: Any) -> Any:
        return self._change({"paused": True})

    def _resume(self, _body: Any) -> Any:
        self._change({"paused": False})
        return {"held": []}

    def _change(self, body: Any) -> Any:
        self._status |= body
        self._send()
        return body

    def _print(self, body: Any) -> Any:
        for line in body["lines"]:
            self._lines.append(line)
            self._send(line)
        return {}


def main(folder: Path, count: int, handovers: int) -> None:
    """Serve ``count`` apps until the process is ended."""
    for number in range(count):
        name = f"app-{number:02}"
        path = folder / f"{name}.sock"
        reactor.listenUNIX(str(path), Site(App(name, handovers, has_failed=number % 10 == 9)), mode=0o600)  # type: ignore[attr-defined]
    print("ready", flush=True)
    reactor.run()


main(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]))
