"""Why a version failed, as a message for people: how its container exited, why it was not ready, what it printed last."""

from __future__ import annotations

from collections.abc import Sequence

from hanoverd.docker.engine import Engine
from hanoverd.runtime.errors import EngineError, VersionFailed
from hanoverd.spec.ports import ContainerPort
from hanoverd.text.counting import counted
from hanoverd.text.durations import format_duration
from hanoverd.text.lines import Tail
from hanoverd.versions.monitor import ContainerMonitor
from hanoverd.versions.readiness import Readiness
from hanoverd.versions.version import Container, Running

#: How many exposed ports a message names.
_MOST_SHOWN = 10


async def describe_exit(engine: Engine, container: Container, monitor: ContainerMonitor) -> tuple[str, str]:
    """Return how a container has exited ("exited with code 3"), and its last output ("; its last 2 lines: …").

    Fires when its output is complete, or after a time limit.
    """
    tail = await monitor.last_output()
    try:
        state = (await engine.inspect_container(container.ref))["State"]
    except EngineError:
        state = {}
    reason = f"exited with code {monitor.exit.get()}"
    if state.get("OOMKilled"):
        reason += " (out of memory: raise its memory limit, or reduce its memory use)"
    if state.get("Error"):
        reason += f" ({state['Error']})"
    return reason, _last_output(tail)


async def exit_error(engine: Engine, container: Container, monitor: ContainerMonitor) -> VersionFailed:
    """Return the error for a version that exited before it was live."""
    reason, output = await describe_exit(engine, container, monitor)
    return VersionFailed(f"{reason} before it was ready{output}")


def not_ready_error(running: Running, readiness: Readiness, seconds: float, tail: Tail | None) -> VersionFailed:
    """Return the error for a version that was not ready within ``seconds``, and printed ``tail`` last (None: unknown)."""
    created = running.created
    hint = ""
    if created.image.ports and not set(created.ports) <= set(created.image.ports):
        hint = f" (the image exposes {_shown(created.image.ports)})"
    return VersionFailed(
        f"not ready within the status timeout of {format_duration(seconds)}, after "
        f"{counted(readiness.probes, 'probe')}; the last at {running.address}: {readiness.describe()}{hint}"
        f"{_last_output(tail)}"
    )


def _shown(ports: Sequence[ContainerPort]) -> str:
    """Return the first ports; an image may expose all that there are."""
    return ", ".join(
        [*(str(port.number) for port in ports[:_MOST_SHOWN]), *(["…"] if len(ports) > _MOST_SHOWN else [])]
    )


def _last_output(tail: Tail | None) -> str:
    if tail is None:
        return "; what it printed is unknown: its log driver keeps no log that can be read"
    if not tail:
        return "; it printed nothing"
    which = "its last line" if len(tail) == 1 else f"its last {len(tail)} lines"
    return f"; {which}:{tail}"
